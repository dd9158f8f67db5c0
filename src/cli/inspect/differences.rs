//! What two thunks of the same step differ in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use gg_ir::{AbsPath, Entry, Input, Name, Reference, Tag, Thunk, Tree};
use gg_store::Store;

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It is another one.
    Changed,
    /// It was not there.
    New,
    /// It is not there any more.
    Gone,
    /// Its content is the same, its permission bits are not.
    Mode,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The call, in words.
    Call(String),
    /// A file that a person or the system has made.
    File(PathBuf, How),
    /// An output of another step, which has changed: its place, the output then and now.
    Made(PathBuf, (Name, Tag), (Name, Tag)),
}

/// As many files of one system directory are named.
const NAMED: usize = 5;

/// What is different in `after`: of files first, then of the call.
pub fn differences(before: &Thunk, after: &Thunk, store: &Store) -> Vec<Difference> {
    let mut found = Vec::new();
    let paths: BTreeSet<&AbsPath> = before.inputs.keys().chain(after.inputs.keys()).collect();
    for path in paths {
        let file = |how| Difference::File(path.as_path().to_path_buf(), how);
        match (before.inputs.get(path), after.inputs.get(path)) {
            (Some(old), Some(new)) if old == new => {}
            (
                Some(Input::File { object: Reference::Output(old, old_tag), .. }),
                Some(Input::File { object: Reference::Output(new, tag), .. }),
            ) if (old, old_tag) != (new, tag) => {
                let (then, now) = ((*old, old_tag.clone()), (*new, tag.clone()));
                found.push(Difference::Made(path.as_path().to_path_buf(), then, now));
            }
            (Some(Input::File { object: old, .. }), Some(Input::File { object: new, .. })) if old == new => {
                found.push(file(How::Mode));
            }
            (Some(Input::Tree(old)), Some(Input::Tree(new))) => {
                below(path.as_path(), old, new, store, &mut found);
            }
            (Some(_), Some(_)) => found.push(file(How::Changed)),
            // A directory that is empty for the step.
            (None, Some(Input::Directory)) | (Some(Input::Directory), None) => {}
            (None, Some(_)) => found.push(file(How::New)),
            (Some(_), None) => found.push(file(How::Gone)),
            (None, None) => {}
        }
    }
    call(before, after, &mut found);
    if found.is_empty() && before != after {
        found.push(Difference::Call("what it may see or write is described in another way".to_owned()));
    }
    found
}

/// What differs below a system directory.
fn below(path: &Path, old: &Name, new: &Name, store: &Store, found: &mut Vec<Difference>) {
    let mut files = Vec::new();
    let mut todo = vec![(path.to_path_buf(), *old, *new)];
    while let (Some((path, old, new)), true) = (todo.pop(), files.len() <= NAMED) {
        let (Ok(old), Ok(new)) = (store.read_tree(&old), store.read_tree(&new)) else {
            files.push((path, How::Changed));
            continue;
        };
        let names: BTreeSet<&OsStr> = names(&old).chain(names(&new)).collect();
        for name in names {
            let place = path.join(name);
            match (old.get(name), new.get(name)) {
                (old, new) if old == new => {}
                (Some(Entry::Tree(old)), Some(Entry::Tree(new))) => todo.push((place, *old, *new)),
                (Some(_), Some(_)) => files.push((place, How::Changed)),
                (None, _) => files.push((place, How::New)),
                (_, None) => files.push((place, How::Gone)),
            }
        }
    }
    if files.len() > NAMED {
        let first = files[0].0.display();
        let text = format!("the tools or system files below {} changed: {first} and others", path.display());
        return found.push(Difference::Call(text));
    }
    found.extend(files.into_iter().map(|(path, how)| Difference::File(path, how)));
}

fn names(tree: &Tree) -> impl Iterator<Item = &OsStr> {
    tree.entries().map(|(name, _)| name)
}

fn call(before: &Thunk, after: &Thunk, found: &mut Vec<Difference>) {
    let mut say = |text: String| found.push(Difference::Call(text));
    let (old, new) = (&before.function, &after.function);
    if old.executable != new.executable {
        say(format!("the tool is {}, and was {}", new.executable, old.executable));
    }
    if old.args != new.args {
        arguments(&old.args, &new.args).into_iter().for_each(&mut say);
    }
    if old.cwd != new.cwd {
        say(format!("it is called in {}, and was in {}", new.cwd, old.cwd));
    }
    let variables: BTreeSet<&OsString> = old.env.keys().chain(new.env.keys()).collect();
    for name in variables {
        let shown = name.to_string_lossy();
        match (old.env.get(name), new.env.get(name)) {
            (old, new) if old == new => {}
            (Some(old), Some(new)) => say(format!("the variable {shown} is {new:?}, and was {old:?}")),
            (None, new) => say(format!("the variable {shown} is new: {:?}", new.map_or(OsStr::new(""), |new| new))),
            (Some(_), None) => say(format!("the variable {shown} is not set any more")),
        }
    }
    if old.umask != new.umask {
        say(format!("the umask is {:03o}, and was {:03o}", new.umask, old.umask));
    }
    let outputs = |thunk: &Thunk| thunk.outputs.values().map(|output| output.path.clone()).collect::<BTreeSet<_>>();
    let (made_before, made) = (outputs(before), outputs(after));
    made.difference(&made_before).for_each(|path| say(format!("it makes {path}, and did not")));
    made_before.difference(&made).for_each(|path| say(format!("it does not make {path} any more")));
}

/// Which words came, and which went; that they stand in another order, if that is all.
fn arguments(old: &[OsString], new: &[OsString]) -> Vec<String> {
    let mut counts: BTreeMap<&OsString, i64> = BTreeMap::new();
    old.iter().for_each(|word| *counts.entry(word).or_default() -= 1);
    new.iter().for_each(|word| *counts.entry(word).or_default() += 1);
    let words = |sign: i64| {
        let all: Vec<String> =
            new.iter().chain(old).filter(|word| counts[word].signum() == sign).fold(Vec::new(), |mut all, word| {
                let word = crate::shell::quote(word);
                if !all.contains(&word) {
                    all.push(word);
                }
                all
            });
        all.join(" ")
    };
    let (came, went) = (words(1), words(-1));
    match (came.is_empty(), went.is_empty()) {
        (true, true) => vec!["the arguments are in another order".to_owned()],
        (false, true) => vec![format!("new among the arguments: {came}")],
        (true, false) => vec![format!("gone from the arguments: {went}")],
        (false, false) => vec![format!("among the arguments there is {came} where there was {went}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_became_of_arguments() {
        let told = |old: &str, new: &str| arguments(&words(old), &words(new)).join("; ");
        assert_eq!(told("cc -c a.c", "cc -O2 -c a.c"), "new among the arguments: -O2");
        assert_eq!(told("cc -g -g a.c", "cc -g a.c"), "gone from the arguments: -g");
        assert_eq!(told("cc -O1 a.c", "cc -O2 a.c"), "among the arguments there is -O2 where there was -O1");
        assert_eq!(told("cc a.o b.o", "cc b.o a.o"), "the arguments are in another order");
    }
}
