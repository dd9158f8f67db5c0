//! Shared objects: what they are called (`DT_SONAME`), which others they need (`DT_NEEDED`) and where they say those are
//! (`DT_RUNPATH`, `DT_RPATH`). Of one that is not linked yet, that is known from its link.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use object::elf;
use object::read::elf::{Dyn, FileHeader};
use object::{Endianness, FileKind};

use crate::World;
use crate::binutils::archive;
use crate::binutils::outline::Outline;

/// What a shared object says of itself and of others. Of one that is not linked yet, all that it may say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shared {
    /// `DT_SONAME`; none if it is called as its file is.
    pub sonames: Vec<OsString>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<OsString>,
    /// The directories of `DT_RUNPATH` and `DT_RPATH`.
    pub runpath: Vec<OsString>,
    /// ELF class and machine.
    pub machine: Option<(u8, u16)>,
    /// Nothing is missing in `needed`.
    pub complete: bool,
}

/// How much must be known of what a shared object needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// As much as is known.
    Some,
    /// Everything.
    All,
}

/// Directories whose files change only when the system is upgraded, which gives them new names.
const SYSTEM: &[&str] = &["/usr/lib", "/lib", "/usr/lib64", "/lib64", "/usr/lib32", "/lib32"];

/// Shared objects of the system, parsed once.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<PathBuf, Arc<Shared>>>);

impl Cache {
    /// What the shared object at `path` says; all that it needs, if that is `wanted`. Forces a placeholder of which that is
    /// not known.
    pub fn get(&self, path: &Path, wanted: Needs, world: &dyn World) -> io::Result<Arc<Shared>> {
        let resolved = world.resolve(path)?;
        if !SYSTEM.iter().any(|root| resolved.starts_with(root)) {
            return match Outline::at(path, world) {
                Some(Outline::Shared(shared)) if shared.complete || wanted == Needs::Some => Ok(Arc::new(shared)),
                _ => Ok(Arc::new(parse(&world.read(path)?))),
            };
        }
        if let Some(shared) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&resolved) {
            return Ok(shared.clone());
        }
        let shared = Arc::new(parse(&world.read(path)?));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(resolved, shared.clone());
        Ok(shared)
    }
}

/// Reads a shared object; anything else needs nothing.
pub(crate) fn parse(content: &[u8]) -> Shared {
    let shared = match FileKind::parse(content) {
        Ok(FileKind::Elf32) => dynamic::<elf::FileHeader32<Endianness>>(content),
        Ok(FileKind::Elf64) => dynamic::<elf::FileHeader64<Endianness>>(content),
        _ => None,
    };
    Shared { machine: archive::elf_machine(content), complete: true, ..shared.unwrap_or_default() }
}

fn dynamic<Elf: FileHeader<Endian = Endianness>>(content: &[u8]) -> Option<Shared> {
    let header = Elf::parse(content).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, content).ok()?;
    let (entries, strings) = sections.dynamic(endian, content).ok()??;
    let strings = sections.strings(endian, content, strings).ok()?;
    let mut shared = Shared::default();
    for entry in entries {
        let tag = entry.d_tag(endian);
        let value: u64 = entry.d_val(endian).into();
        let text = || strings.get(u32::try_from(value).ok()?).ok();
        if tag == elf::DT_SONAME {
            shared.sonames.extend(text().map(|name| OsStr::from_bytes(name).to_owned()));
        } else if tag == elf::DT_NEEDED {
            shared.needed.extend(text().map(|name| OsStr::from_bytes(name).to_owned()));
        } else if tag == elf::DT_RUNPATH || tag == elf::DT_RPATH {
            let directories = text().unwrap_or_default().split(|&byte| byte == b':');
            shared.runpath.extend(directories.map(|directory| OsStr::from_bytes(directory).to_owned()));
        }
    }
    Some(shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binutils::testing::Scratch;
    use proptest::prelude::*;

    #[test]
    fn a_real_library() {
        let scratch = Scratch::new();
        scratch.object("b.o", "int b;");
        scratch.run(&["ld", "-shared", "b.o", "-o", "libb.so", "-soname", "libb.so.1"]);
        scratch.run(&["ld", "-shared", "b.o", "libb.so", "-o", "liba.so", "-rpath", "/one:$ORIGIN/two"]);
        let shared = parse(&std::fs::read(scratch.path("liba.so")).unwrap());
        assert_eq!(shared.needed, ["libb.so.1"]);
        assert_eq!(shared.runpath, ["/one", "$ORIGIN/two"]);
        assert_eq!(shared.sonames, Vec::<OsString>::new());
        assert_eq!(parse(&std::fs::read(scratch.path("libb.so")).unwrap()).sonames, ["libb.so.1"]);
        let object = parse(&std::fs::read(scratch.path("b.o")).unwrap());
        assert_eq!(object, Shared { machine: object.machine, complete: true, ..Shared::default() });
    }

    proptest! {
        #[test]
        fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            bytes.splice(0..0, *b"\x7fELF\x02\x01\x01");
            let _ = parse(&bytes);
        }
    }
}
