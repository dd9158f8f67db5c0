//! What runs here, and why.

use super::plan;
use crate::driver::testing::Scratch;
use crate::{Plan, Reason};

fn reason(line: &str) -> Option<Reason> {
    let scratch = Scratch::new()
        .with("m.c", "int main(void) { return 0; }\n")
        .with("f.f90", "end\n")
        .with("h.h", "")
        .with("t.c", "char t[] = __TIMESTAMP__;\n");
    let words: Vec<&str> = line.split(' ').collect();
    match plan(&scratch.call(&words)) {
        Plan::Thunk(step) => step.missing.map(Reason::MissingInput),
        Plan::Here(reason) => Some(reason),
    }
}

#[test]
fn every_reason() {
    let unknown = |text: &str| Some(Reason::UnknownOption(text.into()));
    let query = |text: &str| Some(Reason::Query(text.into()));
    let rows = [
        ("gcc --foo -c m.c", unknown("--foo")),
        ("gcc -fno-such=x -c m.c", unknown("-fno-such=x")),
        ("gcc -c m.c -Wa,--what", unknown("-Wa,--what")),
        ("gcc -c m.c -Wp,-what", unknown("-Wp,-what")),
        ("clang -c m.c -Xclang -ast-dump", unknown("-Xclang -ast-dump")),
        ("clang -c m.c -mllvm -x=/y", unknown("-mllvm -x=/y")),
        ("gcc -c m.c -o", unknown("-o")),
        ("gcc --version", query("--version")),
        ("clang -v -c m.c", query("-v")),
        ("gcc -dumpmachine", query("-dumpmachine")),
        ("gcc -print-prog-name=ld m.c", query("-print-prog-name=ld")),
        ("clang -### -c m.c", query("-###")),
        ("gcc --help=optimizers", query("--help=optimizers")),
        ("gcc -fsyntax-only m.c", query("-fsyntax-only")),
        ("gcc -S m.c -o -", Some(Reason::Stdout)),
        ("gcc -c m.c -Wa,-al", Some(Reason::Stdout)),
        ("gcc -c -x c -", Some(Reason::Stdin)),
        ("gcc -c m.c -o /dev/zero", Some(Reason::Device("/dev/zero".into()))),
        ("gcc -c m.c -o /dev/null -MMD", Some(Reason::Device("/dev/null.d".into()))),
        ("gcc -c -x c /dev/zero -o n.o", Some(Reason::Device("/dev/zero".into()))),
        ("gcc m.c -o /dev/null", Some(Reason::Device("/dev/null".into()))),
        ("gcc -c", Some(Reason::NoInput)),
        ("gcc", Some(Reason::NoInput)),
        ("gcc -c f.f90", Some(Reason::NoModel)),
        ("clang h.h", Some(Reason::Unsealable("times of headers, which go into a precompiled header".into()))),
        ("gcc -wrapper time -c m.c", Some(Reason::Unsealable("a wrapper program".into()))),
        ("clang -fmodules -c m.c", Some(Reason::Unsealable("C++ modules".into()))),
        ("gcc -c t.c", Some(Reason::Unsealable("__TIMESTAMP__, the time of a source file".into()))),
    ];
    for (line, expected) in rows {
        assert_eq!(reason(line), expected, "{line}");
    }
    assert!(matches!(reason("gcc -c none.c"), Some(Reason::MissingInput(_))));
    assert!(matches!(reason("gcc -c m.c h.h -o x.o"), Some(Reason::Malformed(_))));
    assert!(matches!(reason("gcc -c m.c -o no/such/dir.o"), Some(Reason::Malformed(_))));
    assert!(matches!(reason("gcc m.c none.o"), Some(Reason::MissingInput(_))));
}

#[test]
fn shared_dependency_files() {
    let mut scratch = Scratch::new().with("m.c", "");
    scratch.env.insert("DEPENDENCIES_OUTPUT".into(), "deps".into());
    assert!(matches!(plan(&scratch.call(&["gcc", "-c", "m.c"])), Plan::Here(Reason::Unsealable(_))));
}

#[test]
fn what_is_awaited() {
    let scratch =
        Scratch::new().with("m.c", "#include \"h.h\"\nint main(void) { return h; }\n").with("h.h", "int h;\n");
    let rows = [
        ("gcc -E m.c", true),
        ("clang -E m.c", true),
        ("gcc -M m.c", true),
        ("gcc -MM m.c", true),
        ("gcc -E -MMD m.c", true),
        ("gcc -E m.c -o m.i", false),
        ("gcc -M m.c -MF m.d", false),
        ("gcc -MM m.c -o m.d", false),
        ("gcc -c m.c", false),
        ("gcc -c m.c -o /dev/null", true),
        ("gcc -c -x c /dev/null -o n.o", false),
    ];
    for (line, awaited) in rows {
        let words: Vec<&str> = line.split(' ').collect();
        let Plan::Thunk(step) = plan(&scratch.call(&words)) else { panic!("{line}") };
        assert_eq!(step.awaited, awaited, "{line}");
        assert!(!awaited || step.writes.iter().all(|write| write.tag == "d"), "{line}: {:?}", step.writes);
        let reads_header = step.reads.iter().any(|read| read.path().is_some_and(|path| path.ends_with("h.h")));
        assert_eq!(reads_header, !line.contains("-x c"), "{line}");
    }
}
