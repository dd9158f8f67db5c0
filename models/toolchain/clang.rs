//! What Clang is made of.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Parts;
use crate::Reason;

/// The programs that the driver may start: assembler, linkers, and what splits debug information.
const PROGRAMS: &[&str] = &["as", "ld", "ld.bfd", "ld.gold", "ld.lld", "ld.mold", "mold", "objcopy", "llvm-objcopy"];

/// Files by which Clang tells the distribution, which decides flags for the linker (`Distro.cpp`).
const DISTRIBUTION: &[&str] = &[
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/lsb-release",
    "/etc/redhat-release",
    "/etc/debian_version",
    "/etc/SuSE-release",
    "/etc/gentoo-release",
    "/etc/alpine-release",
    "/etc/exherbo-release",
    "/etc/arch-release",
];

/// The line of `clang -v` that names the GCC whose start files and libraries it uses.
const SELECTED: &[u8] = b"Selected GCC installation: ";

pub(super) fn capture(tool: &Path, parts: &mut Parts) -> Result<(), Reason> {
    let failed = || Reason::Unsealable(format!("{}, which does not say where its parts are", tool.display()));
    let resources = parts.ask_path(tool, "-print-resource-dir").ok_or_else(failed)?;
    parts.tree(&resources);
    let version = parts.ask(tool, "-v").ok_or_else(failed)?;
    let lines = version.stderr.split(|&byte| byte == b'\n');
    if let Some(path) = lines.filter_map(|line| line.strip_prefix(SELECTED)).next() {
        let path = Path::new(OsStr::from_bytes(path));
        let resolved = parts.world.resolve(path).map_err(|_| Reason::MissingInput(path.to_owned()))?;
        parts.tree(&resolved);
    }
    for name in PROGRAMS {
        if let Some(program) = parts.program_of(tool, name) {
            parts.program(&program)?;
            parts.plugins(&program)?;
        }
    }
    // Link-time optimisation by a linker other than lld: LIB/LLVMgold.so beside LIB/clang/VERSION.
    if let Some(library) = resources.ancestors().nth(2) {
        parts.program(&library.join("LLVMgold.so"))?;
    }
    for file in DISTRIBUTION {
        parts.file(Path::new(file));
    }
    Ok(())
}
