//! Command lines of nasm and yasm, planned.

use std::path::Path;

use super::*;
use crate::args::Operand;
use crate::binutils::testing::{Scratch, call, shown, step};
use crate::{Answer, MemoryWorld};

fn world() -> MemoryWorld {
    MemoryWorld::new()
        .with("/w/a.asm", "ret\n")
        .with("/w/sub/b.asm", "%include \"one.inc\"\nincbin 'blob'\n%include \"none.inc\"\n")
        .with("/w/inc/one.inc", "%include \"two.inc\"")
        .with("/w/sub/two.inc", "")
        .with("/w/inc/two.inc", "")
        .with("/w/inc/blob", "%include \"a.asm\"")
        .with("/w/glue_blob", "")
        .with("/w/computed.asm", "%define F \"inc/one.inc\"\n%include F\n")
        .with("/w/env.asm", "db %!HOME\n")
        .with("/w/map.asm", "[map symbols x.map]\n")
        .with("/w/time.asm", "db __?DATE?__\n")
        .with("/w/noext", "")
}

fn planned_in(world: &MemoryWorld, argv: &[&str]) -> String {
    let dialect = if argv[0] == "yasm" { Dialect::Yasm } else { Dialect::Nasm };
    shown(plan(&call(argv, Path::new("/w")), world, dialect), Path::new("/w"))
}

fn planned(line: &str) -> String {
    planned_in(&world(), &line.split(' ').collect::<Vec<_>>())
}

#[test]
fn every_row_of_the_tables() {
    for (tool, table) in [("nasm", &NASM), ("yasm", &YASM)] {
        for (spelling, meaning, operand) in table.rows() {
            let spelling = std::str::from_utf8(spelling).unwrap();
            let value = if meaning == Meaning::Format { "elf64" } else { "x" };
            let mut argv = vec![tool, spelling];
            if matches!(operand, Operand::Either | Operand::Long | Operand::Separate) {
                argv.push(value);
            }
            argv.push("a.asm");
            if meaning == Meaning::DependAlso {
                argv.insert(2, "x");
            }
            let expected = match meaning {
                Meaning::Output => "a.asm -> o=x".to_owned(),
                Meaning::Format => "a.asm -> o=a.o".to_owned(),
                Meaning::Listing => "a.asm -> o=a lst=x".to_owned(),
                Meaning::Errors => "a.asm -> o=a err=x".to_owned(),
                Meaning::DependAlso => "a.asm -> o=a d=x".to_owned(),
                Meaning::DependOnly | Meaning::Preprocess => "Stdout".to_owned(),
                Meaning::Query => format!("Query({spelling:?})"),
                Meaning::Refused => format!("UnknownOption({spelling:?})"),
                _ => "a.asm -> o=a".to_owned(),
            };
            assert_eq!(planned_in(&world(), &argv), expected, "{argv:?}");
        }
    }
}

#[test]
fn forms() {
    for (line, expected) in [
        (
            "nasm -felf64 -Iinc/ -g -F dwarf -Ox -w+all sub/b.asm -o b.o",
            "inc/blob inc/one.inc inc/two.inc sub/b.asm -> o=b.o",
        ),
        ("nasm -f elf64 -I inc sub/b.asm", "inc/blob inc/one.inc inc/two.inc sub/b.asm -> o=sub/b.o"),
        ("yasm -f elf64 -I inc sub/b.asm", "inc/blob inc/one.inc inc/two.inc sub/b.asm -> o=b.o"),
        ("nasm -Iglue_ sub/b.asm", "glue_blob sub/b.asm -> o=sub/b"),
        ("nasm -P two.inc -Iinc a.asm", "a.asm inc/two.inc -> o=a"),
        ("nasm --include=two.inc -Iinc a.asm", "a.asm inc/two.inc -> o=a"),
        ("nasm -f win64 a.asm -MD a.d", "a.asm -> o=a.obj d=a.d"),
        ("nasm -f elf64 -MD -MF a.d -MP -MT x a.asm", "a.asm -> o=a.o d=a.d"),
        ("nasm -f elf64 -MQ a.o -MF a.d a.asm", "a.asm -> o=a.o"),
        ("nasm -M a.asm", "Stdout"),
        ("nasm -M -MF a.d a.asm", "a.asm -> d=a.d"),
        ("nasm -E a.asm", "Stdout"),
        ("nasm -E a.asm -o a.i", "a.asm -> o=a.i"),
        ("yasm -M -f elf64 a.asm", "Stdout"),
        ("yasm -e -o a.i a.asm", "a.asm -> o=a.i"),
        ("yasm -f elf64 --objfile=a.o -l a.lst a.asm", "a.asm -> o=a.o lst=a.lst"),
        ("nasm computed.asm", "Includes(\"/w/computed.asm\")"),
        ("nasm env.asm", "Unsealable(\"environment variables that the source names\")"),
        ("nasm map.asm", "UnknownOption(\"[map]\")"),
        ("nasm noext", "Malformed(\"an output whose name is the assembler's choice\")"),
        ("nasm -f odd a.asm", "Malformed(\"an output whose name is the assembler's choice\")"),
        ("nasm -", "Stdin"),
        ("nasm", "NoInput"),
        ("nasm a.asm sub/b.asm", "Malformed(\"more than one source\")"),
        ("nasm none.asm", "MissingInput(\"/w/none.asm\")"),
        ("nasm a.asm -o /dev/null", "Device(\"/dev/null\")"),
        ("nasm --what a.asm", "UnknownOption(\"--what\")"),
    ] {
        assert_eq!(planned(line), expected, "{line}");
    }
}

#[test]
fn the_time_makes_a_step_volatile() {
    for (line, volatile) in [
        ("nasm time.asm", true),
        ("nasm a.asm", false),
        ("nasm -f win64 a.asm", true),
        ("nasm -f win64 --reproducible a.asm", false),
    ] {
        let call = call(&line.split(' ').collect::<Vec<_>>(), Path::new("/w"));
        assert_eq!(step(plan(&call, &world(), Dialect::Nasm)).volatile, volatile, "{line}");
    }
}

#[test]
fn options_in_the_environment_are_refused() {
    let mut call = call(&["nasm", "a.asm"], Path::new("/w"));
    call.env.insert("NASMENV".into(), "-DX".into());
    assert!(matches!(plan(&call, &world(), Dialect::Nasm), Plan::Here(Reason::Unsealable(_))));
}

#[test]
fn a_computed_include_is_asked_for() {
    let mut world = world();
    let argv = ["/usr/bin/nasm", "-M", "-MT", "x", "-f", "elf64", "computed.asm"].map(OsString::from).to_vec();
    let stdout = b"x : computed.asm \\\n  inc/one.inc inc/two.inc\n".to_vec();
    world.answers.insert(argv, Answer { success: true, stdout, stderr: Vec::new() });
    let expected = "computed.asm inc/one.inc inc/two.inc -> o=computed.o";
    assert_eq!(planned_in(&world, &["nasm", "-f", "elf64", "computed.asm"]), expected);
}

#[test]
fn the_real_assemblers() {
    let scratch = Scratch::new();
    // yasm computes no names.
    let computed = "%define F \"i.inc\"\n%include F\nincbin \"blob\"\n";
    let plain = "%include \"i.inc\"\nincbin \"blob\"\n";
    scratch.file("inc/i.inc", "ret\n");
    scratch.file("inc/blob", "x");
    for (tool, dialect, text, wanted) in
        [("nasm", Dialect::Nasm, computed, "sub/a.o"), ("yasm", Dialect::Yasm, plain, "a.o")]
    {
        if !Path::new("/usr/bin").join(tool).exists() {
            continue;
        }
        scratch.file("sub/a.asm", text);
        let argv = [tool, "-f", "elf64", "-Iinc/", "sub/a.asm"];
        let planned = plan(&scratch.call(&argv), &scratch, dialect);
        scratch.run(&argv);
        assert!(scratch.path(wanted).exists(), "{tool}");
        assert_eq!(shown(planned, &scratch.path("")), format!("inc/blob inc/i.inc sub/a.asm -> o={wanted}"));
    }
}
