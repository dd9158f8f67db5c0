//! Which step a person means.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gg_ir::{Kind, Name, Reference};
use gg_store::Store;

use super::{absolute, sources};
use crate::report::{Record, Runs, Served, StepRecord};
use crate::settings::Settings;

/// As many files are named where several may be meant.
const NAMED: usize = 8;

/// A step, in the record of the run that it was last a part of.
pub struct Found {
    /// The runs of the directory that it was built in; none where only the store knows it.
    pub runs: Option<Runs>,
    /// The run.
    pub record: Record,
    /// The step's place in it.
    pub place: usize,
}

impl Found {
    /// The step.
    pub fn step(&self) -> &StepRecord {
        &self.record.steps[self.place]
    }

    /// Its thunk's name.
    ///
    /// # Errors
    /// When the record is of a simulated build.
    pub fn thunk(&self) -> Result<Name> {
        self.step().thunk.parse().context("its record names no thunk")
    }

    /// What it makes, as the person who built it calls that.
    pub fn label(&self) -> &str {
        self.record.shorten(&self.step().label)
    }

    /// The records of the runs before its own in the same directory, the latest first. What cannot be read is left out.
    pub fn earlier(&self) -> impl Iterator<Item = Record> {
        let runs = self.runs.as_ref();
        let numbers = runs.and_then(|runs| runs.numbers().ok()).unwrap_or_default();
        let before = numbers.into_iter().rev().filter(|number| *number < self.record.run);
        before.filter_map(move |number| runs?.load(number).ok())
    }
}

/// Finds the step that makes a file, that a name of a thunk or of a value belongs to, or that is the only one whose command names
/// a source. Looked for in the runs of the directories above the file and above the current one, from the last run on; then in the
/// last runs of all others.
///
/// # Errors
/// When there is no record, no such step, or several.
pub fn find(what: &OsStr, store: &Store, settings: &Settings) -> Result<Found> {
    let root = std::env::current_dir().context("the current directory is gone")?;
    let text = what.to_str().unwrap_or_default();
    let name: Option<Name> =
        text.parse::<Reference>().map(|reference| *reference.name()).ok().or_else(|| text.parse().ok());
    let path = absolute(Path::new(what), &root);
    let looked = Looked::new(&path, &root, settings)?;
    if let Some(name) = name {
        return by_name(&name, &looked, store);
    }
    if looked.near.is_empty() && looked.far.is_empty() {
        bail!("there is no record of a build yet; build something with gg-make first");
    }
    // The same file, where a directory on its way is a link.
    let real = path.parent().and_then(|parent| Some(parent.canonicalize().ok()?.join(path.file_name()?)));
    let paths: Vec<PathBuf> = [Some(path), real].into_iter().flatten().collect();
    let made = |record: &Record| paths.iter().find_map(|path| record.maker(path));
    if let Some(found) = looked.search(&made) {
        return Ok(found);
    }
    for runs in looked.near.iter().chain(&looked.far) {
        let Some(record) = last(runs) else { continue };
        let places = paths.iter().map(|path| sources::users(&record, path, store)).find(|places| !places.is_empty());
        match places.as_deref() {
            None | Some([]) => {}
            Some(&[place]) => return Ok(Found { runs: Some(runs.clone()), record, place }),
            Some(several) => bail!("{}", ambiguous(Path::new(what), &record, several)),
        }
    }
    bail!("{}", unknown(Path::new(what), &looked))
}

/// The runs in which a step may be.
struct Looked {
    /// Of directories above the file, or above the person.
    near: Vec<Runs>,
    /// Of all others.
    far: Vec<Runs>,
}

impl Looked {
    fn new(path: &Path, root: &Path, settings: &Settings) -> Result<Self> {
        let at = || format!("cannot look for records in {}", settings.directory.display());
        let mut near: Vec<Runs> = Vec::new();
        for place in path.ancestors().skip(1).chain(root.ancestors()) {
            let runs = Runs::of(&settings.directory, place);
            if !near.contains(&runs) && !runs.numbers().with_context(at)?.is_empty() {
                near.push(runs);
            }
        }
        let mut far = Runs::all(&settings.directory).with_context(at)?;
        far.retain(|runs| !near.contains(runs) && runs.numbers().is_ok_and(|numbers| !numbers.is_empty()));
        Ok(Self { near, far })
    }

    /// The step at the place that `place` finds in a record.
    fn search(&self, place: &dyn Fn(&Record) -> Option<usize>) -> Option<Found> {
        let found = |runs: &Runs, record: Record| {
            let place = place(&record)?;
            Some(Found { runs: Some(runs.clone()), record, place })
        };
        let all = |runs: &Runs| runs.numbers().unwrap_or_default().into_iter().rev();
        let near = self.near.iter().find_map(|runs| {
            // One that is replaced meanwhile is not the last one.
            all(runs).find_map(|number| found(runs, runs.load(number).ok()?))
        });
        near.or_else(|| self.far.iter().find_map(|runs| found(runs, last(runs)?)))
    }
}

fn last(runs: &Runs) -> Option<Record> {
    runs.load(*runs.numbers().ok()?.last()?).ok()
}

fn by_name(name: &Name, looked: &Looked, store: &Store) -> Result<Found> {
    let text = name.to_string();
    if name.kind() == Kind::Thunk {
        let found = looked.search(&|record| record.steps.iter().rposition(|step| step.thunk == text));
        return match found {
            Some(found) => Ok(found),
            None => alone(name, store).with_context(|| format!("{name} is in no record of a build here")),
        };
    }
    let is_made = |step: &StepRecord| {
        let reduction = step.thunk.parse().ok().and_then(|thunk| store.reduction(&thunk).ok()?);
        reduction.is_some_and(|made| {
            made.outputs.values().chain(made.undeclared.values()).any(|made| made.object.name() == name)
        })
    };
    let found = looked.search(&|record| record.steps.iter().rposition(is_made));
    found.with_context(|| format!("{name} was made by no step whose record is kept; `gg describe` says what it is"))
}

/// A step of which only the store knows.
fn alone(name: &Name, store: &Store) -> Result<Found> {
    let thunk = store.read_thunk(name)?;
    let served = if store.reduction(name)?.is_some() { Served::Cached } else { Served::Pending };
    let step = StepRecord { served, ..StepRecord::of_thunk(name, &thunk) };
    let root = thunk.function.cwd.as_path().to_path_buf();
    Ok(Found { runs: None, record: Record { root, steps: vec![step], ..Record::default() }, place: 0 })
}

fn ambiguous(what: &Path, record: &Record, places: &[usize]) -> String {
    let labels: Vec<&str> =
        places.iter().take(NAMED).map(|&place| record.shorten(&record.steps[place].label)).collect();
    let more = if places.len() > NAMED { ", ..." } else { "" };
    let (what, count, labels) = (what.display(), places.len(), labels.join(", "));
    format!("{what} is used by {count} steps; name what one of them makes: {labels}{more}")
}

/// Why no step is known for a file.
fn unknown(what: &Path, looked: &Looked) -> String {
    let record = looked.near.iter().chain(&looked.far).find_map(last);
    let Some(record) = record else {
        return format!("{}: the record of the last build cannot be read; build again", what.display());
    };
    let name = what.file_name().unwrap_or_default().to_string_lossy();
    let names = |text: &str| !name.is_empty() && text.split([' ', '/', '\'', '=']).any(|word| word == name);
    if let Some(call) = record.here.iter().rev().find(|call| names(&call.command)) {
        return format!(
            "{} is made by no step; a command that names it ran here and now, outside of gg's sandboxes, since {}:\n    {}",
            what.display(),
            call.reason,
            call.command
        );
    }
    format!(
        "{} is made by no step whose record is kept, and the command of none in run {} of {} names it; name a file that a step \
         makes, or a source",
        what.display(),
        record.run,
        record.root.display()
    )
}
