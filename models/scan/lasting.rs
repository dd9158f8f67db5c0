//! A scanner that has seen a tree before finds in a changed one what a new scanner finds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::{Scan, ScanRequest, Scanner, Search, SearchDir, Syntax};
use crate::{Answer, Environment, FileKind, Folder, Glance, MemoryWorld, Names, World};

/// Where files may be; what `#include` lines name; where it is looked for.
const FILES: [&str; 10] = [
    "/p/a.c",
    "/p/a.h",
    "/p/b.h",
    "/p/i/a.h",
    "/p/i/b.h",
    "/p/i/s/a.h",
    "/p/i/s/b.h",
    "/q/b.h",
    "/q/s/a.h",
    "/q/s/b.h",
];
const LINES: [&str; 9] = [
    "#include \"a.h\"",
    "#include <a.h>",
    "#include \"b.h\"",
    "#include <b.h>",
    "#include \"s/a.h\"",
    "#include <s/b.h>",
    "#include \"../b.h\"",
    "#include_next <b.h>",
    "#if __has_include(<s/a.h>)\n#endif",
];
const SEARCHES: [[&str; 2]; 3] = [["/p/i", "/q"], ["/q", "/p/i"], ["/q", "/p"]];

/// A tree that vouches for what it said as the file system does for which the kernel tells of all changes.
#[derive(Default)]
struct Told {
    files: BTreeMap<PathBuf, (Arc<[u8]>, u64)>,
    clock: u64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Of which names it was said that what they are lasts.
    said: BTreeSet<PathBuf>,
    changes: HashMap<PathBuf, u64>,
    names: HashMap<PathBuf, Arc<Names>>,
}

impl Told {
    fn set(&mut self, path: &Path, content: Option<&str>) {
        self.clock += 1;
        match content {
            Some(text) => drop(self.files.insert(path.into(), (text.as_bytes().into(), self.clock))),
            None => drop(self.files.remove(path)),
        }
        let mut known = self.known.lock().unwrap();
        // A directory comes and goes with what is in it.
        for path in path.ancestors() {
            let Some(parent) = path.parent() else { continue };
            if known.said.remove(path) {
                known.changes.insert(parent.into(), self.clock);
            }
            let now = self.names_in(parent);
            if known.names.get(parent).is_some_and(|names| **names != now) {
                known.names.remove(parent);
            }
        }
    }

    fn plain(&self) -> MemoryWorld {
        self.files.iter().fold(MemoryWorld::new(), |world, (path, (content, _))| world.with(path, content))
    }

    fn names_in(&self, directory: &Path) -> Names {
        let inside = self.files.keys().filter_map(|path| path.strip_prefix(directory).ok()?.iter().next());
        inside.map(OsString::from).collect()
    }
}

impl World for Told {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        self.plain().kind(path)
    }

    fn glance(&self, path: &Path) -> Glance {
        let kind = self.kind(path);
        // As in a real tree, what is not spelled plainly is not vouched for.
        let plain = path.components().collect::<PathBuf>().as_os_str() == path.as_os_str()
            && !path.components().any(|part| part == std::path::Component::ParentDir);
        let lasts = path.parent().filter(|_| plain && kind != Some(FileKind::Directory)).map(|parent| {
            let known = &mut *self.known.lock().unwrap();
            known.said.insert(path.into());
            *known.changes.entry(parent.into()).or_insert(0)
        });
        let state = self.files.get(path).map(|&(_, time)| [time; 6]);
        Glance { kind, state, plain, lasts }
    }

    fn folder(&self, path: &Path) -> Option<Folder> {
        if self.kind(path) != Some(FileKind::Directory) {
            return None;
        }
        let known = &mut *self.known.lock().unwrap();
        let changes = Some(*known.changes.entry(path.into()).or_insert(0));
        // The names of only some are known.
        let names = || Arc::clone(known.names.entry(path.into()).or_insert_with(|| Arc::new(self.names_in(path))));
        Some(Folder { names: path.ends_with("q").then(names), changes })
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        self.files.get(path).map(|(content, _)| Arc::clone(content)).map_or_else(|| self.plain().read(path), Ok)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.plain().list(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.plain().resolve(path)
    }

    fn ask(&self, argv: &[OsString], cwd: &Path, env: &Environment) -> io::Result<Answer> {
        self.plain().ask(argv, cwd, env)
    }
}

fn scan(scanner: &Scanner, world: &dyn World, dirs: [&str; 2]) -> Option<(Vec<PathBuf>, Scan)> {
    let [first, second] = dirs.map(|path| SearchDir { path: path.into(), system: false });
    let search = Search { quote: vec![first.clone()], bracket: vec![first, second] };
    let request = ScanRequest {
        cwd: Path::new("/p"),
        sources: vec!["a.c".into()],
        forced: Vec::new(),
        search: &search,
        defines: Vec::new(),
        assembler_dirs: Vec::new(),
        syntax: Syntax::C,
    };
    let mut scan = scanner.scan(world, &request).ok()?;
    let mut paths: Vec<PathBuf> = scan.reads.drain(..).map(|header| header.path.to_path_buf()).collect();
    paths.sort();
    Some((paths, scan))
}

proptest! {
    #[test]
    fn what_is_known_is_what_is_there(
        first in prop::collection::vec(prop::collection::vec(0..LINES.len(), 0..3), FILES.len()),
        changes in prop::collection::vec((0..FILES.len(), prop::option::of(prop::collection::vec(0..LINES.len(), 0..3)), 0..SEARCHES.len()), 1..12),
    ) {
        let text = |lines: &[usize]| lines.iter().map(|&line| LINES[line]).collect::<Vec<_>>().join("\n");
        let mut told = Told::default();
        for (path, lines) in FILES.iter().zip(&first) {
            told.set(Path::new(path), Some(&text(lines)));
        }
        let scanner = Scanner::new();
        for (file, lines, search) in changes {
            told.set(Path::new(FILES[file]), lines.as_deref().map(text).as_deref());
            // Twice: what was found by the first is made use of by the second.
            for _ in 0..2 {
                let known = scan(&scanner, &told, SEARCHES[search]);
                prop_assert_eq!(known, scan(&Scanner::new(), &told.plain(), SEARCHES[search]));
            }
        }
    }
}
