//! What the compiler itself lists (`-M`) must be among what a scan finds.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::{fs, io};

use super::{Scan, ScanRequest, Scanner, Search, SearchDir, Syntax};
use crate::{Answer, Environment, FileKind, Folder, Names, World};

/// The machine as it is.
struct Disk;

impl World for Disk {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        let kind = fs::metadata(path).ok()?.file_type();
        Some(if kind.is_file() {
            FileKind::File
        } else if kind.is_dir() {
            FileKind::Directory
        } else {
            FileKind::Other
        })
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        fs::read(path).map(Into::into)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn ask(&self, _: &[OsString], _: &Path, _: &Environment) -> io::Result<Answer> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The directories that the compiler looks in by itself.
fn builtin(language: &str) -> Vec<SearchDir> {
    let output =
        Command::new("gcc").args(["-E", "-v", "-x", language, "/dev/null"]).env("LC_ALL", "C").output().unwrap();
    String::from_utf8(output.stderr)
        .unwrap()
        .lines()
        .skip_while(|line| !line.starts_with("#include <...>"))
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(|line| SearchDir { path: line.trim().into(), system: true })
        .collect()
}

/// What `gcc -M` says that `source` reads.
fn listed(dir: &Path, source: &str, language: &str, options: &[&str]) -> HashSet<PathBuf> {
    let output =
        Command::new("gcc").args(["-M", "-x", language]).args(options).arg(source).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rule = String::from_utf8(output.stdout).unwrap().replace("\\\n", " ");
    // The names in these tests hold no blanks.
    rule.split_whitespace().skip(1).map(|path| fs::canonicalize(dir.join(path)).unwrap()).collect()
}

fn scan(dir: &Path, source: &str, language: &str, named: &[&str]) -> Scan {
    let mut bracket: Vec<SearchDir> =
        named.iter().map(|path| SearchDir { path: dir.join(path), system: false }).collect();
    bracket.extend(builtin(language));
    let search = Search { quote: Vec::new(), bracket };
    let request = ScanRequest {
        cwd: dir,
        sources: vec![source.into()],
        forced: Vec::new(),
        search: &search,
        defines: Vec::new(),
        assembler_dirs: Vec::new(),
        syntax: Syntax::C,
    };
    Scanner::new().scan(&Disk, &request).unwrap()
}

fn found(scan: &Scan) -> HashSet<PathBuf> {
    scan.reads.iter().map(|header| fs::canonicalize(&header.path).unwrap()).collect()
}

/// Writes files, scans the first and compares with the compiler.
fn compare(files: &[(&str, &str)], language: &str, named: &[&str]) -> Scan {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let options: Vec<String> = named.iter().map(|path| format!("-I{path}")).collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let scan = scan(dir.path(), files[0].0, language, named);
    let expected = listed(dir.path(), files[0].0, language, &options);
    let missed: Vec<_> = expected.difference(&found(&scan)).cloned().collect();
    assert!(missed.is_empty(), "{}: missed {missed:?}", files[0].0);
    assert!(expected.len() >= files.len().min(2), "{expected:?}");
    assert_eq!((scan.unresolved.as_slice(), scan.unsealable.as_slice()), (&[][..], &[][..]));
    scan
}

#[test]
fn the_c_library() {
    let text = "#include <stdio.h>\n#include <stdlib.h>\n#include <limits.h>\n#include <stdatomic.h>\n#include <math.h>\n\
                #include <tgmath.h>\n#include <signal.h>\n#include <sys/socket.h>\n#include <netdb.h>\n#include <pthread.h>\n\
                #include <immintrin.h>\n#include <linux/types.h>\n#include <stdint.h>\n#include <unwind.h>\n";
    let scan = compare(&[("a.c", text)], "c", &[]);
    assert!(scan.reads.iter().all(|header| match &header.root {
        Some(root) => header.path.starts_with(root),
        None => header.path.ends_with("a.c"),
    }));
}

#[test]
fn the_cpp_library() {
    let text = "#include <bits/stdc++.h>\n#include <regex>\n#include <filesystem>\n#include <ext/pb_ds/assoc_container.hpp>\n\
                #include <tr1/cmath>\n#include <experimental/filesystem>\n";
    compare(&[("a.cc", text)], "c++", &[]);
}

#[test]
fn every_header_of_the_compiler_alone() {
    // Each is read for itself, whether or not it could be compiled: what matters is that nothing in it is lost.
    let dir = builtin("c").swap_remove(0).path;
    let mut checked = 0;
    for name in [
        "float.h",
        "iso646.h",
        "limits.h",
        "stdalign.h",
        "stdarg.h",
        "stdbool.h",
        "stddef.h",
        "stdint.h",
        "x86intrin.h",
    ] {
        if dir.join(name).exists() {
            compare(&[("a.c", &format!("#include <{name}>\n"))], "c", &[]);
            checked += 1;
        }
    }
    assert!(checked > 5);
}

#[test]
fn detours_symlinks_and_macros() {
    let files = [
        (
            "src/a.c",
            "#define NEXT <next.h>\n#if 0\ndon't /*\n#endif\n#include \"../inc/x.h\"\n#include NEXT\n#  include \"own.h\"\n/* */",
        ),
        ("inc/x.h", "#ifndef X\n#define X\n#include \"../src/../inc/y.h\"\n#include \"x.h\"\n#endif\n"),
        ("inc/y.h", "#include \"../src/own.h\"\n"),
        ("inc/next.h", "#include_next <next.h>\n"),
        ("inc2/next.h", "%:inc\\\nlude <stddef.h>\n"),
        ("src/own.h", "#if __has_include(\"../inc/z.h\")\n#include \"../inc/z.h\"\n#endif\n"),
        ("inc/z.h", ""),
    ];
    compare(&files, "c", &["inc", "src/../inc2"]);
}

#[test]
fn a_directory_that_is_its_own_child_comes_to_an_end() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(".", dir.path().join("self")).unwrap();
    std::os::unix::fs::symlink("real/deep", dir.path().join("link")).unwrap();
    fs::create_dir_all(dir.path().join("real/deep")).unwrap();
    fs::write(dir.path().join("a.c"), "#include \"x.h\"\n#include \"link/../y.h\"\n").unwrap();
    fs::write(dir.path().join("x.h"), "#pragma once\n#include \"self/x.h\"\n").unwrap();
    fs::write(dir.path().join("real/y.h"), "#pragma once\n#include \"deep/../y.h\"\n").unwrap();
    let scan = scan(dir.path(), "a.c", "c", &[]);
    let missed = listed(dir.path(), "a.c", "c", &[]).difference(&found(&scan)).count();
    assert_eq!(missed, 0);
    assert!(scan.reads.len() < 200, "{}", scan.reads.len());
    // `link/..` is not this directory, so the header keeps the name it was asked for by.
    let winding = dir.path().join("link/../y.h");
    assert!(
        scan.reads.iter().any(|header| *header.path == *winding) && scan.directories.contains(&dir.path().join("link"))
    );
}

#[test]
fn names_may_be_any_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let name = OsStr::from_bytes(b"a \xff b.h");
    fs::write(dir.path().join(name), "").unwrap();
    fs::write(dir.path().join("a.c"), b"#include \"a \xff b.h\"\n").unwrap();
    let scan = scan(dir.path(), "a.c", "c", &[]);
    assert!(scan.reads.iter().any(|header| *header.path == *dir.path().join(name)));
}

/// The machine, where the names in all directories are known.
#[derive(Default)]
struct Listed(Mutex<HashMap<PathBuf, Arc<Names>>>);

impl World for Listed {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        Disk.kind(path)
    }

    fn folder(&self, path: &Path) -> Option<Folder> {
        let real = Disk.resolve(path).ok()?;
        let now: Names = Disk.list(&real).ok()?.into_iter().collect();
        let mut known = self.0.lock().unwrap();
        let names = known.entry(real).or_default();
        if **names != now {
            *names = Arc::new(now);
        }
        Some(Folder { names: Some(Arc::clone(names)), changes: None })
    }

    fn read(&self, path: &Path) -> io::Result<Arc<[u8]>> {
        Disk.read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        Disk.list(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Disk.resolve(path)
    }

    fn ask(&self, argv: &[OsString], cwd: &Path, env: &Environment) -> io::Result<Answer> {
        Disk.ask(argv, cwd, env)
    }
}

#[test]
fn a_link_before_a_way_back_turns() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    let at = |name: &str| top.join(name);
    for folder in ["one/deep", "two/deep", "two/lib", "p", "one/other"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    fs::write(at("p/a.c"), "#include \"a.h\"\n").unwrap();
    fs::write(at("p/a.h"), "#include <../lib/z.h>\n").unwrap();
    fs::write(at("two/lib/z.h"), "").unwrap();
    std::os::unix::fs::symlink("one/deep", at("now")).unwrap();
    let search = |name: &str| SearchDir { path: at(name), system: false };
    let search = Search { quote: Vec::new(), bracket: vec![search("now"), search("one/other")] };
    let (world, cwd, scanner) = (Listed::default(), at("p"), Scanner::new());
    let found_by = |scanner: &Scanner| {
        let request = ScanRequest {
            cwd: &cwd,
            sources: vec!["a.c".into()],
            forced: Vec::new(),
            search: &search,
            defines: Vec::new(),
            assembler_dirs: Vec::new(),
            syntax: Syntax::C,
        };
        found(&scanner.scan(&world, &request).unwrap())
    };
    let same = || assert_eq!(found_by(&scanner), found_by(&Scanner::new()));
    same();
    // The directory that the name leads to comes, and is met under its own name as well.
    fs::rename(at("one/other"), at("one/lib")).unwrap();
    std::os::unix::fs::symlink("lib", at("one/other")).unwrap();
    let own = at("one/lib/none.h");
    fs::write(at("p/a.c"), format!("#if __has_include(\"{}\")\n#endif\n#include \"a.h\"\n", own.display())).unwrap();
    same();
    same();
    fs::remove_file(at("now")).unwrap();
    std::os::unix::fs::symlink("two/deep", at("now")).unwrap();
    assert!(found_by(&scanner).contains(&at("two/lib/z.h")));
}
