//! The steps of `gg force`: no call is made for them, they are known from their thunks, and from the record of the build that
//! left them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use gg_force::{Finished, Observer};
use gg_ir::{AbsPath, Name, Thunk};
use gg_store::Store;

use super::record::{Record, StepRecord};
use super::recorder::{Entry, Recorder, reads};
use crate::shell;

/// Enters each step when it ends, and passes on what it is told.
pub struct Forced {
    store: Arc<Store>,
    recorder: Arc<Recorder>,
    known: HashMap<String, StepRecord>,
    next: Arc<dyn Observer>,
}

impl Forced {
    /// For what builds before left; `before` is the record of the last one.
    pub fn new(store: Arc<Store>, recorder: Arc<Recorder>, before: Option<Record>, next: Arc<dyn Observer>) -> Self {
        let steps = before.map(|record| record.steps).unwrap_or_default();
        let known = steps.into_iter().map(|step| (step.thunk.clone(), step)).collect();
        Self { store, recorder, known, next }
    }

    fn enter(&self, name: &Name, label: &str) {
        // What cannot be read has no record, and is told of all the same.
        let Ok(thunk) = self.store.read_thunk(name) else { return };
        let mut told = StepRecord::of_thunk(name, &thunk);
        if !label.is_empty() {
            told.label = label.to_owned();
        }
        let step = self.known.get(&told.thunk).unwrap_or(&told);
        self.recorder.enter_begun(Entry {
            thunk: *name,
            kind: kind(&step.kind),
            tool: step.tool.clone(),
            label: step.label.clone(),
            outputs: step.outputs.clone(),
            directory: Path::new(&step.directory),
            command: step.command.clone(),
            reads: reads(&thunk),
            at_once: None,
        });
    }
}

impl Observer for Forced {
    fn finished(&self, done: &Finished) {
        if !self.recorder.knows(&done.name) {
            self.enter(&done.name, &done.label);
        }
        self.next.finished(done);
    }

    fn notice(&self, text: &str) {
        self.next.notice(text);
    }
}

/// The kinds of steps that there are; a thunk itself does not tell its own.
fn kind(name: &str) -> &'static str {
    const KINDS: [&str; 8] = ["compile", "assemble", "preprocess", "archive", "link", "compile+link", "strip", "query"];
    KINDS.into_iter().find(|kind| *kind == name).unwrap_or("other")
}

impl StepRecord {
    /// What a thunk itself tells of its step.
    pub fn of_thunk(name: &Name, thunk: &Thunk) -> Self {
        let function = &thunk.function;
        let shown = |path: &AbsPath| path.as_path().to_string_lossy().into_owned();
        let tool = function.executable.as_path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let command = shell::line(&function.args);
        let needed = thunk.outputs.values().find(|output| !output.optional).or(thunk.outputs.values().next());
        Self {
            thunk: name.to_string(),
            kind: "other".to_owned(),
            tool,
            label: needed.map_or_else(|| command.clone(), |output| shown(&output.path)),
            outputs: thunk.outputs.values().map(|output| shown(&output.path)).collect(),
            directory: shown(&function.cwd),
            command,
            ..Self::default()
        }
    }
}
