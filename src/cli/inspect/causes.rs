//! What a step differs in, followed through the steps before it to what a person has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gg_ir::{Name, Tag, Thunk};
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
    /// Outputs of other steps that were made anew, and are the same bytes.
    pub same: u64,
}

/// Follows.
pub struct Follower<'a> {
    store: &'a Store,
    record: &'a Record,
    steps: BTreeMap<&'a str, &'a StepRecord>,
    told: BTreeSet<(Name, Name)>,
    causes: Causes,
}

impl<'a> Follower<'a> {
    /// For the steps of this run.
    pub fn new(record: &'a Record, store: &'a Store) -> Self {
        let steps = record.steps.iter().map(|step| (step.thunk.as_str(), step)).collect();
        Self { store, record, steps, told: BTreeSet::new(), causes: Causes::default() }
    }

    /// What `after` differs in from `before`.
    pub fn follow(mut self, before: &Thunk, after: &Thunk) -> Causes {
        self.one(before, after, 0);
        self.causes
    }

    fn one(&mut self, before: &Thunk, after: &Thunk, depth: usize) {
        let mut found = differences(before, after, self.store);
        found.retain(|difference| match difference {
            Difference::Made(_, then, now) if self.is_same(then, now) => {
                self.causes.same += 1;
                false
            }
            _ => true,
        });
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

    /// Whether an output is the same bytes, though the step that makes it is another one.
    fn is_same(&self, then: &(Name, Tag), now: &(Name, Tag)) -> bool {
        let value = |(thunk, tag): &(Name, Tag)| {
            let made = self.store.reduction(thunk).ok().flatten()?.outputs.remove(tag)?;
            Some((made.object, made.mode))
        };
        value(then).is_some_and(|old| Some(old) == value(now))
    }

    fn shown(&self, path: &Path) -> String {
        printable(self.record.shorten(&path.to_string_lossy()))
    }
}
