//! A probe under other names: those that are made up anew each time are replaced by ones that stay the same, so that the same
//! question is asked under the same name of a thunk, and what comes back is told in the caller's names.
//!
//! A file that holds a name of this kind differs between any two runs of the same build; one that holds none is what the tool
//! makes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gg_ir::{AbsPath, Failed, Input, Kind, Name, Reduction, Reference, Thunk};
use gg_store::Store;

use super::probe::is_probes;
use super::temporary::{Temporaries, Temporary};

/// Files up to this length are looked through for names.
const MOST: u64 = 16 << 20;

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
    /// Nothing but the strings of a symbol table, or of the program itself, can hold a name.
    plain: bool,
}

/// Gives probes other names.
#[derive(Debug)]
pub struct Aliases {
    temporaries: Temporaries,
    store: Arc<Store>,
    /// What was put back into a file: the file before that.
    before: Mutex<HashMap<Name, Name>>,
}

impl Aliases {
    /// For a session that builds in `root`.
    pub fn new(store: Arc<Store>, root: &Path, sessions: &Path) -> Self {
        Self { temporaries: Temporaries::new(root, sessions), store, before: Mutex::default() }
    }

    /// Which names are made up.
    pub fn temporaries(&self) -> &Temporaries {
        &self.temporaries
    }

    /// Other names for a probe, and the thunk with them; `None` where it holds no made-up name, or they could not be put back, or
    /// something comes out that somebody may keep: the strings in a file can be in another order under other names.
    pub fn of(&self, thunk: &Thunk) -> Option<(Alias, Thunk)> {
        let is_kept = |path: &Path| !(is_probes(path) || self.temporaries.holds(path));
        if thunk.outputs.values().any(|output| is_kept(output.path.as_path())) {
            return None;
        }
        let function = &thunk.function;
        let begins = |arg: &OsString, with: &str| arg.as_bytes().starts_with(with.as_bytes());
        if thunk.volatile || function.args.iter().any(|arg| NAMES_ARE_USED.iter().any(|it| begins(arg, it))) {
            return None;
        }
        let outputs = thunk.outputs.values().map(|output| &output.path);
        let paths = thunk.inputs.keys().chain(outputs).chain([&function.cwd]);
        let found: BTreeSet<Temporary> = paths.flat_map(|path| self.temporaries.names(path.as_path())).collect();
        // In the order in which the command names them, which stays the same.
        let place = |name: &[u8]| {
            let mut texts = function.args.iter().map(|arg| arg.as_bytes()).chain([function.cwd.as_bytes()]).enumerate();
            texts.find_map(|(at, text)| Some((at, find(text, name)?))).unwrap_or((usize::MAX, 0))
        };
        let mut names: Vec<Temporary> = found.into_iter().collect();
        names.sort_by_key(|it| (place(it.name), it.name.len()));
        let pairs: Vec<_> =
            names.into_iter().enumerate().map(|(at, it)| (it.name.to_vec(), stand_in(at, it))).collect();
        if pairs.is_empty() {
            return None;
        }
        let alias = Alias { pairs, plain: !function.args.iter().any(|arg| begins(arg, "-g")) };
        let renamed = self.renamed(&alias, thunk)?;
        Some((alias, renamed))
    }

    /// The thunk under the other names; `None` where an input cannot be looked into.
    pub fn renamed(&self, alias: &Alias, thunk: &Thunk) -> Option<Thunk> {
        if alias.is_empty() {
            return Some(thunk.clone());
        }
        let text = |text: &OsStr| OsString::from_vec(alias.told(text.as_bytes()));
        let path = |path: &AbsPath| AbsPath::from_bytes(&alias.told(path.as_bytes())).ok();
        let concerned =
            |path: &AbsPath| path.as_path().starts_with(thunk.function.cwd.as_path()) || alias.is_in(path.as_bytes());
        let input = |at: &AbsPath, it: &Input| if concerned(at) { self.input(alias, it) } else { Some(it.clone()) };
        let mut renamed = thunk.clone();
        let function = &mut renamed.function;
        function.args = function.args.iter().map(|arg| text(arg)).collect();
        function.env = function.env.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        function.cwd = path(&function.cwd)?;
        renamed.inputs =
            thunk.inputs.iter().map(|(at, it)| Some((path(at)?, input(at, it)?))).collect::<Option<_>>()?;
        for output in renamed.outputs.values_mut() {
            output.path = path(&output.path)?;
        }
        Some(renamed)
    }

    fn input(&self, alias: &Alias, input: &Input) -> Option<Input> {
        match input {
            Input::File { object: Reference::Value(value), mode } => {
                let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).get(value).copied();
                let object = before.or_else(|| self.with(value, |content| alias.told_in(content)))?;
                Some(Input::File { object: Reference::Value(object), mode: *mode })
            }
            Input::File { .. } => None,
            Input::Symlink(target) => Some(Input::Symlink(OsString::from_vec(alias.told(target.as_bytes())))),
            Input::Tree(_) | Input::Directory => Some(input.clone()),
        }
    }

    /// A value with other content, which is then in the store.
    fn with(&self, value: &Name, change: impl FnOnce(Vec<u8>) -> Change) -> Option<Name> {
        if value.length() > MOST {
            return None;
        }
        match change(self.store.read(value).ok()?) {
            Change::None => Some(*value),
            Change::To(content) => self.store.put(Kind::Value, &content).ok(),
            Change::Impossible => None,
        }
    }

    /// The reduction in the caller's names, and with values that are in the store; `None` where these cannot be put in.
    pub fn reduction(&self, alias: &Alias, reduction: &Reduction) -> Option<Reduction> {
        let mut told = reduction.clone();
        told.stdout = alias.back(&reduction.stdout);
        told.stderr = alias.back(&reduction.stderr);
        let mut undeclared = BTreeMap::new();
        for (path, made) in told.undeclared {
            undeclared.insert(AbsPath::from_bytes(&alias.back(path.as_bytes())).ok()?, made);
        }
        told.undeclared = undeclared;
        for made in told.outputs.values_mut().chain(told.undeclared.values_mut()) {
            let Reference::Value(value) = made.object else { return None };
            let put = self.with(&value, |content| alias.back_in(content))?;
            if put != value {
                self.before.lock().unwrap_or_else(PoisonError::into_inner).insert(put, value);
            }
            made.object = Reference::Value(put);
        }
        Some(told)
    }
}

impl Alias {
    /// Whether nothing is renamed.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    fn is_in(&self, text: &[u8]) -> bool {
        self.pairs.iter().any(|(name, _)| find(text, name).is_some())
    }

    /// From the caller's names to the others.
    fn told(&self, text: &[u8]) -> Vec<u8> {
        self.pairs.iter().fold(text.to_vec(), |text, (name, stand_in)| replaced(&text, name, stand_in))
    }

    /// Back to the caller's names.
    fn back(&self, text: &[u8]) -> Vec<u8> {
        self.pairs.iter().fold(text.to_vec(), |text, (name, stand_in)| replaced(&text, stand_in, name))
    }

    /// The failure in the caller's names.
    pub fn failed(&self, failed: &Failed) -> Failed {
        Failed { stdout: self.back(&failed.stdout), stderr: self.back(&failed.stderr), ..failed.clone() }
    }

    /// Whether names can be changed in a file like in a text: it is one, or nothing moves.
    fn is_like_text(&self, content: &[u8]) -> bool {
        self.pairs.iter().all(|(name, stand_in)| name.len() == stand_in.len()) || !content.contains(&0)
    }

    /// What becomes of a file under the other names.
    fn told_in(&self, content: Vec<u8>) -> Change {
        match self.is_in(&content) {
            false => Change::None,
            true if self.is_like_text(&content) => Change::To(self.told(&content)),
            true => Change::Impossible,
        }
    }

    /// What becomes of a file in the caller's names.
    fn back_in(&self, content: Vec<u8>) -> Change {
        let holds = self.pairs.iter().any(|(_, stand_in)| find(&content, stand_in).is_some());
        match holds {
            false => Change::None,
            true if self.is_like_text(&content) => Change::To(self.back(&content)),
            true if self.plain && content.starts_with(b"\x7fELF") => {
                let back =
                    self.pairs.iter().try_fold(content, |content, (name, other)| shortened(content, other, name));
                back.map_or(Change::Impossible, Change::To)
            }
            true => Change::Impossible,
        }
    }
}

/// What becomes of a file's content.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// It holds no name.
    None,
    To(Vec<u8>),
    /// Other names do not fit in.
    Impossible,
}

/// What stands in place of a name: as long as that, so that texts stay aligned and bytes in their places; or longer, where the
/// next name may have another length.
fn stand_in(at: usize, it: Temporary) -> Vec<u8> {
    let length = if it.varies { (it.name.len() / 16 + 1) * 16 } else { it.name.len() };
    let mut text = format!("Gg{at}").into_bytes();
    let rest = length.saturating_sub(text.len());
    text.extend(b"qz".iter().cycle().take(rest));
    text
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let first = *part.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|&byte| byte == first) {
        if text[from + at..].starts_with(part) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Puts a shorter text in place of one in strings that end with a zero; more zeros fill what is left of each.
fn shortened(mut content: Vec<u8>, from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let less = from.len().checked_sub(to.len())?;
    let mut at = 0;
    while let Some(found) = content.get(at..).and_then(|rest| find(rest, from)) {
        let begin = at + found;
        let end = begin + content[begin..].iter().position(|&byte| byte == 0)?;
        content.copy_within(begin + from.len()..end, begin + to.len());
        content[begin..begin + to.len()].copy_from_slice(to);
        content[end - less..end].fill(0);
        at = begin + to.len();
    }
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(name: &str) -> Alias {
        let it = Temporary { name: name.as_bytes(), varies: name.starts_with("vpx") };
        Alias { pairs: vec![(name.into(), stand_in(0, it))], plain: true }
    }

    #[test]
    fn there_and_back() {
        let alias = alias("cmTC_0fa3b");
        let there = alias.told(b"CMakeFiles/cmTC_0fa3b.dir/cmTC_0fa3b.o");
        assert_eq!(there, b"CMakeFiles/Gg0qzqzqzq.dir/Gg0qzqzqzq.o");
        assert_eq!(alias.back(&there), b"CMakeFiles/cmTC_0fa3b.dir/cmTC_0fa3b.o");
    }

    #[test]
    fn numbers_of_other_lengths() {
        let (one, two) = (alias("vpx-conf-10384-21366"), alias("vpx-conf-4711-9"));
        assert_eq!(two.pairs[0].1.len(), 16);
        assert_eq!(alias("vpx-conf-100-1234567").pairs[0].1, one.pairs[0].1);
        let text = b"/tmp/vpx-conf-10384-21366.c:1: error";
        assert_eq!(one.back(&one.told(text)), text);
        // In a table of strings the rest moves, and nothing else does.
        let inside = [&b"\x7fELF\0"[..], &one.pairs[0].1, b".c\0main\0"].concat();
        let Change::To(told) = one.back_in(inside.clone()) else { panic!() };
        assert_eq!(told.len(), inside.len());
        assert_eq!(&told[..30], b"\x7fELF\0vpx-conf-10384-21366.c\0\0\0");
        assert!(told.ends_with(b"\0main\0"));
        assert_eq!(one.told_in(told), Change::Impossible, "what cannot be undone is remembered instead");
        assert_eq!(one.back_in([&b"\0bin"[..], &one.pairs[0].1].concat()), Change::Impossible);
        assert_eq!(one.back_in(b"\0bin".to_vec()), Change::None);
    }
}
