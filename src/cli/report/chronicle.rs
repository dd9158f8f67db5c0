//! The record of a run for which no calls are made: its steps are known from their thunks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gg_force::Observer;
use gg_store::Store;

use super::forced::Forced;
use super::record::{Record, VERSION};
use super::recorder::Recorder;
use super::runs::Runs;
use super::underway::Underway;
use crate::console::Console;
use crate::engine::Forces;

/// What is taken down of a run, from its beginning to its record.
pub struct Chronicle {
    recorder: Arc<Recorder>,
    directory: PathBuf,
    runs: Runs,
    begun: Instant,
    began_as: Record,
    underway: Option<Underway>,
}

impl Chronicle {
    /// Of a run of `command` in `root` that began then; gg's own directory is `directory`. Its thunks are `stated` by hand, or were
    /// left by a build.
    pub fn new(directory: &Path, root: &Path, command: Vec<String>, stated: bool, begun: Instant) -> Self {
        let runs = Runs::of(directory, root);
        let began_as = Record {
            version: VERSION,
            gg: env!("CARGO_PKG_VERSION").to_owned(),
            root: root.to_owned(),
            command,
            started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            lazy: true,
            stated,
            ..Record::default()
        };
        let recorder = Arc::new(Recorder::new(begun));
        Self { recorder, directory: directory.to_owned(), runs, begun, began_as, underway: None }
    }

    /// What takes it down.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Enters each step when it ends, and passes on what it is told. Steps that builds have left go by what those called them.
    pub fn observer(&self, store: &Arc<Store>, next: Arc<dyn Observer>) -> Forced {
        Forced::new(Arc::clone(store), Arc::clone(&self.recorder), self.last_build(), next)
    }

    /// The record of the last build here, from which steps may have been left.
    fn last_build(&self) -> Option<Record> {
        let numbers = self.runs.numbers().ok()?;
        let is_build = |number: &&u64| self.runs.head(**number).is_ok_and(|head| !head.stated);
        self.runs.load(*numbers.iter().rev().find(is_build)?).ok()
    }

    /// Lets others know that it goes on, or was killed, for as long as there is no record.
    pub fn announce(&mut self) {
        self.underway = self.runs.begin(&self.began_as).ok();
    }

    /// It has ended in order, be it without a record.
    pub fn end(&self) {
        self.underway.iter().for_each(Underway::end);
    }

    /// Writes the record, if there were steps.
    pub fn save(&self, forces: &Forces, status: i32, console: &Console) {
        if self.recorder.is_empty() {
            return self.end();
        }
        let (_, notices) = self.recorder.take_calls();
        let record = Record {
            wall_ms: self.begun.elapsed().as_millis() as u64,
            status: Some(status),
            sandbox: forces.sandbox.clone(),
            engines: forces.report(),
            notices,
            ..self.began_as.clone()
        };
        // The results are there; what cannot be noted down does not undo them.
        if let Err(error) = self.runs.save(&record, self.recorder.take_steps()) {
            console.notice(&format!("cannot write to {}: {error}", self.directory.display()));
        }
        self.end();
    }
}
