//! Placeholders move as they are, and the guard learns where to.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use common::{Build, Product};
use gg_watch::Access;

fn renames(build: &Build) -> Vec<(String, String)> {
    let short = |p: &std::path::PathBuf| p.strip_prefix(&build.root).unwrap().to_str().unwrap().to_owned();
    build.known.renames.lock().unwrap().iter().map(|(a, b)| (short(a), short(b))).collect()
}

fn pair(from: &str, to: &str) -> (String, String) {
    (from.into(), to.into())
}

#[test]
fn a_file() {
    let build = Build::new();
    build.placeholder("sub/x", Product::of("real"));
    fs::create_dir(build.path("other")).unwrap();
    symlink("other", build.path("there")).unwrap();
    build.sh("cd sub && mv x ../there/y");
    assert_eq!(renames(&build), [pair("sub/x", "other/y")]);
    assert!(build.produced().is_empty());
    assert_eq!(build.sh("cat other/y"), "real");
    assert_eq!(build.produced(), [("other/y".into(), Access::Read)]);
}

#[test]
fn over_another_file() {
    let build = Build::new();
    build.placeholder("x", Product::of("new"));
    build.placeholder("y", Product::of("old"));
    build.sh("mv -f x y");
    assert_eq!(renames(&build), [pair("x", "y")], "once, though mv tries twice");
    assert_eq!(build.sh("cat y"), "new");
    assert_eq!(build.produced().len(), 1);
}

#[test]
fn a_directory() {
    let build = Build::new();
    build.placeholder("sub/x", Product::of("real"));
    assert_eq!(build.sh("mv sub moved/ && cat moved/x"), "real");
    assert_eq!(renames(&build), [pair("sub", "moved")]);
    assert_eq!(build.produced(), [("moved/x".into(), Access::Read)]);
}

#[test]
fn other_files_and_failures_are_not_told() {
    let build = Build::new();
    build.write("plain", "plain");
    build.placeholder("x", Product::of("real"));
    build.write("sub/z", "z");
    build.sh("mv plain plain2; ! mv x none/y 2>/dev/null; ! mv -T x sub 2>/dev/null; mv -n x plain2");
    assert_eq!(renames(&build), []);
    assert!(build.produced().is_empty());
}

#[test]
fn every_call_that_renames() {
    let build = Build::new();
    let source = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
  int d = open("sub", O_PATH), e = open(".", O_DIRECTORY);
  if (rename("sub/1", "2")) return 1;
  if (renameat(e, "2", d, "3")) return 2;
  if (renameat2(d, "3", AT_FDCWD, "4", RENAME_NOREPLACE)) return 3;
  if (renameat2(e, "4", e, "plain", RENAME_EXCHANGE) == 0 || errno != EINVAL) return 4;
  return renameat2(e, "plain", e, "plain2", RENAME_EXCHANGE) != 0;
}"#;
    build.compile("mover", source, &[]);
    build.write("plain", "plain");
    build.write("plain2", "plain2");
    build.placeholder("sub/1", Product::of("real"));
    build.sh("./mover");
    assert_eq!(renames(&build), [pair("sub/1", "2"), pair("2", "sub/3"), pair("sub/3", "4")]);
    assert_eq!(build.read("plain"), "plain2");
}

#[test]
fn to_another_file_system() {
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let build = Build::new();
    if build.id(".").device == std::os::unix::fs::MetadataExt::dev(&fs::metadata(other.path()).unwrap()) {
        return eprintln!("only one file system here");
    }
    for name in ["x", "y"] {
        build.placeholder(name, Product::of("real"));
    }
    fs::write(other.path().join("y"), "old").unwrap();
    let output = build.output(Command::new("mv").args(["x", "y"]).arg(other.path()));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    for name in ["x", "y"] {
        assert_eq!(fs::read(other.path().join(name)).unwrap(), b"real");
        assert!(!build.path(name).exists());
    }
    assert_eq!(renames(&build), []);
}
