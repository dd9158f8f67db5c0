//! What GCC is made of.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Parts;
use crate::Reason;

/// The compiler's own programs, for the directories they lie in.
const INNER: &[&str] = &["cc1", "cc1plus", "collect2", "lto1", "lto-wrapper"];

/// The programs of the binutils that a driver, collect2 and lto-wrapper start, and every linker that `-fuse-ld` may name.
const OUTER: &[&str] = &["as", "ld", "ld.bfd", "ld.gold", "ld.lld", "ld.mold", "mold", "nm", "objcopy", "strip"];

/// lto-wrapper runs its parts in parallel by make, which needs a shell (GCC manual, `-flto=n`).
const PARALLEL: &[&str] = &["make", "sh"];

/// Libraries that a driver hands to the linker, as `-print-file-name` finds them.
const FILES: &[&str] = &["liblto_plugin.so", "libgcc_s.so.1"];

pub(super) fn capture(tool: &Path, parts: &mut Parts) -> Result<(), Reason> {
    let failed = || Reason::Unsealable(format!("{}, which does not say where its parts are", tool.display()));
    let libgcc = parts.ask_path(tool, "-print-libgcc-file-name").ok_or_else(failed)?;
    parts.tree(libgcc.parent().ok_or_else(failed)?);
    for name in INNER {
        if let Some(program) = parts.ask_path(tool, &format!("-print-prog-name={name}")) {
            parts.program(&program)?;
            if let Some(directory) = program.parent() {
                parts.tree(directory);
            }
        }
    }
    for name in OUTER {
        if let Some(program) = parts.program_of(tool, name) {
            parts.program(&program)?;
            parts.plugins(&program)?;
        }
    }
    for name in PARALLEL {
        if let Some(program) = parts.on_path(name) {
            parts.program(&program)?;
        }
    }
    for name in FILES {
        if let Some(file) = parts.ask_path(tool, &format!("-print-file-name={name}")) {
            parts.program(&file)?;
        }
    }
    if let Some(specs) = parts.ask_path(tool, "-print-file-name=specs") {
        parts.file(&specs);
    }
    Ok(())
}

/// What `gcc-ar`, `gcc-nm` and `gcc-ranlib` are made of: the tool that they start and the plugin that they give it.
pub(super) fn capture_wrapper(tool: &Path, parts: &mut Parts) -> Result<(), Reason> {
    let name = tool.file_name().unwrap_or_default().as_bytes();
    let Some((start, end)) = split_wrapper(name) else { return Ok(()) };
    let inner = ["ar", "nm", "ranlib"].into_iter().find(|it| end.starts_with(it.as_bytes())).unwrap_or_default();
    let compiler = [start, &end[inner.len()..]].concat();
    let compiler = tool.with_file_name(OsStr::from_bytes(&compiler));
    if let Some(program) = parts.program_of(&compiler, inner) {
        parts.program(&program)?;
    }
    if let Some(plugin) = parts.ask_path(&compiler, "-print-file-name=liblto_plugin.so") {
        parts.program(&plugin)?;
    }
    Ok(())
}

/// `x86_64-linux-gnu-gcc-ar-12` in two: the compiler's name, and the tool's with what follows.
fn split_wrapper(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let tools: [&[u8]; 3] = [b"-ar", b"-nm", b"-ranlib"];
    let at = name.windows(4).position(|part| part == b"gcc-")? + 3;
    tools.iter().any(|tool| name[at..].starts_with(tool)).then(|| (&name[..at], &name[at + 1..]))
}
