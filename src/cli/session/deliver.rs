//! Brings what thunks evaluated to into the tree and before the person.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use gg_force::{Coordinator, Finished, Observer, Outcome};
use gg_ir::{Made, Name, Reduction, Reference, Tag};
use gg_store::{Store, StoreError};

use super::failures::{Failures, Run};
use super::placeholders::Placeholders;
use super::rescue::Steps;
use crate::console::Console;
use crate::report::Recorder;
use crate::shell;

/// What one call waits for.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where those outputs go for which no placeholder stands.
    pub unplaced: BTreeMap<Tag, PathBuf>,
    /// What a tool that changes files in place found there: a failure leaves that.
    pub restore: BTreeMap<PathBuf, (Reference, u32)>,
    /// The command, for the person who is shown its failure.
    pub command: Arc<CommandLine>,
    /// Placeholders stay until somebody opens them, also when their content is known.
    pub stays: bool,
}

/// A command as it was given.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// The argument vector.
    pub argv: Vec<OsString>,
    /// The directory.
    pub cwd: PathBuf,
}

impl CommandLine {
    /// What runs it again, wherever it is typed.
    pub fn runnable(&self) -> String {
        format!("cd {} && {}", shell::quote(self.cwd.as_os_str()), self.shown())
    }

    /// The command line as a shell would take it.
    pub fn shown(&self) -> String {
        shell::line(&self.argv)
    }
}

#[derive(Debug)]
enum Standing {
    Awaited(Vec<Delivery>),
    Ended {
        outcome: Outcome,
        run: Run,
        /// A person has been told of its failure.
        told: bool,
    },
}

/// How often lost outputs of one thunk are made again before the file system's own word is taken.
const MAX_RENEWALS: usize = 3;

/// Delivers; the coordinator's observer.
pub struct Deliveries {
    store: Arc<Store>,
    placeholders: Arc<Placeholders>,
    console: Arc<Console>,
    /// Makes again what was lost; bound once both exist.
    coordinator: OnceLock<Weak<Coordinator>>,
    thunks: Mutex<HashMap<Name, Standing>>,
    planned: Steps,
    recorder: Arc<Recorder>,
    /// One lock for each group of thunks whose files are put into place.
    turns: [Mutex<()>; 32],
    failures: Failures,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deliveries {
    /// Nothing to deliver yet.
    pub fn new(
        store: Arc<Store>,
        placeholders: Arc<Placeholders>,
        console: Arc<Console>,
        recorder: Arc<Recorder>,
    ) -> Self {
        Self {
            failures: Failures::new(Arc::clone(&store), Arc::clone(&console)),
            store,
            placeholders,
            console,
            coordinator: OnceLock::new(),
            thunks: Mutex::default(),
            planned: Steps::default(),
            recorder,
            turns: Default::default(),
        }
    }

    /// Says who makes again what was lost.
    pub fn bind(&self, coordinator: &Arc<Coordinator>) {
        // The first one stays.
        let _ = self.coordinator.set(Arc::downgrade(coordinator));
    }

    /// The reduction with all its outputs whole in the store: what is missing or damaged is made again.
    fn whole(&self, thunk: &Name, reduction: &Reduction) -> Result<Option<Arc<Reduction>>, (PathBuf, io::Error)> {
        let mut renewed: Option<Arc<Reduction>> = None;
        for _ in 0..MAX_RENEWALS {
            let now = renewed.as_deref().unwrap_or(reduction);
            let made = now.outputs.values().chain(now.undeclared.values());
            let lost = made.into_iter().find_map(|made| match self.store.check(made.object.name()) {
                Err(StoreError::Corrupt { .. } | StoreError::Missing { .. }) => Some(*made.object.name()),
                _ => None,
            });
            let Some(object) = lost else { return Ok(renewed) };
            let Some(coordinator) = self.coordinator.get().and_then(Weak::upgrade) else { return Ok(renewed) };
            match coordinator.redo(thunk, &object) {
                Ok(again) => renewed = Some(again),
                Err(failure) => {
                    let text = format!("it was damaged in gg's store and could not be made again: {}", failure.cause);
                    return Err((PathBuf::from(object.to_string()), io::Error::other(text)));
                }
            }
        }
        Ok(renewed)
    }

    /// Whether a step that was answered before it had run has failed.
    pub fn failed(&self) -> bool {
        self.failures.any()
    }

    /// What failed so far.
    pub fn failures(&self) -> &Failures {
        &self.failures
    }

    /// The steps that have not ended, as they were planned.
    pub fn planned(&self) -> &Steps {
        &self.planned
    }

    /// Who takes down what happens.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// A call whose placeholders stand gets what the thunk evaluates to: now, if that is known, or when it is.
    pub fn expect(&self, thunk: Name, delivery: Delivery) {
        let mut thunks = locked(&self.thunks);
        match thunks.entry(thunk).or_insert_with(|| Standing::Awaited(Vec::new())) {
            Standing::Awaited(waiting) => waiting.push(delivery),
            Standing::Ended { outcome, run, told } => {
                let (outcome, run, first) = (outcome.clone(), run.clone(), !std::mem::replace(told, true));
                drop(thunks);
                self.deliver(&thunk, &delivery, &outcome, &run, first);
            }
        }
    }

    /// Puts the outputs of a reduction into the tree at once.
    ///
    /// # Errors
    /// The path, and whatever the store or the file system says.
    pub fn place(
        &self,
        thunk: &Name,
        reduction: &Reduction,
        outputs: &BTreeMap<Tag, PathBuf>,
    ) -> Result<(), (PathBuf, io::Error)> {
        let renewed = self.whole(thunk, reduction)?;
        let reduction = renewed.as_deref().unwrap_or(reduction);
        self.place_some(reduction, outputs)?;
        self.place_undeclared(reduction)
    }

    fn place_some(&self, reduction: &Reduction, outputs: &BTreeMap<Tag, PathBuf>) -> Result<(), (PathBuf, io::Error)> {
        // A directory that is gone was removed by the build, and with it whatever was to be in it.
        let stands = |path: &Path| path.parent().is_none_or(Path::is_dir);
        let made = outputs
            .iter()
            .filter(|(_, path)| stands(path))
            .filter_map(|(tag, path)| Some((path, reduction.outputs.get(tag)?)));
        made.into_iter().try_for_each(|(path, made)| self.write(path, made))
    }

    /// Writes what a tool wrote without the model's knowing: dumps, side files. They belong to the tree as well.
    fn place_undeclared(&self, reduction: &Reduction) -> Result<(), (PathBuf, io::Error)> {
        for (path, made) in &reduction.undeclared {
            let path = path.as_path();
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|error| (parent.to_path_buf(), error))?;
            }
            self.write(path, made)?;
        }
        Ok(())
    }

    /// Puts real files in the place of a thunk's placeholders.
    ///
    /// # Errors
    /// The path, and whatever the store or the file system says.
    pub fn fulfil(&self, thunk: &Name, reduction: &Reduction) -> Result<(), (PathBuf, io::Error)> {
        let renewed = self.whole(thunk, reduction)?;
        let reduction = renewed.as_deref().unwrap_or(reduction);
        // One at a time: a reader who has the real file must not see it swapped for its twin.
        let turn = &self.turns[usize::from(thunk.digest()[0]) % self.turns.len()];
        let _turn = locked(turn);
        self.placeholders.fulfil(thunk, |placeholder| {
            reduction.outputs.get(&placeholder.tag).cloned().map(|made| move |file: &mut File| self.fill(file, &made))
        })
    }

    /// All that a thunk of another session left to be done: placeholders, and what has none.
    ///
    /// # Errors
    /// The path, and whatever the store or the file system says.
    pub fn complete(&self, thunk: &Name, reduction: &Reduction) -> Result<(), (PathBuf, io::Error)> {
        self.fulfil(thunk, reduction)?;
        if let Ok(description) = self.store.read_thunk(thunk) {
            let optional = description.outputs.iter().filter(|(_, output)| output.optional);
            let paths = optional.map(|(tag, output)| (tag.clone(), output.path.as_path().to_path_buf())).collect();
            self.place_some(reduction, &paths)?;
        }
        self.place_undeclared(reduction)
    }

    /// Whether this session has planned the thunk.
    pub fn knows(&self, thunk: &Name) -> bool {
        self.recorder.knows(thunk)
    }

    fn write(&self, path: &Path, made: &Made) -> Result<(), (PathBuf, io::Error)> {
        let fill = |file: &mut File| self.fill(file, made);
        self.placeholders.write(path, &fill).map_err(|error| (path.to_path_buf(), error))
    }

    /// Copies a made file's content.
    fn fill(&self, file: &mut File, made: &Made) -> io::Result<u32> {
        let Reference::Value(name) = &made.object else {
            return Err(io::Error::other("gg: an output was not evaluated to the end"));
        };
        self.store.write_to(name, file)?;
        Ok(made.mode)
    }

    fn deliver(&self, thunk: &Name, delivery: &Delivery, outcome: &Outcome, run: &Run, first: bool) {
        match outcome {
            Ok(reduction) => {
                // First what has no placeholder (outputs that may be left out, and what nobody declared): as long as a
                // placeholder stands, the next session delivers if this one is killed.
                let placed = self
                    .place_some(reduction, &delivery.unplaced)
                    .and_then(|()| self.place_undeclared(reduction))
                    .and_then(|()| if delivery.stays { Ok(()) } else { self.fulfil(thunk, reduction) });
                self.console.output(&reduction.stdout, &reduction.stderr);
                if let Err((path, error)) = placed {
                    self.fail_placing(thunk, &path, &error);
                }
            }
            Err(failure) => {
                self.placeholders.lose(thunk);
                self.restore(delivery);
                if first {
                    self.failures.tell(thunk, run, &delivery.command, &failure.cause);
                }
            }
        }
    }

    /// Puts back what a failed step was to change in place.
    fn restore(&self, delivery: &Delivery) {
        for (path, (object, mode)) in &delivery.restore {
            let value = match object {
                Reference::Value(name) => Some(*name),
                Reference::Output(thunk, tag) => match locked(&self.thunks).get(thunk) {
                    Some(Standing::Ended { outcome: Ok(reduction), .. }) => {
                        reduction.outputs.get(tag).map(|made| *made.object.name())
                    }
                    _ => None,
                },
            };
            if let (Some(name), false) = (value, path.exists()) {
                let made = Made { object: Reference::Value(name), mode: *mode };
                if let Err((path, error)) = self.write(path, &made) {
                    self.console.notice(&format!("cannot put {} back as it was: {error}", path.display()));
                }
            }
        }
    }

    fn fail_placing(&self, thunk: &Name, path: &Path, error: &io::Error) {
        self.placeholders.lose(thunk);
        self.failures.tell_unwritten(path, &error.to_string());
    }
}

impl Observer for Deliveries {
    fn finished(&self, done: &Finished) {
        drop(self.planned.take(&done.name));
        self.recorder.finished(done);
        let waiting = {
            let mut thunks = locked(&self.thunks);
            let standing = thunks.entry(done.name).or_insert_with(|| Standing::Awaited(Vec::new()));
            let (waiting, told) = match standing {
                Standing::Awaited(waiting) => (std::mem::take(waiting), false),
                Standing::Ended { told, .. } => (Vec::new(), *told),
            };
            let (run, told) = (Run::of(done), told || !waiting.is_empty());
            *standing = Standing::Ended { outcome: done.result.clone(), run, told };
            waiting
        };
        for (at, delivery) in waiting.iter().enumerate() {
            self.deliver(&done.name, delivery, &done.result, &Run::of(done), at == 0);
        }
    }

    fn notice(&self, text: &str) {
        self.console.detail(text);
        self.recorder.notice(text);
    }
}
