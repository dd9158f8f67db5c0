//! What a build did: taken down while it runs, kept for a while, and shown.
//!
//! # Layout, from the build to the person
//!
//! - `recorder`: [`Recorder`]: takes down what happens to each step; `texts`: what there is to say of steps in words
//! - `forced`: the same where no calls are made; `chronicle`: [`Chronicle`]: such a run, from its beginning to its record
//! - `endings`: when calls that ran here ended
//! - `record`: [`Record`]: one run, in the form that `docs/report.md` describes
//! - `imagined`: the record of a simulated build
//! - `file`: a record as a file; `runs`: [`Runs`]: the latest runs of each directory; `underway`: those that have begun
//! - `totals`, `critical`, `compare`, `lanes`: what there is to be seen in it
//! - `print`: the summary on a terminal; `page`: a page for a browser; `trace`: for who shows traces

mod chronicle;
mod compare;
mod critical;
mod endings;
mod file;
mod forced;
mod imagined;
mod lanes;
pub mod page;
mod print;
mod record;
mod recorder;
mod runs;
mod texts;
mod totals;
pub mod trace;
mod underway;

pub use chronicle::Chronicle;
pub use compare::print as print_comparison;
pub use file::read;
pub use imagined::imagined;
pub use print::{moment, seconds};
pub use record::{AttemptRecord, End, EngineRecord, HereRecord, Record, Served, StepRecord, VERSION};
pub use recorder::{Entry, Recorder, reads};
pub use runs::{RunName, Runs};
pub use underway::Begun;
