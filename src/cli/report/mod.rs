//! What a build did: taken down while it runs, kept for a while, and shown.
//!
//! # Layout, from the build to the person
//!
//! - `recorder`: [`Recorder`]: takes down what happens to each step; `texts`: what there is to say of steps in words
//! - `endings`: when calls that ran here ended
//! - `record`: [`Record`]: one run, in the form that `docs/report.md` describes
//! - `imagined`: the record of a simulated build
//! - `file`: a record as a file; `runs`: [`Runs`]: the latest runs of each directory
//! - `print`: the summary on a terminal

mod endings;
mod file;
mod imagined;
mod print;
mod record;
mod recorder;
mod runs;
mod texts;

pub use file::read;
pub use imagined::imagined;
pub use record::{EngineRecord, HereRecord, Record, Served, StepRecord, VERSION};
pub use recorder::{Entry, Recorder};
pub use runs::{RunName, Runs};
