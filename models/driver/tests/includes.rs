//! What is read: compared with the compiler's own `-M`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::step;
use crate::driver::Driver;
use crate::driver::rules;
use crate::driver::testing::{Disk, Scratch};
use crate::{Read, World};

fn scratch() -> Scratch {
    Scratch::new()
        .with("m.c", "#include <stdio.h>\n#include \"q.h\"\n#include <b.h>\n#include <s.h>\n#include <a.h>\nint x;\n")
        .with("n.cpp", "#include <vector>\n#include <cstdlib>\n#include \"q.h\"\n")
        .with("computed.c", "#define NAME(x) <x.h>\n#define PASTE(x) NAME(x)\n#include PASTE(b)\n#include <q.h>\n")
        .with("quote/q.h", "#pragma once\n#include_next <q.h>\n")
        .with("bracket/q.h", "int q;\n")
        .with("bracket/b.h", "#include \"deep/d.h\"\n")
        .with("bracket/deep/d.h", "#include \"../e.h\"\n")
        .with("bracket/e.h", "")
        .with("system/s.h", "#include <stdint.h>\n")
        .with("system/b.h", "#error \"found too late\"\n")
        .with("after/a.h", "")
        .with("forced.h", "#include <limits.h>\n")
        .with("macros.h", "#define M 1\n")
        .with("a dir/with space.h", "")
        .with("u.S", "#include \"q.h\"\n.include \"i.inc\"\n.incbin \"data.bin\"\n")
        .with("bracket/i.inc", ".data\n")
        .with("data.bin", "x")
}

const DIRECTORIES: &str = "-iquote quote -Ibracket -isystem system -idirafter after";

/// Whether a file is among what is read, however it was found.
fn has(reads: &[Read], path: PathBuf) -> bool {
    reads.iter().any(|read| !matches!(read, Read::Directory(_)) && read.path() == Some(&path))
}

/// Every file that `-M` names must be among the reads.
#[test]
fn cover_the_preprocessor() {
    let rows = [
        "gcc -c m.c",
        "clang -c m.c",
        "g++ -c n.cpp",
        "clang++ -c n.cpp",
        "gcc -c m.c n.cpp",
        "gcc -c m.c -include forced.h -imacros macros.h",
        "gcc -c m.c -isystem /usr/include -I /usr/include",
        "gcc -c m.c -Inone -I.",
        "gcc -c m.c -m64 -DX",
        "gcc -c computed.c",
        "clang -c computed.c",
        "gcc -c -x c++ m.c",
        "g++ m.c -c",
        "gcc -c u.S",
        "gcc -E m.c -o m.i",
        "gcc -c m.c -Wp,-DA=1 -Wp,-MD,m.d",
        "gcc -c m.c -MD -MP -MT x -MF y.d",
        "gcc -c m.c -fno-builtin -O2 -pipe -Wall -Wno-error=format -g -std=gnu11 -pthread",
    ];
    for line in rows {
        let scratch = scratch();
        let words: Vec<&str> = line.split(' ').chain(DIRECTORIES.split(' ')).collect();
        let call = scratch.call(&words);
        let reads: BTreeSet<PathBuf> = step(&call)
            .reads
            .into_iter()
            .filter(|read| !matches!(read, Read::Directory(_)))
            .filter_map(|read| Disk.resolve(read.path()?).ok())
            .collect();
        let mut argv: Vec<_> = call.argv.iter().filter(|arg| *arg != "-c" && *arg != "-E").cloned().collect();
        argv[0] = call.tool.clone().into();
        argv.retain(|arg| {
            !["-MD", "-MP", "-MT", "x", "-MF", "y.d", "-Wp,-MD,m.d", "-o", "m.i"].iter().any(|it| arg == it)
        });
        if line.contains("-x c++") {
            argv.extend(["-x".into(), "c++".into(), "-c".into(), "m.c".into()]);
            argv.retain(|arg| arg != "-c");
        }
        argv.push("-M".into());
        let answer = Disk.ask(&argv, &call.cwd, &call.env).unwrap();
        let text = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.success || line.contains("-x c++"), "{argv:?}: {text}");
        for path in rules::prerequisites(&answer.stdout) {
            let path = Disk.resolve(&scratch.path(&path)).unwrap();
            assert!(reads.contains(&path), "{line}: {} is missing", path.display());
        }
    }
}

#[test]
fn system_headers_carry_their_directory() {
    let scratch = scratch();
    let words: Vec<&str> = "g++ -c n.cpp".split(' ').chain(DIRECTORIES.split(' ')).collect();
    let reads = step(&scratch.call(&words)).reads;
    let roots: BTreeSet<PathBuf> = reads
        .iter()
        .filter_map(|read| match read {
            Read::Header(header) => header.root.as_deref().map(PathBuf::from),
            Read::System { root, .. } => Some(root.clone()),
            _ => None,
        })
        .collect();
    assert!(roots.contains(&PathBuf::from("/usr/include")), "{roots:?}");
    assert!(roots.iter().any(|root| root.ends_with("c++/12")), "{roots:?}");
    assert!(!roots.iter().any(|root| root.starts_with(scratch.path(""))), "{roots:?}");
}

#[test]
fn assembly_files() {
    let scratch = scratch();
    let reads = step(&scratch.call(&["gcc", "-c", "u.S", "-Ibracket", "-iquote", "quote"])).reads;
    for name in ["u.S", "bracket/i.inc", "data.bin", "quote/q.h", "bracket/q.h"] {
        assert!(has(&reads, scratch.path(name)), "{name}: {reads:?}");
    }
}

#[test]
fn exact_reads_are_the_compilers_own() {
    let scratch = scratch();
    let mut words: Vec<&str> = "gcc -c m.c -o m.o -MD -MF m.d -Wp,-DA -include forced.h".split(' ').collect();
    words.extend(DIRECTORIES.split(' '));
    let call = scratch.call(&words);
    let reads = Driver::default().exact_reads(&call, &Disk).unwrap();
    for name in ["m.c", "quote/q.h", "bracket/b.h", "system/s.h", "after/a.h", "forced.h"] {
        assert!(has(&reads, scratch.path(name)), "{name}: {reads:?}");
    }
    assert!(!has(&reads, scratch.path("system/b.h")));
    let stdio = Read::System { path: "/usr/include/stdio.h".into(), root: "/usr/include".into() };
    assert!(reads.contains(&stdio));
    assert!(!scratch.path("m.d").exists() && !scratch.path("m.o").exists());
}

#[test]
fn search_path_variables() {
    let mut scratch = scratch();
    scratch.env.insert("CPATH".into(), "bracket:".into());
    scratch.env.insert("C_INCLUDE_PATH".into(), "system".into());
    let reads = step(&scratch.call(&["gcc", "-c", "m.c", "-iquote", "quote", "-idirafter", "after"])).reads;
    for name in ["bracket/b.h", "system/s.h"] {
        assert!(has(&reads, scratch.path(name)), "{name}");
    }
}

#[test]
fn profiles_plugins_and_response_files() {
    let scratch = scratch()
        .with("o/x.gcda", "p")
        .with("list.txt", "src:*\n")
        .with("args.rsp", "-c e.c @more.rsp")
        .with("more.rsp", "-O2")
        .with("e.c", "");
    let profiled = step(&scratch.call(&["gcc", "-c", "e.c", "-fprofile-use", "-o", "o/x.o"]));
    assert!(has(&profiled.reads, scratch.path("o/x.gcda")));
    let listed = step(&scratch.call(&["clang", "-c", "e.c", "-fsanitize-ignorelist=list.txt"]));
    assert!(has(&listed.reads, scratch.path("list.txt")));
    let call = scratch.call(&["gcc", "@args.rsp"]);
    let response = step(&call);
    assert_eq!(response.argv, call.argv);
    for name in ["args.rsp", "more.rsp", "e.c"] {
        assert!(has(&response.reads, scratch.path(name)), "{name}");
    }
}
