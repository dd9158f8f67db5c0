//! Links planned: every option, and the real linkers' inputs.

mod placeholders;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use super::command::{Meaning, TABLE};
use super::*;
use crate::args::Operand;
use crate::binutils::Binutils;
use crate::binutils::testing::{Scratch, call, shown, shown_reads, step};
use crate::{Answer, MemoryWorld};

/// A world with a GNU ld that looks into /lib.
fn world() -> MemoryWorld {
    let mut world = MemoryWorld::new()
        .with("/w/a.o", "")
        .with("/w/f", "\x7fELF")
        .with("/w/blob.txt", "INPUT(none.o)")
        .with("/w/x.ld", "INPUT(from_script.o)\nSECTIONS { .text : { placed.o(.text) *(.text) } }")
        .with("/w/from_script.o", "")
        .with("/w/placed.o", "")
        .with("/w/L1/libboth.so", "\x7fELF")
        .with("/w/L1/libboth.a", "!<arch>\n")
        .with("/w/L1/libshared.so", "\x7fELF")
        .with("/w/L2/libshared.a", "!<arch>\n")
        .with("/w/L2/in_path.ld", "GROUP(-lboth AS_NEEDED(by_path.o))")
        .with("/w/L2/by_path.o", "")
        .with("/w/L2/exact.a", "!<arch>\n")
        .with("/lib/libsys.a", "!<arch>\n")
        .with("/sys/lib/libsys.a", "!<arch>\n")
        .with("/sys/usr/lib/libinner.so", "GROUP(/lib/libsys.a =/lib/libsys.a)")
        .with("/w/args", "a.o -o from_args")
        .with("/tmp/driver.o", "");
    let say = |text: &str| Answer { success: true, stdout: text.into(), stderr: Vec::new() };
    world.answers.insert(vec!["/usr/bin/ld".into(), "--verbose".into()], say("SEARCH_DIR(\"=/lib\");"));
    world.answers.insert(vec!["/usr/bin/ld".into(), "--print-sysroot".into()], say("/\n"));
    world
}

fn planned(argv: &[&str]) -> String {
    shown(plan(&Linker::default(), &call(argv, Path::new("/w")), &world()), Path::new("/w"))
}

#[test]
fn every_row_of_the_table() {
    for (spelling, meaning, operand) in TABLE.rows() {
        let spelling = std::str::from_utf8(spelling).unwrap().to_owned();
        let option = match operand {
            Operand::Joined => format!("{spelling}f"),
            Operand::Equals => format!("{spelling}=f"),
            _ => spelling.clone(),
        };
        let mut argv = vec!["ld", &option];
        if matches!(operand, Operand::Either | Operand::Long | Operand::Separate) {
            argv.push(if meaning == Meaning::Library { ":f" } else { "f" });
        }
        argv.extend(["-L.", "a.o"]);
        let refused = format!("UnknownOption(\"{spelling}");
        let expected = match meaning {
            Meaning::Output => "a.o -> out=f*",
            Meaning::Map => "a.o -> out=a.out* map=f",
            Meaning::Write => "a.o -> out=a.out* side=f",
            Meaning::Relocatable => "a.o -> out=a.out",
            Meaning::Library | Meaning::Script | Meaning::List => "a.o f -> out=a.out*",
            Meaning::Object | Meaning::ObjectOrRpath | Meaning::Plugin => "a.o f -> out=a.out*",
            Meaning::Query => "Query(",
            Meaning::Refused => &refused,
            _ => "a.o -> out=a.out*",
        };
        assert!(planned(&argv).starts_with(expected), "{argv:?}: {} for {expected}", planned(&argv));
    }
}

#[test]
fn forms() {
    for (line, expected) in [
        // libraries
        ("ld a.o -LL1 -LL2 -lboth", "L1/libboth.a L1/libboth.so a.o -> out=a.out*"),
        ("ld a.o -lboth -L L1", "L1/libboth.a L1/libboth.so a.o -> out=a.out*"),
        ("ld a.o -LL1 -LL2 -lshared", "L1/libshared.so a.o -> out=a.out*"),
        ("ld a.o -LL1 -LL2 -Bstatic -lshared", "L2/libshared.a a.o -> out=a.out*"),
        ("ld a.o -LL1 -LL2 -static -Bdynamic -lshared", "L1/libshared.so a.o -> out=a.out*"),
        ("ld a.o -LL1 -LL2 --push-state -Bstatic --pop-state -lshared", "L1/libshared.so a.o -> out=a.out*"),
        ("ld -r a.o -LL1 -LL2 -lshared", "L2/libshared.a a.o -> out=a.out"),
        ("ld a.o -LL2 -l:exact.a", "L2/exact.a a.o -> out=a.out*"),
        ("ld a.o -LL2 -lexact", "L2/exact.a a.o -> out=a.out*"),
        ("ld a.o --library-path=L1 --library=both", "L1/libboth.a L1/libboth.so a.o -> out=a.out*"),
        ("ld a.o -lsys", "/lib/libsys.a a.o -> out=a.out*"),
        ("ld a.o --sysroot=/sys -lsys", "/sys/lib/libsys.a a.o -> out=a.out*"),
        (
            "ld a.o --sysroot=/sys -L=/usr/lib -linner",
            "/lib/libsys.a /sys/lib/libsys.a /sys/usr/lib/libinner.so a.o -> out=a.out*",
        ),
        ("ld a.o -nostdlib -lsys", "MissingInput(\"-lsys\")"),
        ("ld a.o -lnone", "MissingInput(\"-lnone\")"),
        // scripts
        ("ld a.o -T x.ld", "a.o from_script.o placed.o x.ld -> out=a.out*"),
        ("ld a.o -Tx.ld", "a.o from_script.o placed.o x.ld -> out=a.out*"),
        ("ld a.o x.ld", "a.o from_script.o placed.o x.ld -> out=a.out*"),
        ("ld a.o -T in_path.ld -LL2 -LL1", "L1/libboth.a L1/libboth.so L2/by_path.o L2/in_path.ld a.o -> out=a.out*"),
        ("ld a.o -T none.ld", "MissingInput(\"/w/none.ld\")"),
        ("ld a.o -Ttext 0x100 -Tdata=0x200", "a.o -> out=a.out*"),
        // formats
        ("ld -r -b binary blob.txt -o blob.o", "blob.txt -> out=blob.o"),
        ("ld -r --format=binary blob.txt --format=elf a.o", "a.o blob.txt -> out=a.out"),
        // outputs
        ("ld a.o -shared -o x.so -Map=x.map", "a.o -> out=x.so* map=x.map"),
        ("ld a.o -Map - -o x", "a.o -> out=x*"),
        ("ld a.o -Map=% -o x", "UnknownOption(\"-Map=%\")"),
        ("ld a.o --dependency-file=x.d --out-implib x.a", "a.o -> out=a.out* side=x.d side2=x.a"),
        ("ld a.o -o /dev/null", "Device(\"/dev/null\")"),
        ("ld a.o -o -", "Stdout"),
        ("ld @args", "a.o args -> out=from_args*"),
        // the rest
        ("ld -", "Stdin"),
        ("ld", "NoInput"),
        ("ld -v", "Query(\"-v\")"),
        ("ld -v a.o", "a.o -> out=a.out*"),
        ("ld a.o --build-id=uuid", "Unsealable(\"a random build id\")"),
        ("ld a.o --build-id=sha1", "a.o -> out=a.out*"),
        ("ld a.o -omagic", "a.o -> out=magic*"),
        ("ld a.o --what", "UnknownOption(\"--what\")"),
        ("ld none.o", "MissingInput(\"/w/none.o\")"),
        ("ld a.o -plugin f -plugin-opt=-fresolution=/tmp/cc.res", "a.o f -> out=a.out*"),
        ("ld a.o -plugin f -plugin-opt=-fresolution=a.res", "a.o f -> out=a.out* res=a.res"),
        ("ld a.o -plugin f -plugin-opt=/w/f -plugin-opt=-pass-through=-lgcc", "a.o f -> out=a.out*"),
        ("ld a.o --plugin-opt=thinlto-index-only", "UnknownOption(\"-plugin-opt=thinlto-index-only\")"),
    ] {
        assert_eq!(planned(&line.split(' ').collect::<Vec<_>>()), expected, "{line}");
    }
}

#[test]
fn some_variables_cannot_be_sealed() {
    let mut call = call(&["ld", "a.o"], Path::new("/w"));
    call.env.insert("LLD_REPRODUCE".into(), "x.tar".into());
    assert!(matches!(plan(&Linker::default(), &call, &world()), Plan::Here(Reason::Unsealable(_))));
}

#[test]
fn a_pe_output_carries_the_time() {
    for (argv, volatile) in [
        (["ld", "-m", "i386pep", "a.o"].as_slice(), true),
        (&["ld", "-m", "i386pep", "--no-insert-timestamp", "a.o"], false),
        (&["ld", "-m", "elf_x86_64", "a.o"], false),
        (&["x86_64-w64-mingw32-ld", "a.o"], true),
    ] {
        let planned = step(plan(&Linker::default(), &call(argv, Path::new("/w")), &world()));
        assert_eq!(planned.volatile, volatile, "{argv:?}");
    }
}

#[test]
fn a_driver_may_name_objects_that_are_yet_to_come() {
    let argv: Vec<OsString> = ["ld", "/tmp/ccXYZ.o", "a.o"].iter().map(OsString::from).collect();
    let linker = Linker::default();
    let env = Environment::new();
    let files = files(&linker, &argv, Path::new("/w"), &env, &world()).unwrap();
    assert_eq!(shown_reads(&files.reads, Path::new("/w")), ["a.o"]);
    assert_eq!(planned(&["ld", "/tmp/ccXYZ.o"]), "MissingInput(\"/tmp/ccXYZ.o\")");
}

#[test]
fn placeholders_of_objects_and_archives_are_not_forced() {
    let scratch = Scratch::new();
    for name in ["a.o", "b.lo", "libx.a", "c.a", "noext"] {
        scratch.file(name, "PENDING");
    }
    let call = scratch.call(&["ld", "a.o", "b.lo", "c.a", "-L.", "-lx", "noext", "-o", "out"]);
    let planned = plan(&Linker::default(), &call, &scratch);
    assert_eq!(shown(planned, &scratch.path("")), "a.o b.lo c.a libx.a noext -> out=out*");
}

#[test]
fn thin_archives_bring_their_members() {
    let scratch = Scratch::new();
    scratch.object("sub/a.o", "int f;");
    scratch.run(&["ar", "rcT", "libthin.a", "sub/a.o"]);
    let planned = plan(&Linker::default(), &scratch.call(&["ld", "-L.", "-lthin"]), &scratch);
    assert_eq!(shown(planned, &scratch.path("")), "libthin.a sub/a.o -> out=a.out*");
}

#[test]
fn a_thin_archive_planned_makes_placeholders_of_archives_suspect() {
    let scratch = Scratch::new();
    scratch.file("a.o", "");
    scratch.file("p.a", "PENDING");
    let tools = Binutils::new();
    tools.plan(&scratch.call(&["ar", "rcT", "t.a", "a.o"]), &scratch).unwrap();
    let forced = std::panic::AssertUnwindSafe(|| tools.plan(&scratch.call(&["ld", "p.a"]), &scratch));
    assert!(std::panic::catch_unwind(forced).is_err());
}

#[test]
fn a_library_for_another_machine_is_passed_over() {
    let scratch = Scratch::new();
    scratch.object("a.o", "int f;");
    scratch.run(&["ar", "rc", "libx.a", "a.o"]);
    scratch.run(&["mkdir", "m"]);
    scratch.run(&["objcopy", "-O", "elf32-i386", "a.o", "m/a.o"]);
    scratch.run(&["ar", "rc", "m/libx.a", "m/a.o"]);
    let call = scratch.call(&["ld", "-Lm", "-L.", "-lx", "-o", "out"]);
    let planned = plan(&Linker::default(), &call, &scratch);
    assert_eq!(shown(planned, &scratch.path("")), "libx.a m/libx.a -> out=out*");
}

#[test]
fn libraries_of_libraries_are_found() {
    let scratch = Scratch::new();
    scratch.object("a.o", "int f(void) { return 1; }");
    scratch.run(&["mkdir", "one", "two"]);
    for (so, needs, path) in [("two/libc2.so", None, "."), ("one/libb2.so", Some("two/libc2.so"), "$ORIGIN/../two")] {
        let name = Path::new(so).file_name().unwrap().to_str().unwrap();
        let mut argv = vec!["ld", "-shared", "a.o", "-soname", name, "-rpath", path, "-o", so];
        argv.extend(needs);
        scratch.run(&argv);
    }
    let call = scratch.call(&["ld", "a.o", "-Lone", "-lb2", "-o", "out"]);
    let reads = step(plan(&Linker::default(), &call, &scratch)).reads;
    let found: BTreeSet<_> = scratch.reads(&reads).into_iter().filter(|name| !name.starts_with('/')).collect();
    assert_eq!(found, ["a.o", "one/../two/libc2.so", "one/libb2.so"].map(String::from).into());
    assert!(scratch.reads(&reads).contains(&"/etc/ld.so.conf".to_owned()));
}

#[test]
fn collect2s_own_command_line() {
    let scratch = Scratch::new();
    scratch.object("a.o", "int main(void) { return 0; }");
    let output = std::process::Command::new("gcc")
        .args(["-###", "a.o", "-o", "x", "-lm"])
        .current_dir(scratch.path(""))
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let line = text.lines().find(|line| line.contains("collect2")).unwrap();
    let argv = crate::args::tokens(line.as_bytes());
    let env = Environment::from([("PATH".into(), "/usr/bin:/bin".into())]);
    let files = files(&Linker::default(), &argv, &scratch.path(""), &env, &scratch).unwrap();
    let reads = scratch.reads(&files.reads);
    for wanted in
        ["crtn.o", "crtbeginS.o", "libc.so.6", "libc_nonshared.a", "libm.so.6", "liblto_plugin.so", "libgcc.a"]
    {
        assert!(reads.iter().any(|read| read.ends_with(wanted)), "{wanted} in {reads:?}");
    }
    assert!(reads.contains(&"a.o".to_owned()));
    assert_eq!(files.writes[0].path, scratch.path("x"));
}

#[test]
fn modes_are_those_of_the_real_linkers() {
    let scratch = Scratch::new();
    scratch.object("a.o", "int main(void) { return 0; }");
    for linker in
        ["ld.bfd", "ld.gold", "ld.lld", "mold"].iter().filter(|name| Path::new("/usr/bin").join(name).exists())
    {
        for options in [&["-r"][..], &["-shared"], &["-e", "main"], &["-e", "main", "--oformat=binary"]] {
            let argv = [&[*linker, "a.o", "-o", "out"], options].concat();
            let planned = step(plan(&Linker::default(), &scratch.call(&argv), &scratch));
            scratch.run(&argv);
            assert_eq!(planned.writes[0].executable, scratch.executable(&scratch.path("out")), "{argv:?}");
        }
    }
}
