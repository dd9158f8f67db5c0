//! GNU binutils and their LLVM, gold and assembler kin.
//!
//! # Layout
//!
//! - `draft`: what the planners share: outputs in place, environment, a step being put together
//! - `outline`: what is known of outputs before they are computed
//! - `archive`: the `ar` format as far as a planner needs it: thin archives' members, the machine of the first member
//! - [`ld`]: ld, gold, lld, mold
//! - [`ar`], [`ranlib`], [`strip`], [`objcopy`]: one file and one option table each
//! - [`as_`], [`nasm`]: assemblers (`nasm` covers yasm)

pub mod ar;
mod archive;
pub mod as_;
pub(crate) mod draft;
pub mod ld;
pub mod nasm;
pub mod objcopy;
pub(crate) mod outline;
pub mod ranlib;
pub mod strip;
#[cfg(test)]
pub(crate) mod testing;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::{Call, Plan, Reason, World};

/// The tools of this module and the longest name that tells each; versions (`-14`) and targets (`arm-none-eabi-`) are
/// taken off first. A name of LLVM's comes with what its option set shares with GNU's.
const NAMES: &[(&str, Tool)] = &[
    ("llvm-ar", Tool::Ar),
    ("gcc-ar", Tool::Ar),
    ("ar", Tool::Ar),
    ("llvm-ranlib", Tool::Ranlib),
    ("gcc-ranlib", Tool::Ranlib),
    ("ranlib", Tool::Ranlib),
    ("llvm-strip", Tool::Strip),
    ("strip", Tool::Strip),
    ("llvm-objcopy", Tool::Objcopy),
    ("objcopy", Tool::Objcopy),
    ("ld.bfd", Tool::Ld),
    ("ld.gold", Tool::Ld),
    ("ld.lld", Tool::Ld),
    ("ld.mold", Tool::Ld),
    ("gold", Tool::Ld),
    ("mold", Tool::Ld),
    ("ld", Tool::Ld),
    ("as", Tool::As),
    ("nasm", Tool::Nasm),
    ("yasm", Tool::Yasm),
    ("llvm-nm", Tool::Reader),
    ("gcc-nm", Tool::Reader),
    ("nm", Tool::Reader),
    ("llvm-readelf", Tool::Reader),
    ("readelf", Tool::Reader),
    ("llvm-objdump", Tool::Reader),
    ("objdump", Tool::Reader),
    ("llvm-size", Tool::Reader),
    ("size", Tool::Reader),
    ("llvm-strings", Tool::Reader),
    ("strings", Tool::Reader),
    ("addr2line", Tool::Reader),
    ("c++filt", Tool::Reader),
    ("llvm-windres", Tool::Unmodelled),
    ("windres", Tool::Unmodelled),
    ("windmc", Tool::Unmodelled),
    ("llvm-dlltool", Tool::Unmodelled),
    ("dlltool", Tool::Unmodelled),
];

/// A tool of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// A linker.
    Ld,
    /// An archiver.
    Ar,
    /// An archive indexer.
    Ranlib,
    /// `strip`.
    Strip,
    /// `objcopy`.
    Objcopy,
    /// GNU as.
    As,
    /// `nasm`.
    Nasm,
    /// `yasm`.
    Yasm,
    /// A tool that only prints what it reads: `nm`, `readelf`, `objdump`, `size`, `strings`, `addr2line`, `c++filt`.
    Reader,
    /// A tool that starts compilers of its own, or whose options say too little of its files: `windres`, `dlltool`. It runs here,
    /// and `gg report` says so.
    Unmodelled,
}

impl Tool {
    /// The tool that a program's file name stands for: `ar`, `arm-none-eabi-gcc-ar-12`, `llvm-strip-14`, ...
    pub fn of(program: &Path) -> Option<Self> {
        let name = program.file_name()?.to_str()?;
        let name = match name.rsplit_once('-') {
            Some((stem, version)) if version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => stem,
            _ => name,
        };
        NAMES.iter().find_map(|&(known, tool)| {
            let target = name.strip_suffix(known)?;
            (target.is_empty() || is_target(target)).then_some(tool)
        })
    }
}

/// Whether a tool is LLVM's by its name.
fn is_llvm(tool: &Path) -> bool {
    tool.file_name().is_some_and(|name| name.as_bytes().windows(5).any(|part| part == b"llvm-"))
}

/// Whether `prefix` can be the target part of a tool's name: `arm-none-eabi-`, `x86_64-linux-gnu-`.
fn is_target(prefix: &str) -> bool {
    prefix.strip_suffix('-').is_some_and(|target| target.contains('-') || matches!(target, "avr" | "msp430" | "m68k"))
}

/// The plain names of all tools of this module, for whoever puts stand-ins on PATH; versions and targets come on top.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

/// The planners, with what they have learnt about the installed tools. One for a session; cheap to make.
#[derive(Debug)]
pub struct Binutils {
    /// What is known of linkers.
    pub linker: ld::Linker,
    /// What is known of archivers.
    pub archiver: ar::Archiver,
}

impl Default for Binutils {
    fn default() -> Self {
        Self::new()
    }
}

impl Binutils {
    /// Nothing learnt yet.
    pub fn new() -> Self {
        let archiver = ar::Archiver::default();
        Self { linker: ld::Linker::new(archiver.thin.clone()), archiver }
    }

    /// The plan for a call of a tool of this module; `None` when its name is no such tool's.
    pub fn plan(&self, call: &Call, world: &dyn World) -> Option<Plan> {
        Some(match Tool::of(&call.tool)? {
            Tool::Ld => ld::plan(&self.linker, call, world),
            Tool::Ar => ar::plan(&self.archiver, call, world),
            Tool::Ranlib => ranlib::plan(&self.archiver, call, world),
            Tool::Strip => strip::plan(&self.archiver, call, world),
            Tool::Objcopy => objcopy::plan(&self.archiver, call, world),
            Tool::As => as_::plan(call, world, &as_::includes),
            Tool::Nasm => nasm::plan(call, world, nasm::Dialect::Nasm),
            Tool::Yasm => nasm::plan(call, world, nasm::Dialect::Yasm),
            Tool::Unmodelled => Plan::Here(Reason::NoModel),
            Tool::Reader => {
                let name = call.tool.file_name().unwrap_or_default();
                Plan::Here(Reason::Reads(String::from_utf8_lossy(name.as_bytes()).into_owned()))
            }
        })
    }
}

/// The directories from which a BFD tool (ar, ranlib, strip, objcopy, nm, ld) loads plugins when it meets an object it
/// does not know: `<prefix>/lib/bfd-plugins` (bfd/plugin.c) and `<prefix>/lib/<target>/bfd-plugins` (ar and ld, for
/// `libdep.so`). `tool` is the program as PATH finds it; whoever captures the toolchain takes what exists.
pub fn plugin_directories(tool: &Path, world: &dyn World) -> Vec<PathBuf> {
    let Some(prefix) = tool.parent().and_then(Path::parent) else { return Vec::new() };
    let library = prefix.join("lib");
    let targets = world.list(&library).unwrap_or_default();
    let targets = targets.into_iter().filter(|name| name.as_bytes().iter().filter(|&&byte| byte == b'-').count() > 1);
    std::iter::once(library.join("bfd-plugins"))
        .chain(targets.map(|target| library.join(target).join("bfd-plugins")))
        .filter(|directory| world.kind(directory) == Some(crate::FileKind::Directory))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryWorld;

    #[test]
    fn names() {
        for (name, tool) in [
            ("/usr/bin/ar", Some(Tool::Ar)),
            ("gcc-ar-12", Some(Tool::Ar)),
            ("x86_64-linux-gnu-gcc-ar-12", Some(Tool::Ar)),
            ("llvm-ar-14", Some(Tool::Ar)),
            ("avr-ar", Some(Tool::Ar)),
            ("arm-none-eabi-ranlib", Some(Tool::Ranlib)),
            ("llvm-strip", Some(Tool::Strip)),
            ("x86_64-linux-gnu-objcopy", Some(Tool::Objcopy)),
            ("ld.lld-14", Some(Tool::Ld)),
            ("x86_64-linux-gnu-ld.bfd", Some(Tool::Ld)),
            ("mold", Some(Tool::Ld)),
            ("as", Some(Tool::As)),
            ("yasm", Some(Tool::Yasm)),
            ("gcc-nm", Some(Tool::Reader)),
            ("tar", None),
            ("my-strip", None),
            ("alias", None),
            ("build", None),
        ] {
            assert_eq!(Tool::of(Path::new(name)), tool, "{name}");
        }
    }

    #[test]
    fn plugins_are_found_beside_the_tool() {
        let world = MemoryWorld::new()
            .with("/usr/lib/bfd-plugins/liblto_plugin.so", "")
            .with("/usr/lib/x86_64-linux-gnu/bfd-plugins/libdep.so", "")
            .with("/usr/lib/arm-linux-gnueabi/other", "");
        assert_eq!(
            plugin_directories(Path::new("/usr/bin/ar"), &world),
            [PathBuf::from("/usr/lib/bfd-plugins"), "/usr/lib/x86_64-linux-gnu/bfd-plugins".into()]
        );
    }
}
