//! Which accesses get the real file.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use common::{Build, Product};
use gg_watch::Access;

/// Reads its first argument with the plainest calls there are.
const READER: &str = r#"
#include <fcntl.h>
#include <unistd.h>
int main(int c, char **v) { char b[99]; int f = open(v[1], O_RDONLY); if (f < 0) return 1;
  ssize_t n = read(f, b, sizeof b); return write(1, b, n) != n; }
"#;

#[test]
fn a_reader_gets_the_real_file() {
    let build = Build::new();
    build.placeholder("a b\n.o", Product::of("real"));
    assert_eq!(build.sh("cat 'a b\n.o'"), "real");
    assert_eq!(build.produced(), [("a b\n.o".into(), Access::Read)]);
    assert_eq!(build.read("a b\n.o"), "real");
}

#[test]
fn names_need_not_be_utf8() {
    let build = Build::new();
    build.placeholder("x", Product::of("real"));
    assert_eq!(build.sh("mv x \"$(printf '\\377')\"; cat \"$(printf '\\377')\""), "real");
}

#[test]
fn through_links_and_directories() {
    let build = Build::new();
    build.placeholder("sub/dir/x", Product::of("real"));
    build.sh("ln -s sub/dir there; ln -s there/x link; ln -s \"$PWD/link\" link2");
    assert!(build.produced().is_empty());
    assert_eq!(build.sh("cd there && cat ../../link2"), "real");
    assert_eq!(build.produced(), [("sub/dir/x".into(), Access::Read)]);
    assert!(fs::symlink_metadata(build.path("link")).unwrap().is_symlink());
}

#[test]
fn a_static_program_too() {
    let build = Build::new();
    build.compile("reader", READER, &["-static"]);
    build.placeholder("x", Product::of("real"));
    assert_eq!(build.sh("./reader x"), "real");
}

/// A 32-bit program without a C library, so that no 32-bit one need be installed.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_32_bit_program_too() {
    let build = Build::new();
    let source = r#"
__attribute__((naked, noreturn)) void _start(void) { __asm__(
  "mov 8(%esp), %ebx; xor %ecx, %ecx; mov $5, %eax; int $0x80;"
  "mov %eax, %ebx; sub $64, %esp; mov %esp, %ecx; mov $64, %edx; mov $3, %eax; int $0x80;"
  "mov %eax, %edx; mov $1, %ebx; mov $4, %eax; int $0x80;"
  "xor %ebx, %ebx; mov $1, %eax; int $0x80"); }
"#;
    build.compile("reader", source, &["-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie"]);
    build.write("plain", "plain");
    match Command::new(build.path("reader")).arg(build.path("plain")).output() {
        Ok(output) if output.stdout == b"plain" => {}
        _ => return eprintln!("this kernel runs no 32-bit programs"),
    }
    build.placeholder("x", Product::of("real"));
    assert_eq!(build.sh("./reader x"), "real");
}

#[test]
fn executing() {
    let build = Build::new();
    build.compile("made", "#include <stdio.h>\nint main(void) { puts(\"I run\"); }", &[]);
    let program = fs::read(build.path("made")).unwrap();
    build.placeholder("tool", Product::program(program));
    assert_eq!(build.sh("./tool"), "I run\n");
    assert_eq!(build.produced(), [("tool".into(), Access::Execute)]);
    assert!(build.known.programs.lock().unwrap().contains(&build.path("tool")));
}

#[test]
fn the_command_itself_may_be_a_placeholder() {
    let build = Build::new();
    build.placeholder("tool", Product::program("#!/bin/sh\necho \"$0\""));
    let output = build.output(&mut Command::new(build.path("tool")));
    assert_eq!(output.stdout, format!("{}\n", build.path("tool").display()).as_bytes());
}

#[test]
fn scripts_and_interpreters() {
    let build = Build::new();
    build.placeholder("script", Product::of("echo from script"));
    assert_eq!(build.sh("sh script"), "from script\n");

    // A script made during the build, whose interpreter is one as well.
    build.placeholder("sub/outer", Product::program("#! ./inner -x\n"));
    build.placeholder("inner", Product::program("#!/bin/sh\necho inner \"$@\"\n"));
    assert_eq!(build.sh("./sub/outer arg"), "inner -x ./sub/outer arg\n");

    // An ordinary script with such an interpreter.
    build.placeholder("inner2", Product::program("#!/bin/sh\necho inner2 \"$@\"\n"));
    build.write("plain", "#!./inner2\n");
    assert_eq!(build.sh("chmod +x plain; ./plain"), "inner2 ./plain\n");
    assert_eq!(build.produced().len(), 4);
}

#[test]
fn a_shared_library_and_a_loader() {
    let build = Build::new();
    build.compile("libanswer.so", "int answer(void) { return 42; }", &["-shared", "-fPIC"]);
    let library = fs::read(build.path("libanswer.so")).unwrap();
    let source = "int answer(void); int main(void) { return answer() != 42; }";
    build.compile("user", source, &["-L.", "-lanswer", "-Wl,-rpath,$ORIGIN", "-Wl,--dynamic-linker=./loader"]);
    build.placeholder("libanswer.so", Product::program(library));
    let loader = fs::read("/proc/self/maps").unwrap();
    let loader = String::from_utf8(loader).unwrap();
    let loader = loader.lines().find_map(|l| l.split_whitespace().last().filter(|p| p.contains("/ld-linux"))).unwrap();
    build.placeholder("loader", Product::program(fs::read(loader).unwrap()));
    build.sh("./user");
    assert_eq!(build.produced(), [("loader".into(), Access::Execute), ("libanswer.so".into(), Access::Read)]);
}

#[test]
fn path_search_passes_over_what_is_not_there() {
    let build = Build::new();
    build.placeholder("late/tool", Product::program("#!/bin/sh\necho found\n"));
    fs::create_dir_all(build.path("early")).unwrap();
    // Another test's child that has not executed anything yet may keep the new file open for writing ("text file busy").
    let script =
        "PATH=$PWD/early:$PWD/none:$PWD/late:$PATH; for i in 1 2 3; do env tool 2>err && break; sleep 0.1; done";
    assert_eq!(build.sh(script), "found\n");
}

#[test]
fn hard_links_force_and_symbolic_links_do_not() {
    let build = Build::new();
    build.placeholder("x", Product::of("real"));
    build.sh("ln -s x soft");
    assert!(build.produced().is_empty());
    build.sh("ln x hard");
    assert_eq!(build.produced(), [("x".into(), Access::Link)]);
    assert_eq!((build.read("hard"), build.id("hard")), ("real".into(), build.id("x")));
}

#[test]
fn writing() {
    let build = Build::new();
    build.placeholder("over", Product::of("real"));
    build.sh("echo new > over");
    assert!(build.produced().is_empty());
    assert_eq!(build.read("over"), "new\n");

    build.placeholder("append", Product::of("real"));
    build.sh("echo more >> append");
    assert_eq!(build.read("append"), "realmore\n");
    build.placeholder("cut", Product::of("real"));
    build.compile("cut2", "#include <unistd.h>\nint main(void) { return truncate(\"cut\", 2); }", &[]);
    build.sh("./cut2");
    assert_eq!(build.read("cut"), "re");
    assert_eq!(build.produced(), [("append".into(), Access::Write), ("cut".into(), Access::Write)]);
}

#[test]
fn sizes_are_true() {
    let build = Build::new();
    for (name, command) in [
        ("a", "stat -c %s a"),
        ("b", "ls -l b | awk '{print $5}'"),
        ("c", "find . -name c -printf '%s\\n'"),
        ("d", "du -b d | cut -f1"),
        ("e", "tar cf - e | tar tvf - | awk '{print $3}'"),
    ] {
        build.placeholder(name, Product::of("0123456789"));
        assert_eq!(build.sh(command), "10\n", "{command}");
    }
}

#[test]
fn existence_times_and_removal_need_no_file() {
    let build = Build::new();
    build.placeholder("x", Product::of("real"));
    build.write("mk", "all: x\n\t@test -f x && [ -r x ] && echo ok\n");
    assert_eq!(build.sh("make -s -f mk; touch x; chmod 600 x; test -L x || test x -nt mk; ls"), "ok\nmk\nx\n");
    assert!(build.is_placeholder("x"));
    build.sh("rm x");
    assert!(build.produced().is_empty());
}

#[test]
fn programs_that_compare_what_they_saw_with_what_they_open() {
    let build = Build::new();
    build.write("same", "real");
    build.write("longer", "real, and more");
    fs::create_dir(build.path("into")).unwrap();
    for (name, command) in [
        ("a", "cp a into && cat into/a"),
        ("b", "install -m 600 b into/b2 && cat into/b2"),
        ("c", "cp -p -t into c && cat into/c"),
        ("d", "cp -r . ../into.$$ && cat ../into.$$/d; rm -r ../into.$$"),
        ("e", "diff -q e same && cat e"),
        ("f", "cmp f same && cat f"),
    ] {
        build.placeholder(name, Product::of("real"));
        assert_eq!(build.sh(command), "real", "{command}");
    }
}

#[test]
fn errors_of_the_guard_are_those_of_the_call() {
    let build = Build::new();
    build.placeholder("x", Product { errno: Some(libc::EIO), ..Product::of("") });
    let output = build.output(Command::new("cat").arg("x"));
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "cat: x: Input/output error\n");
    assert!(build.is_placeholder("x"));
}

#[test]
fn owner_and_times_of_other_files_are_left_alone() {
    let build = Build::new();
    build.write("plain", "plain");
    let before = fs::metadata(build.path("plain")).unwrap();
    assert_eq!(build.sh("cat plain"), "plain");
    let after = fs::metadata(build.path("plain")).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
    assert!(build.produced().is_empty());
}
