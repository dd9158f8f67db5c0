//! Questions to a tool about itself, whose answers depend on nothing but the tool.

use std::ffi::OsStr;
use std::path::Path;

use crate::binutils::{Tool, draft};
use crate::driver::{environment, name};
use crate::{Call, Step, StepKind, World};

/// What GCC's drivers answer from what they are built with. Those that look for files (`-print-file-name=`,
/// `-print-prog-name=`) are not among these, nor is `-print-search-dirs`, which newer ones may shorten to what exists.
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
    "-print-multiarch",
    "--print-multiarch",
];

/// The same of Clang's, whose `-v` tells which versions of GCC are installed.
const CLANG: &[&str] = &["--version", "-V", "-qversion", "-dumpversion", "-dumpmachine"];

/// The same of binutils and their kin.
const BINUTILS: &[&str] = &["--version", "-V", "-v", "--help", "-h"];

/// The step that answers a call, when each of its arguments is such a question.
pub(crate) fn step(call: &Call, world: &dyn World) -> Option<Step> {
    let driver = call.tool.file_name().is_some_and(name::is_driver);
    let (known, env) = if driver {
        let family = name::compiler(&call.tool, world)?.family;
        let known = if family == name::Family::Clang { CLANG } else { GCC };
        (known, environment::visible(&call.env))
    } else {
        Tool::of(Path::new(&call.tool))?;
        (BINUTILS, draft::environment(&call.env, &[]))
    };
    let mut args = call.args().iter().peekable();
    args.peek()?;
    if !args.all(|arg| known.iter().any(|it| arg == OsStr::new(it))) {
        return None;
    }
    Some(Step {
        kind: StepKind::Query,
        argv: call.argv.clone(),
        env,
        reads: Vec::new(),
        writes: Vec::new(),
        volatile: false,
        awaited: true,
    })
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
        for line in ["gcc --version", "gcc -v", "g++-12 -V", "clang --version", "ld -v", "ar --version", "nm --help"] {
            assert!(is_sealed(line), "{line}");
        }
        for line in [
            "gcc",
            "gcc -v a.c",
            "gcc -print-file-name=plugin",
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
