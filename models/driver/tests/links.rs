//! What a link reads, as the driver and the linker's model say.

use super::step;
use crate::driver::testing::Scratch;
use crate::{Read, StepKind};

fn scratch() -> Scratch {
    let scratch = Scratch::new()
        .with("m.c", "int f(void);\nint main(void) { return f(); }\n")
        .with("f.c", "int f(void) { return 0; }\n")
        .with("lib dir/note", "")
        .with("v.map", "{ global: f; local: *; };\n");
    for words in [
        &["gcc", "-c", "m.c"][..],
        &["gcc", "-c", "-fPIC", "f.c"],
        &["gcc", "-shared", "f.o", "-o", "lib dir/libf.so"],
        &["ar", "rcs", "lib dir/libg.a", "f.o"],
    ] {
        scratch.run(&scratch.call(words));
    }
    scratch
}

#[test]
fn reads_and_kinds() {
    let scratch = scratch();
    let rows: &[(&[&str], StepKind, &[&str])] = &[
        (&["gcc", "m.o", "f.o", "-o", "p"], StepKind::Link, &["m.o", "f.o"]),
        (&["gcc", "m.o", "-Llib dir", "-lf", "-o", "p"], StepKind::Link, &["m.o", "lib dir/libf.so"]),
        (&["gcc", "m.o", "-L", "lib dir", "-lg", "-static"], StepKind::Link, &["m.o", "lib dir/libg.a"]),
        (&["gcc", "m.c", "f.o"], StepKind::CompileLink, &["m.c", "f.o"]),
        (&["gcc", "-nostdlib", "-r", "f.c"], StepKind::CompileLink, &["f.c"]),
        (
            &["gcc", "-shared", "-fPIC", "f.c", "-Wl,--version-script=v.map", "-o", "x.so"],
            StepKind::CompileLink,
            &["v.map"],
        ),
        (&["clang", "m.c", "-Llib dir", "-lf", "-fuse-ld=lld"], StepKind::CompileLink, &["m.c", "lib dir/libf.so"]),
        (&["g++", "m.o", "f.o", "-fuse-ld=gold"], StepKind::Link, &["m.o", "f.o"]),
    ];
    for (words, kind, expected) in rows {
        let step = step(&scratch.call(words));
        assert_eq!(step.kind, *kind, "{words:?}");
        for name in *expected {
            assert!(step.reads.contains(&Read::File(scratch.path(name))), "{words:?}: {name}: {:?}", step.reads);
        }
        let is_crt =
            |read: &Read| matches!(read, Read::File(path) | Read::System { path, .. } if path.ends_with("crti.o"));
        assert_eq!(step.reads.iter().any(is_crt), !words.contains(&"-r"), "{words:?}");
        let leaked = |read: &Read| matches!(read, Read::File(path) if path.starts_with("/tmp/cc"));
        assert!(!step.reads.iter().any(leaked), "{words:?}");
    }
}
