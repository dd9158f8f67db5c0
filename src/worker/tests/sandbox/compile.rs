//! Real compilers and linkers.

use std::path::Path;
use std::process::Command;

use gg_ir::{AbsPath, Input, Name};

use crate::support::*;

/// What gcc says when asked for a program or file of its own.
fn gcc_says(question: &str) -> String {
    let said = Command::new("gcc").arg(question).output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

fn programs() -> Vec<String> {
    let own = |name: &str| gcc_says(&format!("-print-prog-name={name}"));
    let mut programs = vec!["/usr/bin/gcc".to_owned(), "/usr/bin/as".to_owned(), "/usr/bin/ld".to_owned()];
    programs.extend([own("cc1"), own("collect2")]);
    programs
}

struct Gcc {
    bench: Bench,
    tree: Name,
    include: Name,
    own: Name,
    libraries: Vec<String>,
}

impl Gcc {
    fn new() -> Self {
        let bench = Bench::new();
        let programs = programs();
        let tree = toolchain(&bench.store, &programs.iter().map(String::as_str).collect::<Vec<_>>());
        let include = bench.store.snapshot(Path::new("/usr/include")).unwrap();
        let own = gcc_says("-print-file-name=include");
        let own = Path::new(&own).parent().unwrap().canonicalize().unwrap();
        let libraries = [
            "Scrt1.o",
            "crti.o",
            "libgcc_s.so.1",
            "crtn.o",
            "libc.so",
            "libc.so.6",
            "libc_nonshared.a",
            "ld-linux-x86-64.so.2",
        ]
        .map(|name| {
            // By its one spelling: gcc says it with "..".
            let said = gcc_says(&format!("-print-file-name={name}"));
            let directory = Path::new(&said).parent().unwrap().canonicalize().unwrap();
            directory.join(name).to_str().unwrap().to_owned()
        });
        let own = bench.store.snapshot(&own).unwrap();
        Self { bench, tree, include, own, libraries: libraries.to_vec() }
    }

    fn step(&self, args: &[&str]) -> Step<'_> {
        let mut step = Step::new(&self.bench, "/usr/bin/gcc", args).env("PATH", "/usr/bin");
        step.thunk.inputs.insert(AbsPath::root(), Input::Tree(self.tree));
        let own = gcc_says("-print-file-name=include");
        let own = Path::new(&own).parent().unwrap().canonicalize().unwrap();
        step.input("/usr/include", Input::Tree(self.include)).input(own, Input::Tree(self.own))
    }
}

const MAIN: &str = "#include <stdio.h>\n#include \"a.h\"\nint main(void) { printf(\"%d\\n\", A); return 0; }\n";

#[test]
fn gcc_compiles_and_links_as_outside() {
    let gcc = Gcc::new();
    // The same command in the same directory, without a sandbox.
    let outside = tempfile::tempdir().unwrap();
    let at = |name: &str| outside.path().join(name);
    let args = ["-g", "-O2", "-MD", "-c", "main.c", "-o", "main.o"];
    let object = gcc
        .step(&[&["gcc"], &args[..]].concat())
        .cwd(outside.path())
        .file(at("main.c"), MAIN)
        .file(at("a.h"), "#define A 42\n")
        .output("o", at("main.o"))
        .output("d", at("main.d"));
    let made = object.done();
    assert!(made.undeclared.is_empty(), "{:?}", made.undeclared);
    assert!(made.cost.cpu_us > 1000 && made.cost.peak_kib > 1000, "{:?}", made.cost);
    let bytes = object.bytes(&made.outputs[&tag("o")]);

    std::fs::write(at("main.c"), MAIN).unwrap();
    std::fs::write(at("a.h"), "#define A 42\n").unwrap();
    assert!(Command::new("gcc").args(args).current_dir(outside.path()).status().unwrap().success());
    assert!(bytes == std::fs::read(outside.path().join("main.o")).unwrap(), "the objects differ");
    let depends = object.bytes(&made.outputs[&tag("d")]);
    assert_eq!(depends, std::fs::read(outside.path().join("main.d")).unwrap());

    let mut link = gcc.step(&["gcc", "main.o", "-o", "main"]).file("/p/main.o", &bytes).output("out", "/p/main");
    for library in &gcc.libraries {
        let real = std::fs::canonicalize(library).unwrap();
        let content = std::fs::read(&real).unwrap();
        link = link.file_mode(library, content, 0o644);
    }
    let made = link.done();
    assert_eq!(made.outputs[&tag("out")].mode, 0o755);
    let out = outside.path().join("linked");
    gcc.bench.store.copy_out(made.outputs[&tag("out")].object.name(), &out, 0o755, None).unwrap();
    assert_eq!(Command::new(&out).output().unwrap().stdout, b"42\n");
}

#[test]
fn a_compile_error_is_the_programs_own() {
    let gcc = Gcc::new();
    let mut step = gcc
        .step(&["gcc", "-c", "main.c", "-o", "main.o"])
        .file("/p/main.c", "#include \"missing.h\"\n")
        .output("o", "/p/main.o");
    let failure = step.failed();
    assert_eq!(failure.status.code(), 1);
    assert_eq!(failure.missing_outputs, [tag("o")]);
    let text = String::from_utf8(failure.stderr).unwrap();
    assert!(text.contains("missing.h: No such file or directory") && !text.contains('\x1b'), "{text}");

    // On a terminal the same in colour, each line ended as the compiler ended it.
    step.terminal = true;
    let text = String::from_utf8(step.env("TERM", "xterm").failed().stderr).unwrap();
    assert!(text.contains("\x1b[") && !text.contains('\r'), "{text}");
}

#[test]
fn clang_finds_itself() {
    let clang = std::fs::canonicalize("/usr/bin/clang").unwrap();
    let bench = Bench::new();
    let tree = toolchain(&bench.store, &["/usr/bin/clang", clang.to_str().unwrap()]);
    let mut step = Step::new(&bench, "/usr/bin/clang", &["clang", "-c", "a.c", "-o", "a.o"]);
    step.thunk.inputs.insert(AbsPath::root(), Input::Tree(tree));
    let step = step.file("/p/a.c", "int f(void) { return 1; }\n").output("o", "/p/a.o");
    assert!(step.bytes(&step.done().outputs[&tag("o")]).starts_with(b"\x7fELF"));
}
