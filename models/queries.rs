//! Questions to a tool about itself: what it is, and where it finds its parts.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::binutils::{Tool, draft};
use crate::driver::name::Family;
use crate::driver::option::{self, Meaning};
use crate::driver::{environment, name};
use crate::{Call, FileKind, Read, Step, StepKind, World};

/// What GCC's drivers answer from what they are built with and where they lie. `-print-search-dirs` does not look whether the
/// directories exist (`build_search_list` in GCC's gcc.cc is told not to).
const GCC: &[&str] = &[
    "--version",
    "-v",
    "-V",
    "-version",
    "-qversion",
    "-dumpversion",
    "-dumpfullversion",
    "-dumpmachine",
    "-dumpspecs",
    "-print-multi-os-directory",
    "-print-multi-directory",
    "-print-multi-lib",
    "-print-multiarch",
    "-print-search-dirs",
    "-print-sysroot",
    "-print-sysroot-headers-suffix",
];

/// The one of [`GCC`] with which the driver does what else it is told, whatever others are there (`--version` too, whose sub-processes
/// then say theirs).
const GCC_GOES_ON: &[&str] = &["-v"];

/// What both hand to the linker, which then only answers.
const LINKERS: &[&str] = &["-Wl,--version"];

/// What collect2 then shows of its command line, by the paths where they are.
const START_FILES: &[&str] = &["crt1.o", "Scrt1.o", "rcrt1.o", "gcrt1.o", "crti.o", "crtn.o"];

/// What GCC's drivers look for in their directories: the name of a program, or of a file.
const GCC_FINDS: &[&str] = &["-print-prog-name=", "-print-file-name="];

/// The same without a name of the caller's.
const GCC_FINDS_ITS_LIBRARY: &str = "-print-libgcc-file-name";

/// What Clang answers from itself; its `-v` tells which versions of GCC are installed.
const CLANG: &[&str] = &["--version", "-V", "-qversion", "-dumpversion", "-dumpmachine"];

/// The same of binutils and their kin.
const BINUTILS: &[&str] = &["--version", "-V", "-v", "--help", "-h"];

/// The step that answers a call, when its arguments are such questions, and perhaps options that say what they are about.
pub(crate) fn step(call: &Call, world: &dyn World) -> Option<Step> {
    let (env, reads) = match call.tool.file_name().is_some_and(name::is_driver) {
        true => (environment::visible(&call.env), of_driver(call, world)?),
        false => (draft::environment(&call.env, &[]), of_binutils(call)?),
    };
    // Nothing relative is in the question.
    let env = env.into_iter().filter(|(name, _)| name != "PWD").collect();
    Some(Step {
        kind: StepKind::Query,
        argv: call.argv.clone(),
        env,
        reads,
        writes: Vec::new(),
        volatile: false,
        awaited: true,
        missing: None,
    })
}

fn of_binutils(call: &Call) -> Option<Vec<Read>> {
    Tool::of(Path::new(&call.tool))?;
    (!call.args().is_empty() && call.args().iter().all(|arg| is_one_of(arg, BINUTILS))).then(Vec::new)
}

/// Whether the argument is in the list, with one dash or two.
fn is_one_of(arg: &OsStr, list: &[&str]) -> bool {
    let bytes = arg.as_bytes();
    list.iter()
        .any(|it| bytes == it.as_bytes() || it.starts_with("-print") && bytes.strip_prefix(b"-") == Some(it.as_bytes()))
}

/// What a driver reads to answer; `None` if anything else is wanted of it.
fn of_driver(call: &Call, world: &dyn World) -> Option<Vec<Read>> {
    let family = name::compiler(&call.tool, world)?.family;
    let known = if family == Family::Clang { CLANG } else { GCC };
    // Whether it is asked anything, and whether the driver ends with the answer.
    let (mut asked, mut ends, mut goes_on) = (false, false, false);
    let (mut wanted, mut about, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    let mut args = call.args().iter().peekable();
    while let Some(arg) = args.next() {
        let found = GCC_FINDS.iter().find_map(|it| {
            let bytes = arg.as_bytes();
            bytes.strip_prefix(it.as_bytes()).or_else(|| bytes.strip_prefix(b"-")?.strip_prefix(it.as_bytes()))
        });
        match found.filter(|_| family == Family::Gcc) {
            _ if is_one_of(arg, known) => {
                asked = true;
                ends |= family == Family::Gcc;
                goes_on |= is_one_of(arg, GCC_GOES_ON);
            }
            // A name with a slash is any file of the machine.
            Some(name) if !name.contains(&b'/') => {
                (asked, ends) = (true, true);
                wanted.push(OsStr::from_bytes(name));
            }
            None if family == Family::Gcc && is_one_of(arg, &[GCC_FINDS_ITS_LIBRARY]) => {
                (asked, ends) = (true, true);
                wanted.push(OsStr::new("libgcc.a"));
            }
            None if LINKERS.iter().any(|it| arg == OsStr::new(it)) => {
                asked = true;
                if family == Family::Gcc {
                    wanted.extend(START_FILES.iter().map(OsStr::new));
                }
            }
            None => match neutral(arg, args.peek().copied(), family)? {
                Neutral::Switch => about.push(arg.clone()),
                Neutral::Making(separate) => {
                    // Which would be made, if the driver did not end with its answer.
                    if separate {
                        args.next();
                    } else if !arg.as_bytes().starts_with(b"-") {
                        reads.push(Read::File(call.absolute(arg)));
                    }
                    about.push(OsString::new());
                }
            },
            _ => return None,
        }
    }
    let makes = about.iter().any(|arg| arg.is_empty());
    about.retain(|arg| !arg.is_empty());
    if !asked || makes && (goes_on || !ends) || !about.is_empty() && family == Family::Clang {
        return None;
    }
    reads.retain(|read| matches!(read, Read::File(path) if world.kind(path) == Some(FileKind::File)));
    if !wanted.is_empty() {
        reads.extend(candidates(call, about, &wanted, world)?);
    }
    Some(reads)
}

/// An argument that may stand beside a question.
enum Neutral {
    /// It may have a say in the answer, and names no file.
    Switch,
    /// It belongs to something that is made; whether it has an operand of its own.
    Making(bool),
}

fn neutral(arg: &OsString, next: Option<&OsString>, family: Family) -> Option<Neutral> {
    if !arg.as_bytes().starts_with(b"-") {
        return (!arg.as_bytes().starts_with(b"@")).then_some(Neutral::Making(false));
    }
    let found = option::find(arg, next, family)?;
    match found.meaning {
        Meaning::Harmless | Meaning::Record | Meaning::Listed if !found.operand.as_bytes().contains(&b'/') => {
            Some(Neutral::Switch)
        }
        Meaning::Search if found.operand.is_empty() => Some(Neutral::Switch),
        Meaning::Output | Meaning::Stop(_) | Meaning::Define | Meaning::Undefine | Meaning::Include(_) => {
            Some(Neutral::Making(found.separate))
        }
        _ => None,
    }
}

/// Every directory that GCC looks into, and every file there of one of these names. What it does not find it names as it was
/// asked.
pub(crate) fn candidates(call: &Call, about: Vec<OsString>, wanted: &[&OsStr], world: &dyn World) -> Option<Vec<Read>> {
    let mut argv = vec![call.tool.clone().into_os_string()];
    argv.extend(about);
    argv.push("-print-search-dirs".into());
    let answer = world.ask(&argv, &call.cwd, &environment::of_query(&call.env)).ok().filter(|answer| answer.success)?;
    let lists = answer.stdout.split(|&byte| byte == b'\n').filter_map(|line| {
        let (kind, list) = line.split_at(line.iter().position(|&byte| byte == b'=')?);
        [&b"programs: "[..], b"libraries: "].contains(&kind).then(|| list.strip_prefix(b"="))?
    });
    let mut reads = Vec::new();
    for directory in lists.flat_map(|list| list.split(|&byte| byte == b':')).filter(|it| !it.is_empty()) {
        let directory = call.absolute(OsStr::from_bytes(directory));
        let files = wanted.iter().map(|name| directory.join(name));
        reads.extend(files.filter(|path| world.kind(path) == Some(FileKind::File)).map(Read::File));
        // `-print-file-name=plugin` and its like name directories.
        let directories = wanted.iter().map(|name| directory.join(name));
        reads.extend(directories.filter(|path| world.kind(path) == Some(FileKind::Directory)).map(Read::Directory));
        reads.push(Read::Directory(directory));
    }
    Some(reads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryWorld;

    fn is_sealed(line: &str) -> bool {
        let argv: Vec<_> = line.split(' ').map(Into::into).collect();
        let tool = Path::new("/usr/bin").join(&argv[0]);
        let call = Call { tool, argv, cwd: "/p".into(), env: crate::Environment::new() };
        step(&call, &MemoryWorld::new()).is_some()
    }

    #[test]
    fn only_what_the_tool_alone_decides() {
        for line in [
            "gcc --version",
            "gcc -v",
            "g++-12 -V",
            "clang --version",
            "ld -v",
            "ar --version",
            "nm --help",
            "gcc -print-search-dirs",
            "gcc --print-search-dirs",
            "gcc -m64 -O2 -Wall -print-multi-os-directory",
            "gcc a.c -o b -c -DX=/y -I dir --print-search-dirs",
            "gcc -c a.c --version",
            "clang -Wl,--version",
        ] {
            assert!(is_sealed(line), "{line}");
        }
        for line in [
            "gcc",
            "gcc -v a.c",
            "gcc -O2",
            "gcc -c a.c",
            "gcc -Wl,--version a.c",
            "gcc -v --version -c a.c",
            "clang --version -c a.c",
            "gcc -print-file-name=/etc/passwd",
            "gcc -Bdir -print-search-dirs",
            "gcc --sysroot=/x -print-sysroot",
            "clang -print-search-dirs",
            "clang -print-file-name=libc.so",
            "clang -v",
            "ar",
            "nm a.o",
            "ld --version @more",
            "tar --version",
        ] {
            assert!(!is_sealed(line), "{line}");
        }
    }
}
