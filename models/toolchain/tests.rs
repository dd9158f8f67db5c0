//! Toolchains and plans in a root that holds nothing else: what is missing from either makes the tool fail there.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use super::capture;
use crate::dispatch::Models;
use crate::driver::testing::{Disk, Scratch};
use crate::{Environment, Plan, Read, Reason, Step, World};

/// A root directory under construction.
struct Root {
    dir: tempfile::TempDir,
    trees: BTreeSet<PathBuf>,
}

impl Root {
    fn new() -> Self {
        let root = Self { dir: tempfile::tempdir().unwrap(), trees: BTreeSet::new() };
        std::fs::create_dir_all(root.inside(Path::new("/dev"))).unwrap();
        std::fs::create_dir_all(root.inside(Path::new("/tmp"))).unwrap();
        std::fs::write(root.inside(Path::new("/dev/null")), "").unwrap();
        root
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.dir.path().join(path.strip_prefix("/").unwrap())
    }

    /// Puts a file or an empty directory where it is on this machine, with every symlink on the way; the real path.
    fn place(&self, path: &Path) -> PathBuf {
        let mut at = PathBuf::from("/");
        let mut ahead: VecDeque<OsString> = path.components().map(|it| it.as_os_str().to_owned()).collect();
        while let Some(part) = ahead.pop_front() {
            match Path::new(&part).components().next() {
                Some(Component::RootDir) => at = PathBuf::from("/"),
                Some(Component::ParentDir) => drop(at.pop()),
                Some(Component::Normal(_)) => {
                    let next = at.join(&part);
                    let kind = std::fs::symlink_metadata(&next).unwrap().file_type();
                    let inside = self.inside(&next);
                    if kind.is_symlink() {
                        let target = std::fs::read_link(&next).unwrap();
                        // It may be there already.
                        let _ = std::os::unix::fs::symlink(&target, inside);
                        for part in target.components().rev() {
                            ahead.push_front(part.as_os_str().to_owned());
                        }
                        continue;
                    }
                    if kind.is_dir() {
                        std::fs::create_dir_all(inside).unwrap();
                    } else if !inside.exists() {
                        // What the step may change must be a file of its own.
                        let shared = next.starts_with("/usr") && std::fs::hard_link(&next, &inside).is_ok();
                        if !shared {
                            std::fs::copy(&next, &inside).unwrap();
                        }
                    }
                    at = next;
                }
                _ => {}
            }
        }
        at
    }

    fn tree(&mut self, path: &Path) {
        let real = self.place(path);
        self.trees.insert(real);
    }

    /// Runs a step in it.
    fn run(&self, step: &Step, cwd: &Path) {
        let quote = |word: &OsStr| {
            let text = OsString::from_vec(word.as_bytes().to_vec()).into_string().unwrap();
            format!("'{}'", text.replace('\'', "'\\''"))
        };
        let root = self.dir.path();
        let mut script = format!("set -e\nmount --bind /dev/null {}\n", quote(root.join("dev/null").as_os_str()));
        for tree in &self.trees {
            let (from, to) = (quote(tree.as_os_str()), quote(self.inside(tree).as_os_str()));
            script += &format!("mount --rbind {from} {to}\n");
        }
        script += "exec env -i";
        for (name, value) in &step.env {
            script += &format!(" {}={}", name.to_str().unwrap(), quote(value));
        }
        script += &format!(" /usr/bin/unshare --root={} --wd={}", quote(root.as_os_str()), quote(cwd.as_os_str()));
        for word in &step.argv {
            script += &format!(" {}", quote(word));
        }
        let out = Command::new("unshare").args(["-rm", "sh", "-c", &script]).output().unwrap();
        assert!(out.status.success(), "{:?}: {}", step.argv, String::from_utf8_lossy(&out.stderr));
    }
}

/// Plans a command line, runs it in a root that holds its toolchain and its reads, runs it plainly, compares.
fn check(models: &Models, scratch: &Scratch, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let call = scratch.call(&words);
    let step = match models.plan(&call, &Disk) {
        Plan::Thunk(step) => step,
        Plan::Here(reason) => panic!("{line}: {reason}"),
    };
    let toolchain = models.toolchain(&call.tool, &Disk, &step.env).unwrap();
    let mut root = Root::new();
    root.place(&call.cwd);
    for path in &toolchain.files {
        root.place(path);
    }
    for path in &toolchain.trees {
        root.tree(path);
    }
    for read in &step.reads {
        match read {
            Read::File(path) => drop(root.place(path)),
            Read::System { root: above, .. } => root.tree(above),
            Read::Header(header) => match &header.root {
                Some(above) => root.tree(above),
                None => drop(root.place(&header.path)),
            },
            Read::Directory(path) if Disk.kind(path).is_some() => drop(root.place(path)),
            Read::Directory(_) | Read::Stdin => {}
        }
    }
    root.run(&step, &call.cwd);
    scratch.run(&call);
    for write in &step.writes {
        let (there, here) = (std::fs::read(root.inside(&write.path)), std::fs::read(&write.path));
        match (there, here) {
            (Ok(there), Ok(here)) => assert!(there == here, "{line}: {} differs", write.path.display()),
            (there, here) => assert!(write.optional && there.is_err() == here.is_err(), "{line}: {write:?}"),
        }
    }
}

fn scratch() -> Scratch {
    Scratch::new()
        .with("m.c", "#include <stdio.h>\n#include \"h.h\"\nint main(void) { printf(\"%d\\n\", f()); return 0; }\n")
        .with("f.c", "#include \"h.h\"\nint f(void) { return 3; }\n")
        .with(
            "n.cpp",
            "#include <iostream>\n#include <vector>\nint main() { std::cout << std::vector<int>(3).size(); }\n",
        )
        .with("h.h", "int f(void);\n")
        .with("u.S", ".globl f\nf: mov $3, %eax\nret\n.section .note.GNU-stack,\"\",@progbits\n")
}

#[test]
fn gcc_runs_in_its_toolchain_alone() {
    let (models, scratch) = (Models::new(None, &Disk).unwrap(), scratch());
    for line in [
        "gcc -O2 -Wall -g -c m.c -o m.o -MD",
        "cc -c f.c",
        "gcc m.o f.o -o p",
        "gcc m.o f.o -o q -fuse-ld=gold",
        "gcc m.o f.o -o s -static",
        "gcc -c u.S",
        "gcc -gsplit-dwarf -g -c f.c -o split.o",
        "gcc -shared -fPIC f.c -o libf.so -Wl,-soname,libf.so",
        "gcc m.o -L. -lf -o dynamic",
        "g++ -O1 -c n.cpp",
        "g++ n.o -o n",
        "ar rcs libg.a f.o",
        "gcc m.o -L. -lg -o archived",
        "strip p",
    ] {
        check(&models, &scratch, line);
    }
}

#[test]
fn link_time_optimisation_runs_in_its_toolchain_alone() {
    let (models, scratch) = (Models::new(None, &Disk).unwrap(), scratch());
    for line in [
        "gcc -O2 -flto -c m.c -frandom-seed=1",
        "gcc -O2 -flto -c f.c -frandom-seed=2",
        "gcc -O2 -flto m.o f.o -o p",
        "gcc -O2 -flto=2 m.o f.o -o q",
        "gcc-ar rcs libf.a f.o",
        "gcc -O2 -flto m.o libf.a -o r",
    ] {
        check(&models, &scratch, line);
    }
}

#[test]
fn clang_runs_in_its_toolchain_alone() {
    let (models, scratch) = (Models::new(None, &Disk).unwrap(), scratch());
    for line in [
        "clang -O2 -g -c m.c -MD",
        "clang -c f.c -fno-integrated-as",
        "clang m.o f.o -o p",
        "clang m.o f.o -o q -fuse-ld=lld",
        "clang++ -c n.cpp",
        "clang++ n.o -o n",
    ] {
        check(&models, &scratch, line);
    }
}

#[test]
fn wrappers_and_missing_tools() {
    let scratch = Scratch::new().with("ccache", "\x7fELF").with("script", "#!/bin/sh\nexec gcc \"$@\"\n");
    std::os::unix::fs::symlink("ccache", scratch.path("gcc")).unwrap();
    let capture = |name: &str| capture(&scratch.path(name), None, &Disk, &Environment::new());
    assert_eq!(capture("gcc"), Err(Reason::Wrapper));
    assert_eq!(capture("script"), Err(Reason::Wrapper));
    assert!(matches!(capture("none"), Err(Reason::MissingInput(_))));
}

#[test]
fn a_plain_tool_is_itself_and_its_libraries() {
    let toolchain = capture(Path::new("/usr/bin/ar"), None, &Disk, &scratch().env).unwrap();
    assert!(toolchain.trees.is_empty());
    for name in ["ar", "ld-linux-x86-64.so.2", "libc.so.6", "liblto_plugin.so"] {
        assert!(toolchain.files.iter().any(|path| path.file_name().is_some_and(|it| it == name)), "{name}");
    }
}
