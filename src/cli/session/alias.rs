//! A probe under other names: those that are made up anew each time are replaced by ones that stay the same, so that the same
//! question is asked under the same name of a thunk, and what comes back is told in the caller's names.
//!
//! The replacements are as long as what they replace, so that texts stay aligned and bytes in their places. A file that holds a
//! name of this kind differs between any two runs of the same build; one that holds none is what the tool makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use gg_ir::{AbsPath, Failed, Input, Kind, Reduction, Reference, Thunk};
use gg_store::Store;

use super::temporary::Temporaries;

/// Files up to this length are looked through for names.
const MOST: u64 = 1 << 20;

/// Options by which names go into outputs where they cannot be put back: compressed, hashed, or into names of more files.
const NAMES_ARE_USED: &[&str] = &[
    "-gz",
    "-gsplit-dwarf",
    "-flto",
    "--coverage",
    "-coverage",
    "-fprofile",
    "-ftest-coverage",
    "-save-temps",
    "-frandom-seed",
];

/// Names, and what stands in their place.
#[derive(Clone, Debug, Default)]
pub struct Alias {
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Alias {
    /// Other names for a probe, and the thunk with them; `None` where it holds no made-up name, or its result might depend on
    /// what the names are.
    pub fn of(thunk: &Thunk, temporaries: &Temporaries, store: &Store) -> Option<(Self, Thunk)> {
        let function = &thunk.function;
        let uses_names = |arg: &OsString| NAMES_ARE_USED.iter().any(|it| arg.as_bytes().starts_with(it.as_bytes()));
        if thunk.volatile || function.args.iter().any(uses_names) {
            return None;
        }
        let outputs = thunk.outputs.values().map(|output| &output.path);
        let paths = thunk.inputs.keys().chain(outputs).chain([&function.cwd]);
        let mut names: Vec<Vec<u8>> = Vec::new();
        let found: BTreeSet<Vec<u8>> =
            paths.flat_map(|path| temporaries.names(path.as_path())).map(<[u8]>::to_vec).collect();
        // In the order in which the command names them, which stays the same.
        let place = |name: &[u8]| {
            let texts = function.args.iter().map(|arg| arg.as_bytes()).chain([function.cwd.as_bytes()]);
            texts.enumerate().find_map(|(at, text)| Some((at, find(text, name)?)))
        };
        names.extend(found);
        names.sort_by_key(|name| (place(name).unwrap_or((usize::MAX, 0)), name.len()));
        let pairs = names.into_iter().enumerate().map(|(number, name)| {
            let mut stand_in = format!("Gg{number}").into_bytes();
            stand_in.extend(b"qz".iter().cycle().take(name.len().saturating_sub(stand_in.len())));
            (stand_in.len() == name.len()).then_some((name, stand_in))
        });
        let alias = Self { pairs: pairs.collect::<Option<_>>()? };
        if alias.pairs.is_empty() {
            return None;
        }
        let renamed = alias.renamed(thunk, store)?;
        Some((alias, renamed))
    }

    /// An input with the other names in it; `None` where it cannot be looked into.
    fn input(&self, input: &Input, store: &Store) -> Option<Input> {
        match input {
            Input::File { object: Reference::Value(value), mode } if value.length() <= MOST => {
                let content = store.read(value).ok()?;
                if self.pairs.iter().all(|(name, _)| find(&content, name).is_none()) {
                    return Some(input.clone());
                }
                let object = Reference::Value(store.put(Kind::Value, &self.told(&content)).ok()?);
                Some(Input::File { object, mode: *mode })
            }
            Input::File { .. } => None,
            Input::Symlink(target) => Some(Input::Symlink(OsString::from_vec(self.told(target.as_bytes())))),
            Input::Tree(_) | Input::Directory => Some(input.clone()),
        }
    }

    /// The thunk with the other names; `None` where an input cannot be looked into.
    pub fn renamed(&self, thunk: &Thunk, store: &Store) -> Option<Thunk> {
        let concerned = |path: &AbsPath| {
            let beside = path.as_path().starts_with(thunk.function.cwd.as_path());
            beside || self.pairs.iter().any(|(name, _)| find(path.as_bytes(), name).is_some())
        };
        let text = |text: &OsStr| OsString::from_vec(self.told(text.as_bytes()));
        let path = |path: &AbsPath| AbsPath::from_bytes(&self.told(path.as_bytes())).ok();
        let mut renamed = thunk.clone();
        let function = &mut renamed.function;
        function.args = function.args.iter().map(|arg| text(arg)).collect();
        function.env = function.env.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        function.cwd = path(&function.cwd)?;
        let input =
            |at: &AbsPath, input: &Input| if concerned(at) { self.input(input, store) } else { Some(input.clone()) };
        renamed.inputs =
            thunk.inputs.iter().map(|(at, it)| Some((path(at)?, input(at, it)?))).collect::<Option<_>>()?;
        for output in renamed.outputs.values_mut() {
            output.path = path(&output.path)?;
        }
        Some(renamed)
    }

    /// From the caller's names to the others.
    fn told(&self, text: &[u8]) -> Vec<u8> {
        self.pairs.iter().fold(text.to_vec(), |text, (name, stand_in)| replaced(text, name, stand_in))
    }

    /// Back to the caller's names.
    pub fn back(&self, text: &[u8]) -> Vec<u8> {
        self.pairs.iter().fold(text.to_vec(), |text, (name, stand_in)| replaced(text, stand_in, name))
    }

    /// Whether nothing is renamed.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The failure in the caller's names.
    pub fn failed(&self, failed: &Failed) -> Failed {
        Failed { stdout: self.back(&failed.stdout), stderr: self.back(&failed.stderr), ..failed.clone() }
    }

    /// The reduction in the caller's names, and with values that are in the store; `None` where they cannot be put in.
    pub fn reduction(&self, reduction: &Reduction, store: &Store) -> Option<Reduction> {
        let mut reduction = reduction.clone();
        reduction.stdout = self.back(&reduction.stdout);
        reduction.stderr = self.back(&reduction.stderr);
        let mut undeclared = BTreeMap::new();
        for (path, made) in reduction.undeclared {
            undeclared.insert(AbsPath::from_bytes(&self.back(path.as_bytes())).ok()?, made);
        }
        reduction.undeclared = undeclared;
        for made in reduction.outputs.values_mut().chain(reduction.undeclared.values_mut()) {
            let Reference::Value(value) = &made.object else { return None };
            let content = if value.length() <= 16 * MOST { store.read(value).ok()? } else { return None };
            if self.pairs.iter().all(|(_, stand_in)| find(&content, stand_in).is_none()) {
                continue;
            }
            made.object = Reference::Value(store.put(Kind::Value, &self.back(&content)).ok()?);
        }
        Some(reduction)
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn replaced(mut text: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| find(rest, from)) {
        let begin = at + found;
        text[begin..begin + from.len()].copy_from_slice(to);
        at = begin + from.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let alias = Alias { pairs: vec![(b"cmTC_0fa3b".to_vec(), b"Gg0qzqzqzq".to_vec())] };
        let there = alias.told(b"CMakeFiles/cmTC_0fa3b.dir/cmTC_0fa3b.o");
        assert_eq!(there, b"CMakeFiles/Gg0qzqzqzq.dir/Gg0qzqzqzq.o");
        assert_eq!(alias.back(&there), b"CMakeFiles/cmTC_0fa3b.dir/cmTC_0fa3b.o");
    }
}
