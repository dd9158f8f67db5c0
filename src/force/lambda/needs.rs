//! What a step needs to be at hand.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::ffi::OsStrExt;

use gg_ir::{AbsPath, Input, Name, Reference};

use crate::engine::Work;

/// The objects that a worker has to have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Files.
    pub names: Vec<Name>,
    /// Directories, with all below.
    pub trees: Vec<Name>,
    /// Those of the files that the command line names, and that no thunk has made: sources, which hardly any other step needs.
    pub own: Vec<Name>,
}

impl Needs {
    /// Those of a step; the reference that nobody has resolved, if there is one.
    pub fn of(work: &Work) -> Result<Self, Reference> {
        let (mut names, mut trees, mut own) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let function = &work.thunk.function;
        let named: HashSet<&[u8]> = function.args.iter().map(|arg| arg.as_bytes()).collect();
        let below = [function.cwd.as_bytes(), b"/"].concat();
        let is_named = |path: &AbsPath| {
            let path = path.as_bytes();
            named.contains(path) || path.strip_prefix(&*below).is_some_and(|rest| named.contains(rest))
        };
        for (path, input) in &work.thunk.inputs {
            match input {
                Input::File { object: Reference::Value(name), .. } => {
                    names.insert(*name);
                    if is_named(path) {
                        own.insert(*name);
                    }
                }
                Input::File { object: reference, .. } => {
                    names.insert(*work.resolved.get(reference).ok_or_else(|| reference.clone())?);
                }
                Input::Tree(name) => drop(trees.insert(*name)),
                Input::Symlink(_) | Input::Directory => {}
            }
        }
        let [names, trees, own] = [names, trees, own].map(|set| set.into_iter().collect());
        Ok(Self { names, trees, own })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use gg_ir::{Function, Thunk};

    use super::*;
    use crate::ids::ThunkId;

    #[test]
    fn what_the_command_line_names_is_its_own() {
        let path = |text: &str| AbsPath::new(text).unwrap();
        let [source, header, beside] = ["source", "header", "beside"].map(|text| Name::of_value(text.as_bytes()));
        let file = |name: Name| Input::File { object: Reference::Value(name), mode: 0o644 };
        let thunk = Thunk {
            function: Function {
                executable: path("/bin/cc"),
                args: ["cc", "-c", "sub/a.c", "/other/b.c"].map(Into::into).to_vec(),
                env: BTreeMap::new(),
                cwd: path("/p"),
                umask: 0o022,
            },
            inputs: [("/p/sub/a.c", source), ("/p/a.h", header), ("/other/b.c", beside)]
                .map(|(at, name)| (path(at), file(name)))
                .into(),
            outputs: BTreeMap::new(),
            timeout: None,
            volatile: false,
            strict: false,
        };
        let name = Name::of_value(b"thunk");
        let work = Work {
            id: ThunkId(0),
            name,
            thunk: Arc::new(thunk),
            resolved: BTreeMap::new(),
            earlier: 0,
            kind: "compile".into(),
            label: "a.o".into(),
            expected: None,
            log: crate::attempt::RunLog::new("lambda".into(), std::time::Duration::ZERO),
        };
        let needs = Needs::of(&work).unwrap();
        assert_eq!(needs.names.len(), 3);
        let mut own = [source, beside];
        own.sort_unstable();
        assert_eq!(needs.own, own);
    }
}
