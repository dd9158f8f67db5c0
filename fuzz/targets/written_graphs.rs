//! What programs write in place of an output, and what callers state: recipes in JSON.

#![no_main]

use std::collections::{BTreeMap, HashSet};

use gg_ir::{AbsPath, Function, Input, Made, Name, Output, Reference, Tag, Thunk};
use gg_recipe::{Graph, Growth, HEADER, Parent, Sealed, Source, Sources, grow, seal_all};
use libfuzzer_sys::fuzz_target;

/// A machine on which nothing is.
struct Nowhere;

impl Sources for Nowhere {
    fn input(&mut self, _: &Source) -> gg_recipe::Result<Input> {
        Ok(Input::Directory)
    }
}

/// The thunk that wrote the graph, and what it has written besides.
fn parent() -> (Thunk, BTreeMap<Tag, Made>) {
    let path = |text: &str| AbsPath::new(text).unwrap();
    let made = Made { object: Reference::Value(Name::of_value(b"made")), mode: 0o755 };
    let thunk = Thunk {
        function: Function {
            executable: path("/bin/p"),
            args: vec!["p".into()],
            env: BTreeMap::new(),
            cwd: path("/w"),
            umask: 0o22,
        },
        inputs: BTreeMap::from([
            (path("/i"), Input::File { object: Reference::Value(Name::of_value(b"input")), mode: 0o644 }),
            (path("/d"), Input::Directory),
        ]),
        outputs: BTreeMap::from([(Tag::new("out").unwrap(), Output { dynamic: true, ..Output::at(path("/o")) })]),
        timeout: None,
        volatile: false,
        strict: true,
    };
    (thunk, BTreeMap::from([(Tag::new("also").unwrap(), made)]))
}

/// Each is what its name says, and comes after those that it uses.
fn check(sealed: &[Sealed]) {
    let all: HashSet<Name> = sealed.iter().map(|sealed| sealed.name).collect();
    let mut seen: HashSet<Name> = HashSet::new();
    for Sealed { name, thunk, .. } in sealed {
        assert_eq!(*name, thunk.name());
        assert_eq!(Thunk::decode(&thunk.encode()).expect("what was encoded"), *thunk);
        for dependency in thunk.dependencies().filter(|name| all.contains(name)) {
            assert!(seen.contains(dependency));
        }
        seen.insert(*name);
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(graph) = serde_json::from_slice::<Graph>(bytes)
        && let Ok(sealed) = seal_all(&graph, None, &mut Nowhere)
    {
        check(&sealed);
    }
    let (thunk, made) = parent();
    let parent = Parent { thunk: &thunk, resolved: &BTreeMap::new(), made: &made };
    if let Ok(Growth { thunks, output, .. }) = grow(&[HEADER, bytes].concat(), &parent) {
        check(&thunks);
        if let Some(name) = output.object.thunk() {
            assert!(thunks.iter().any(|sealed| sealed.name == *name));
        }
    }
});
