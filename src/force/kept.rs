//! What a thunk came to, in as few bytes as it takes: the plan remembers it of every thunk of a build.
//!
//! A [`Reduction`] with one output takes 1.3 KB, since a map sets aside room for eleven; this takes 150 bytes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use gg_ir::{AbsPath, Cost, Made, Name, Reduction, Reference, Tag};

use crate::failure::{Outcome, ThunkFailure};

/// How a thunk ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It has a reduction.
    Made(Kept),
    /// It has none.
    Failed(Arc<ThunkFailure>),
}

impl Ended {
    /// As callers see it; `thunk` is the thunk's name.
    pub fn outcome(&self, thunk: Name) -> Outcome {
        match self {
            Self::Made(kept) => Ok(Arc::new(kept.reduction(thunk))),
            Self::Failed(failure) => Err(failure.clone()),
        }
    }
}

/// A reduction whose references are all values.
#[derive(Debug)]
pub(crate) struct Kept {
    /// In the order of their tags.
    outputs: Box<[Part]>,
    cost: Cost,
    rest: Option<Box<Rest>>,
}

#[derive(Debug)]
struct Part {
    tag: Arc<Tag>,
    mode: u32,
    value: Name,
}

/// What few reductions have.
#[derive(Debug)]
struct Rest {
    undeclared: BTreeMap<AbsPath, Made>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Kept {
    pub fn of(reduction: &Reduction, words: &mut Words) -> Self {
        let part = |(tag, made): (&Tag, &Made)| {
            debug_assert!(made.object.thunk().is_none(), "a reference that is no value");
            Part { tag: words.tag(tag), mode: made.mode, value: *made.object.name() }
        };
        let Reduction { thunk: _, outputs, undeclared, stdout, stderr, cost } = reduction;
        let has_rest = !(undeclared.is_empty() && stdout.is_empty() && stderr.is_empty());
        let rest = || {
            let (undeclared, stdout, stderr) = (undeclared.clone(), stdout.clone(), stderr.clone());
            Box::new(Rest { undeclared, stdout, stderr })
        };
        Self { outputs: outputs.iter().map(part).collect(), cost: *cost, rest: has_rest.then(rest) }
    }

    /// What the output of this tag is; `None` when it was not written.
    pub fn value(&self, tag: &Tag) -> Option<Name> {
        self.outputs.iter().find(|part| *part.tag == *tag).map(|part| part.value)
    }

    /// The output of this tag with its mode; `None` when it was not written.
    pub fn made(&self, tag: &Tag) -> Option<Made> {
        let part = self.outputs.iter().find(|part| *part.tag == *tag)?;
        Some(Made { object: Reference::Value(part.value), mode: part.mode })
    }

    /// All objects that were made.
    pub fn values(&self) -> impl Iterator<Item = Name> {
        let undeclared = self.rest.iter().flat_map(|rest| rest.undeclared.values());
        self.outputs.iter().map(|part| part.value).chain(undeclared.map(|made| *made.object.name()))
    }

    /// The reduction of the thunk of this name.
    pub fn reduction(&self, thunk: Name) -> Reduction {
        let output =
            |part: &Part| (Tag::clone(&part.tag), Made { object: Reference::Value(part.value), mode: part.mode });
        let outputs = self.outputs.iter().map(output).collect();
        let mut whole = Reduction {
            thunk,
            outputs,
            undeclared: BTreeMap::new(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            cost: self.cost,
        };
        if let Some(rest) = &self.rest {
            whole.undeclared.clone_from(&rest.undeclared);
            whole.stdout.clone_from(&rest.stdout);
            whole.stderr.clone_from(&rest.stderr);
        }
        whole
    }
}

/// Words that many thunks have in common, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Words {
    kinds: HashSet<Arc<str>>,
    tags: HashMap<Tag, Arc<Tag>>,
}

impl Words {
    /// The kind of a step.
    pub fn kind(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.kinds.get(text) {
            return known.clone();
        }
        let kind: Arc<str> = text.into();
        self.kinds.insert(kind.clone());
        kind
    }

    fn tag(&mut self, tag: &Tag) -> Arc<Tag> {
        if let Some(known) = self.tags.get(tag) {
            return known.clone();
        }
        let shared = Arc::new(tag.clone());
        self.tags.insert(tag.clone(), shared.clone());
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{made, tag};

    #[test]
    fn what_goes_in_comes_out() {
        let (thunk, object) = (Name::of(gg_ir::Kind::Thunk, b"t"), Reference::Value(Name::of_value(b"o")));
        let mut words = Words::default();
        let mut whole = made(thunk, object.clone());
        whole.cost = Cost { wall_us: 1, cpu_us: 2, peak_kib: 3 };
        whole
            .outputs
            .insert(Tag::new("d").unwrap(), Made { object: Reference::Value(Name::of_value(b"d")), mode: 0o755 });
        let plain = Kept::of(&whole, &mut words);
        assert!(plain.rest.is_none());
        assert_eq!(plain.reduction(thunk), whole);
        assert_eq!((plain.value(&tag()), plain.value(&Tag::new("x").unwrap())), (Some(*object.name()), None));
        whole.undeclared.insert(AbsPath::new("/dump").unwrap(), Made { object, mode: 0o600 });
        (whole.stdout, whole.stderr) = (b"out".to_vec(), b"warning".to_vec());
        let kept = Kept::of(&whole, &mut words);
        assert_eq!(kept.reduction(thunk), whole);
        assert_eq!(kept.values().count(), 3);
        assert!(Arc::ptr_eq(&kept.outputs[0].tag, &plain.outputs[0].tag));
        assert!(size_of::<Kept>() <= 56 && size_of::<Part>() <= 64);
    }
}
