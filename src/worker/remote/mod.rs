//! The worker that gg calls from afar: requests in, answers out, objects by way of a remote store.
//!
//! What receives requests (a cloud function's runtime, an HTTP server, a test) calls [`Server::answer`] with each one's bytes.
//! The server keeps a local store and a pool of worker processes in its scratch space, so that what one request brought is there
//! for the next. It believes nothing that it is told: objects are checked against their names, a store is used only where the
//! configuration allows it, and programs run in a sandbox or not at all.
//!
//! # Layout
//!
//! - `settings`: [`Settings`]: what a server is told when it starts
//! - `server`: [`Server`]: one request from its bytes to those of its answer
//! - `chain`: the jobs of one request: which needs which, and what they need from outside
//! - `run`: one job: getting what it needs, running it, telling how it ended
//! - `memory`: telling a lack of memory from a failure of the program's own
//! - `answer`: where outputs go: into the answer or into the store
//! - `space`: keeping the scratch space from filling up

mod answer;
mod chain;
mod memory;
mod run;
mod server;
mod settings;
mod space;

pub use server::Server;
pub use settings::Settings;
