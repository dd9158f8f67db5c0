//! Profiles of earlier runs (`-fprofile-use`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::command::Command;
use super::option::Meaning;
use crate::{Call, FileKind, Read, World};

/// The profiles that the call may read. GCC looks for the name of the object with `.gcda`, in the directory of the output
/// or in the one given, where the name may hold the whole path with `#` for `/`; Clang for `default.profdata` (GCC manual,
/// "Optimize Options"; Clang users' manual, "Profile Guided Optimization").
pub fn reads(command: &Command, call: &Call, outputs: &[PathBuf], world: &dyn World) -> Vec<Read> {
    let mut out = Vec::new();
    let mut add = |path: PathBuf| {
        if world.kind(&path) == Some(FileKind::File) {
            out.push(Read::File(path));
        }
    };
    for operand in command.operands(|meaning| meaning == Meaning::Profile) {
        let given = call.absolute(operand);
        match world.kind(&given) {
            Some(FileKind::Directory) if !operand.is_empty() => {
                for name in world.list(&given).unwrap_or_default() {
                    let bytes = name.as_bytes();
                    if bytes.ends_with(b".gcda") || bytes.ends_with(b".profdata") {
                        add(given.join(name));
                    }
                }
            }
            Some(FileKind::File) => add(given),
            _ => {}
        }
        add(call.absolute("default.profdata"));
        for output in outputs {
            add(output.with_extension("gcda"));
        }
        for source in command.sources() {
            let name = PathBuf::from(&source.path);
            let stem = name.file_stem().unwrap_or(OsStr::new(""));
            // Compiled and linked in one call: `prog-a.gcda`, `a-a.gcda`.
            let program = command.output.clone().unwrap_or_else(|| OsString::from("a"));
            for joined in [[program.as_os_str(), stem].join(OsStr::new("-")), stem.to_owned()] {
                let mut path = joined;
                path.push(".gcda");
                add(call.absolute(path));
            }
        }
    }
    out
}
