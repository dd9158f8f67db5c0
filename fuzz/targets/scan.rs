//! The include scanner on any source and header; what it finds is absolute, and a second scan finds the same.

#![no_main]

use std::path::Path;

use gg_models::scan::{ScanRequest, Scanner, Search, SearchDir, Syntax};
use gg_models::MemoryWorld;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let (source, header) = bytes.split_at(bytes.len() / 2);
    let world = MemoryWorld::new()
        .with("/p/a.c", source)
        .with("/p/a", header)
        .with("/p/i/a.h", header)
        .with("/s/b.h", source)
        .with("/s/sys/b.h", header);
    let directory = |path: &str, system| SearchDir { path: path.into(), system };
    let search = Search { quote: vec![], bracket: vec![directory("/p/i", false), directory("/s", true)] };
    let request = ScanRequest {
        cwd: Path::new("/p"),
        sources: vec!["a.c".into()],
        forced: vec!["a.h".into()],
        search: &search,
        defines: vec![("A".into(), "<b.h>".into()), ("B".into(), "\"a\"".into())],
        assembler_dirs: vec!["/p/i".into()],
        syntax: if kind % 4 == 0 { Syntax::Assembly } else { Syntax::C },
    };
    let scanner = Scanner::new();
    let Ok(found) = scanner.scan(&world, &request) else { return };
    for read in &found.reads {
        assert!(read.path.is_absolute(), "{:?}", read.path);
    }
    assert_eq!(scanner.scan(&world, &request).ok().as_ref(), Some(&found));
});
