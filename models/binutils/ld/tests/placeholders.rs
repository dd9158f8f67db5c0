//! Links with libraries that are not computed yet.

use std::ffi::OsString;
use std::path::Path;

use super::world;
use crate::binutils::ld::{Linker, Shared, plan};
use crate::binutils::outline::{Outline, Thin};
use crate::binutils::testing::{call, shown, shown_reads, step};
use crate::{Plan, World};

/// What is known of the library that a link makes, by which a later world has it as a placeholder.
fn outlined(line: &str, world: &dyn World) -> Option<Outline> {
    let argv: Vec<&str> = line.split(' ').collect();
    let step = step(plan(&Linker::default(), &call(&argv, Path::new("/w")), world));
    step.writes[0].outline.as_deref().and_then(Outline::decode)
}

fn shared(line: &str, world: &dyn World) -> Shared {
    match outlined(line, world) {
        Some(Outline::Shared(shared)) => shared,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn what_is_known_of_a_library_before_it_is_linked() {
    let named = Shared { sonames: vec!["libn.so.7".into()], complete: true, ..Shared::default() };
    let world = world()
        .with_placeholder("/w/L1/libn.so", Some(&Outline::Shared(named).encode()))
        // ET_DYN for x86-64, without a dynamic section.
        .with("/w/L1/libreal.so", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0");
    for (line, sonames, needed, runpath) in [
        ("ld -shared a.o", &[][..], &[][..], &[][..]),
        ("ld -shared a.o -soname=libx.so.1 -LL1 -ln", &["libx.so.1"], &["libn.so.7"], &[]),
        ("ld --shared a.o -h one -soname two L1/libn.so", &["one", "two"], &["libn.so.7"], &[]),
        // No name of its own: as the call names it, or as it was found.
        ("ld -shared a.o -LL1 -lreal", &[], &["libreal.so"], &[]),
        ("ld -shared a.o L1/libreal.so", &[], &["L1/libreal.so", "libreal.so"], &[]),
        ("ld -shared a.o L1/libreal.so -LL1 -lreal", &[], &["L1/libreal.so", "libreal.so"], &[]),
        ("ld -shared a.o --as-needed -LL1 -lreal", &[], &["libreal.so"], &[]),
        ("ld -shared a.o -rpath /x:$ORIGIN -R /y -rpath=/z", &[], &[], &["/x", "$ORIGIN", "/z", "/y"]),
    ] {
        let found = shared(line, &world);
        let expected = Shared {
            sonames: sonames.iter().map(OsString::from).collect(),
            needed: needed.iter().map(OsString::from).collect(),
            runpath: runpath.iter().map(OsString::from).collect(),
            machine: found.machine,
            complete: true,
        };
        assert_eq!(found, expected, "{line}");
    }
    assert_eq!(shared("ld -shared -m elf_i386 a.o", &world).machine, Some((1, 3)));
    // More may be needed than is named.
    for line in [
        "ld -shared a.o --copy-dt-needed-entries",
        "ld -shared a.o --add-needed",
        "ld -shared a.o -plugin f",
        "ld -shared a.o L2/in_path.ld -LL1 -LL2",
        "ld.lld -shared a.o",
    ] {
        let world = world.clone().with("/w/L2/in_path.ld", "INPUT(L1/libreal.so)");
        assert!(!shared(line, &world).complete, "{line}");
    }
    assert!(
        shared(
            "ld -shared a.o -plugin /usr/lib/liblto_plugin.so",
            &world.clone().with("/usr/lib/liblto_plugin.so", "")
        )
        .complete
    );
    assert!(shared("ld.gold -shared a.o", &world).complete);
    assert_eq!(outlined("ld -r a.o -o x.ko", &world), Some(Outline::Object));
    for line in ["ld a.o", "ld -r a.o -o x.o", "ld -shared a.o --oformat binary", "ld -shared -T x.ld a.o"] {
        assert_eq!(outlined(line, &world), None, "{line}");
    }
}

fn for_machine(machine: (u8, u16)) -> Vec<u8> {
    Outline::Shared(Shared { machine: Some(machine), complete: true, ..Shared::default() }).encode()
}

#[test]
fn placeholders_of_shared_libraries_are_not_forced() {
    // liba needs libb, which needs libc; each link sees what the earlier ones said.
    let base = || world().with("/etc/ld.so.conf", "/conf\n");
    let first = base();
    let c = outlined("ld -shared a.o -soname libc.so.1 -o c/libc.so.1.0", &first).unwrap().encode();
    let second = base().with_placeholder("/w/c/libc.so", Some(&c));
    let b = outlined("ld -shared a.o -soname libb.so.1 -Lc -lc -rpath $ORIGIN/../c -o b/libb.so.1", &second);
    let b = b.unwrap().encode();
    let third = base().with_placeholder("/w/b/libb.so", Some(&b));
    let a = outlined("ld -shared a.o b/libb.so -o a/liba.so", &third).unwrap().encode();
    let all = base()
        .with_placeholder("/w/a/liba.so", Some(&a))
        .with_placeholder("/w/b/libb.so.1", Some(&b))
        .with_placeholder("/w/c/libc.so.1", Some(&c))
        .with_placeholder("/w/d/libc.so.1", Some(&for_machine((1, 3))))
        .with_placeholder("/w/lib64/libb.so.1", Some(&for_machine((1, 3))));
    let found = |line: &str, variable: Option<(&str, &str)>| {
        let mut call = call(&line.split(' ').collect::<Vec<_>>(), Path::new("/w"));
        call.env.extend(variable.map(|(name, value)| (name.into(), value.into())));
        shown(plan(&Linker::default(), &call, &all), Path::new("/w"))
    };
    for (line, variable, reads) in [
        // libb is nowhere to be found: libc is not looked for either.
        ("ld a.o a/liba.so -o x", None, "a.o a/liba.so"),
        // The run path of libb leads to libc.
        ("ld a.o a/liba.so -rpath-link b -o x", None, "a.o a/liba.so b/../c/libc.so.1 b/libb.so.1"),
        ("ld a.o a/liba.so -rpath b:c -o x", None, "a.o a/liba.so b/../c/libc.so.1 b/libb.so.1 c/libc.so.1"),
        ("ld a.o a/liba.so -R b -o x", None, "a.o a/liba.so b/../c/libc.so.1 b/libb.so.1"),
        (
            "ld a.o a/liba.so -rpath ${ORIGIN}/../b -o x",
            None,
            "a.o a/../b/../c/libc.so.1 a/../b/libb.so.1 a/liba.so b/../c/libc.so.1",
        ),
        ("ld a.o a/liba.so -rpath-link /w/$LIB -o x", None, "a.o a/liba.so lib64/libb.so.1"),
        ("ld a.o a/liba.so -o x", Some(("LD_RUN_PATH", "b")), "a.o a/liba.so b/../c/libc.so.1 b/libb.so.1"),
        ("ld a.o a/liba.so -o x", Some(("LD_LIBRARY_PATH", "b")), "a.o a/liba.so b/../c/libc.so.1 b/libb.so.1"),
    ] {
        assert_eq!(found(line, variable), format!("/etc/ld.so.conf {reads} -> out=x*"), "{line}");
    }
    // One for another machine is passed over, and nothing that it needs matters.
    let planned = found("ld a.o -Ld -Lc -l:libc.so.1 -o x", None);
    assert!(planned.contains("c/libc.so.1") && planned.contains("d/libc.so.1"), "{planned}");
}

#[test]
fn a_library_of_unknown_needs_is_forced_where_they_matter() {
    let opaque = Outline::Shared(Shared { complete: false, ..Shared::default() }).encode();
    let world = world().with_placeholder("/w/lib.so", Some(&opaque));
    let plan_with = |line: &str| {
        let call = call(&line.split(' ').collect::<Vec<_>>(), Path::new("/w"));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| plan(&Linker::default(), &call, &world)))
    };
    assert!(plan_with("ld a.o lib.so").is_err());
    // This one does not look for what libraries need.
    assert!(plan_with("ld.gold a.o lib.so").is_ok());
    assert!(plan_with("ld.gold -shared a.o lib.so").is_ok());
}

#[test]
fn placeholders_of_thin_archives_bring_their_members() {
    let thin = Outline::Thin(Thin { directory: "/w".into(), members: vec!["/w/m.o".into(), "/w/gone.o".into()] });
    let world = world().with("/w/m.o", "").with_placeholder("/w/thin.a", Some(&thin.encode()));
    let world = world.with_placeholder("/w/regular.lib", Some(&Outline::Archive.encode()));
    let world = world.with_placeholder("/w/x.pico", Some(&Outline::Object.encode()));
    let call = call(&["ld", "a.o", "thin.a", "regular.lib", "x.pico"], Path::new("/w"));
    let planned = plan(&Linker::default(), &call, &world);
    assert_eq!(shown(planned, Path::new("/w")), "a.o m.o regular.lib thin.a x.pico -> out=a.out*");
}

#[test]
fn run_paths_that_lead_back_and_forth_come_to_an_end() {
    let library = |needed: &str, place: &str| {
        let (needed, runpath) = (vec![needed.into()], vec![place.into()]);
        Outline::Shared(Shared { needed, runpath, complete: true, ..Shared::default() }).encode()
    };
    let world = world()
        .with_placeholder("/w/one/liba.so", Some(&library("libb.so", "$ORIGIN/../two")))
        .with_placeholder("/w/two/libb.so", Some(&library("liba.so", "$ORIGIN/../one")));
    let planned = plan(&Linker::default(), &call(&["ld", "a.o", "one/liba.so"], Path::new("/w")), &world);
    let reads = "a.o one/../two/../one/liba.so one/../two/libb.so one/liba.so two/../one/liba.so two/libb.so";
    let Plan::Thunk(step) = planned else { panic!("{planned:?}") };
    for read in shown_reads(&step.reads, Path::new("/w")) {
        assert!(reads.split(' ').any(|known| known == read), "{read}");
    }
}
