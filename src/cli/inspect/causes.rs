//! What a step differs in, followed through the steps before it to what a person has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gg_ir::{AbsPath, Input, Name, Reference, Tag, Thunk};
use gg_store::Store;

use super::differences::{Difference, How, differences};
use crate::console::printable;
use crate::report::{Record, StepRecord};

/// As many things are told of one step.
const TOLD: usize = 10;

/// What a step differs in, in words.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Causes {
    /// Lines, and how deep each stands below the step that was asked about.
    pub lines: Vec<(usize, String)>,
    /// What it comes down to: things that no step has made.
    pub roots: BTreeSet<String>,
    /// Whether a root is behind another step.
    pub is_deep: bool,
}

/// Follows.
pub struct Follower<'a> {
    store: &'a Store,
    then: &'a Record,
    record: &'a Record,
    steps: BTreeMap<&'a str, &'a StepRecord>,
    told: BTreeSet<(Name, Name)>,
    causes: Causes,
}

impl<'a> Follower<'a> {
    /// For the steps of this run, and of the one before that it is compared with.
    pub fn new(then: &'a Record, record: &'a Record, store: &'a Store) -> Self {
        let steps = record.steps.iter().map(|step| (step.thunk.as_str(), step)).collect();
        Self { store, then, record, steps, told: BTreeSet::new(), causes: Causes::default() }
    }

    /// What `after` differs in from `before`.
    pub fn follow(mut self, before: &Thunk, after: &Thunk) -> Causes {
        self.one(before, after, 0);
        self.causes
    }

    fn one(&mut self, before: &Thunk, after: &Thunk, depth: usize) {
        let (mut found, mut in_place) = (Vec::new(), None);
        for difference in differences(before, after, self.store) {
            match self.made_by_steps(before, after, difference) {
                None => {}
                Some(Difference::File(path, _)) if is_output(after, &path) => in_place = Some(path),
                Some(difference) => found.push(difference),
            }
        }
        if let Some(path) = in_place {
            let text = format!("{} was there in another state, and is changed in place", self.shown(&path));
            // Where that is all, it is the cause; else it is a consequence.
            if found.is_empty() {
                found.push(Difference::Call(text));
            }
        }
        let more = found.len().saturating_sub(TOLD);
        for (at, difference) in found.into_iter().enumerate() {
            let is_told = at < TOLD;
            match difference {
                Difference::Made(path, (then, _), (now, _)) => self.made(&path, &then, &now, depth, is_told),
                Difference::File(path, how) => {
                    let path = self.shown(&path);
                    let (text, root) = match how {
                        How::Changed => (format!("{path} changed"), path),
                        How::New => (format!("{path} is read, and was not"), format!("{path} (new)")),
                        How::Gone => (format!("{path} is not read any more"), format!("{path} (gone)")),
                        How::Mode => (format!("the permissions of {path} changed"), path),
                    };
                    self.root(depth, text, root, is_told);
                }
                Difference::Call(text) => self.root(depth, text.clone(), text, is_told),
            }
        }
        if more > 0 {
            self.causes.lines.push((depth, format!("and {more} more")));
        }
    }

    fn root(&mut self, depth: usize, text: String, root: String, is_told: bool) {
        self.causes.is_deep |= depth > 0;
        self.causes.roots.insert(root);
        if is_told {
            self.causes.lines.push((depth, text));
        }
    }

    fn made(&mut self, path: &Path, then: &Name, now: &Name, depth: usize, is_told: bool) {
        let path = self.shown(path);
        let step = self.steps.get(now.to_string().as_str()).copied();
        let kind = step.map_or_else(String::new, |step| format!(" ({})", step.kind));
        if !self.told.insert((*then, *now)) {
            if is_told {
                self.causes.lines.push((depth, format!("{path} changed, as told above")));
            }
            return;
        }
        let both = (self.store.read_thunk(then), self.store.read_thunk(now));
        let (Ok(before), Ok(after)) = both else {
            let text = format!("{path} changed; what its step{kind} was made from is not kept any more");
            return self.root(depth, text, path, is_told);
        };
        if !is_told {
            // Not in words, but for what it comes down to.
            let lines = self.causes.lines.len();
            self.one(&before, &after, depth + 1);
            return self.causes.lines.truncate(lines);
        }
        self.causes.lines.push((depth, format!("{path} changed, since for its step{kind}:")));
        self.one(&before, &after, depth + 1);
    }

    /// A difference of files as one of outputs, if steps made them: whether a thunk names a step or bytes depends on whether the step
    /// had ended when the thunk was made. None if it is the same bytes.
    fn made_by_steps(&self, before: &Thunk, after: &Thunk, difference: Difference) -> Option<Difference> {
        let (Difference::File(path, How::Changed) | Difference::Made(path, ..)) = &difference else {
            return Some(difference);
        };
        let (old, new) = (self.value(before, path), self.value(after, path));
        if old.is_some() && old == new {
            return None;
        }
        if matches!(difference, Difference::Made(..)) || is_output(after, path) {
            return Some(difference);
        }
        let made = self.maker(self.then, path).zip(self.maker(self.record, path)).filter(|(then, now)| then != now);
        Some(match made {
            Some((then, now)) => Difference::Made(path.clone(), then, now),
            None => difference,
        })
    }

    /// What a thunk reads at a path: content and permission bits.
    fn value(&self, thunk: &Thunk, path: &Path) -> Option<(Reference, u32)> {
        let Input::File { object, mode } = thunk.inputs.get(&AbsPath::new(path).ok()?)? else { return None };
        let Reference::Output(other, tag) = object else { return Some((object.clone(), *mode)) };
        let made = self.store.reduction(other).ok().flatten()?.outputs.remove(tag)?;
        Some((made.object, *mode))
    }

    /// The output that a file is, by the record of a run.
    fn maker(&self, record: &Record, path: &Path) -> Option<(Name, Tag)> {
        let name: Name = record.steps[record.maker(path)?].thunk.parse().ok()?;
        let thunk = self.store.read_thunk(&name).ok()?;
        let output = thunk.outputs.iter().find(|(_, output)| output.path.as_path() == path);
        output.map(|(tag, _)| (name, tag.clone()))
    }

    fn shown(&self, path: &Path) -> String {
        printable(self.record.shorten(&path.to_string_lossy()))
    }
}

fn is_output(thunk: &Thunk, path: &Path) -> bool {
    thunk.outputs.values().any(|output| output.path.as_path() == path)
}
