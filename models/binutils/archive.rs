//! The `ar` format as far as a planner needs it (`ar(5)`; thin archives: binutils' `bfd/archive.c`).

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::outline::Outline;
use crate::{FileKind, World};

/// How a regular archive begins.
pub(crate) const MAGIC: &[u8] = b"!<arch>\n";
/// How a thin archive begins.
pub(crate) const THIN_MAGIC: &[u8] = b"!<thin>\n";
const HEADER: usize = 60;

/// The members' paths of a thin archive at `path` with the given content, as its directory makes them; an archive
/// within it is given by its own path. Broken archives give what can be read of them.
pub(crate) fn thin_members(path: &Path, content: &[u8]) -> Vec<PathBuf> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut members = Vec::new();
    let mut names: &[u8] = &[];
    let mut rest = content.get(THIN_MAGIC.len()..).unwrap_or_default();
    while let Some(header) = Header::at(rest) {
        rest = &rest[HEADER..];
        if header.is_stored() {
            let end = header.size.min(rest.len());
            if header.name == b"//" {
                names = &rest[..end];
            }
            rest = rest.get(end + (end & 1)..).unwrap_or_default();
        } else if let Some(name) = header.long_name(names) {
            members.push(directory.join(OsStr::from_bytes(name)));
        }
    }
    members
}

/// Whether a session has planned a thin archive. While it has not, a placeholder that is named like an archive is a
/// regular one and need not be forced to know its members. Clones share the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThinSeen(Arc<AtomicBool>);

impl ThinSeen {
    /// A thin archive was planned.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether one was.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What an archive is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Regular,
    Thin,
}

/// What the file at `path` is, if that can be said without forcing a placeholder.
pub(crate) fn kind(path: &Path, world: &dyn World) -> Option<Kind> {
    match world.head(path, MAGIC.len()).ok()? {
        Some(head) if head == THIN_MAGIC => Some(Kind::Thin),
        Some(head) if head == MAGIC => Some(Kind::Regular),
        Some(_) => None,
        None => match Outline::at(path, world)? {
            Outline::Thin(_) => Some(Kind::Thin),
            Outline::Archive => Some(Kind::Regular),
            Outline::Object | Outline::Shared(_) => None,
        },
    }
}

/// The existing members of the archive at `path` if it is thin, those of thin archives within it included; none for
/// anything else. Forces a placeholder only if it may be thin, and its members are not known.
pub(crate) fn members_if_thin(path: &Path, world: &dyn World, seen: &ThinSeen) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut known: HashSet<PathBuf> = HashSet::new();
    let mut pending = vec![path.to_owned()];
    while let Some(path) = pending.pop() {
        let (members, nested) = match members(&path, world, seen) {
            Some(Members::Outlined(members)) => (members, false),
            Some(Members::Read(members)) => (members, true),
            None => continue,
        };
        for member in members {
            if world.kind(&member) == Some(FileKind::File) && known.insert(member.clone()) {
                if nested {
                    pending.push(member.clone());
                }
                found.push(member);
            }
        }
    }
    found
}

/// The members of one thin archive.
enum Members {
    /// Those of thin archives within it included.
    Outlined(Vec<PathBuf>),
    /// As they stand in it.
    Read(Vec<PathBuf>),
}

fn members(path: &Path, world: &dyn World, seen: &ThinSeen) -> Option<Members> {
    let suspect = || seen.get() && path.extension().is_some_and(|suffix| suffix == "a");
    let outline = match world.head(path, THIN_MAGIC.len()).ok()? {
        Some(head) if head != THIN_MAGIC => return None,
        // It may be a placeholder all the same.
        Some(_) => Outline::at(path, world),
        None => match Outline::at(path, world) {
            Some(Outline::Object | Outline::Archive | Outline::Shared(_)) => return None,
            Some(thin) => Some(thin),
            None if suspect() => None,
            None => return None,
        },
    };
    if let Some(Outline::Thin(thin)) = outline
        && path.parent().and_then(|directory| world.resolve(directory).ok()).as_ref() == Some(&thin.directory)
    {
        return Some(Members::Outlined(thin.members));
    }
    let content = world.read(path).ok()?;
    content.starts_with(THIN_MAGIC).then(|| Members::Read(thin_members(path, &content)))
}

/// One member's header.
struct Header<'a> {
    name: &'a [u8],
    size: usize,
}

impl<'a> Header<'a> {
    fn at(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.get(..HEADER)?;
        let size = std::str::from_utf8(header[48..58].trim_ascii()).ok()?.parse().ok()?;
        Some(Self { name: header[..16].trim_ascii_end(), size })
    }

    /// The symbol and name tables, which are stored even in a thin archive.
    fn is_stored(&self) -> bool {
        matches!(self.name, b"/" | b"//" | b"/SYM64/" | b"__.SYMDEF" | b"__.SYMDEF SORTED")
    }

    /// The name: `/12` is an offset into the table of names (`/12:34` further says where in a nested archive), else it
    /// stands here and ends with `/`.
    fn long_name(&self, names: &'a [u8]) -> Option<&'a [u8]> {
        let Some(number) = self.name.strip_prefix(b"/") else {
            return Some(self.name.strip_suffix(b"/").unwrap_or(self.name));
        };
        // Only what stands before the first other byte counts: GNU ar leaves the end of a shorter name there at times
        // (`/75            /`).
        let digits = number.split(|byte| !byte.is_ascii_digit()).next()?;
        let name = names.get(std::str::from_utf8(digits).ok()?.parse::<usize>().ok()?..)?;
        let name = name.split(|&byte| byte == b'\n').next()?;
        Some(name.strip_suffix(b"/").unwrap_or(name))
    }
}

/// The ELF class and machine (`e_ident[EI_CLASS]`, `e_machine`) at the start of an object; `None` for anything else.
pub(crate) fn elf_machine(head: &[u8]) -> Option<(u8, u16)> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let machine = [*head.get(18)?, *head.get(19)?];
    Some((head[4], if head[5] == 2 { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) }))
}

/// Class and machine of the first object in a regular archive; `None` when it is empty, holds something else or does
/// not exist yet.
pub(crate) fn machine(path: &Path, world: &dyn World) -> io::Result<Option<(u8, u16)>> {
    let mut at = MAGIC.len();
    for _ in 0..3 {
        let Some(head) = world.head(path, at + HEADER + 20)? else { return Ok(None) };
        let Some(header) = head.get(at..).and_then(Header::at) else { return Ok(None) };
        if !header.is_stored() {
            return Ok(head.get(at + HEADER..).and_then(elf_machine));
        }
        at += HEADER + header.size + (header.size & 1);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryWorld;
    use crate::binutils::testing::Scratch;
    use proptest::prelude::*;

    #[test]
    fn members_of_a_real_thin_archive() {
        let scratch = Scratch::new();
        scratch.object("sub/an object with a long name.o", "int f;");
        scratch.object("b.o", "int g;");
        scratch.run(&["ar", "rcT", "sub/thin.a", "sub/an object with a long name.o", "b.o"]);
        let path = scratch.path("sub/thin.a");
        let members = thin_members(&path, &std::fs::read(&path).unwrap());
        assert_eq!(members, [scratch.path("sub/an object with a long name.o"), scratch.path("sub/../b.o")]);
    }

    #[test]
    fn members_of_every_length() {
        let scratch = Scratch::new();
        let names: Vec<String> = (1..30).map(|length| format!("{}.o", "n".repeat(length))).collect();
        let mut line = vec!["ar", "rcT", "lib/thin.a"];
        scratch.file("lib/keep", "");
        for name in &names {
            scratch.object(name, "int f;");
            line.push(name);
        }
        scratch.run(&line);
        let path = scratch.path("lib/thin.a");
        let members = thin_members(&path, &std::fs::read(&path).unwrap());
        let expected: Vec<PathBuf> = names.iter().map(|name| scratch.path("lib/..").join(name)).collect();
        assert_eq!(members, expected);
    }

    #[test]
    fn machine_of_a_real_archive() {
        let scratch = Scratch::new();
        scratch.object("a.o", "int f;");
        scratch.run(&["ar", "rc", "a.a", "a.o"]);
        let expected = elf_machine(&std::fs::read(scratch.path("a.o")).unwrap());
        assert!(expected.is_some());
        assert_eq!(machine(&scratch.path("a.a"), &scratch).unwrap(), expected);
    }

    #[test]
    fn an_empty_archive_has_no_machine() {
        let world = MemoryWorld::new().with("/a.a", MAGIC);
        assert_eq!(machine(Path::new("/a.a"), &world).unwrap(), None);
    }

    #[test]
    fn a_placeholder_is_forced_only_once_a_thin_archive_was_planned() {
        let scratch = Scratch::new();
        scratch.file("p.a", "PENDING");
        let seen = ThinSeen::default();
        assert_eq!(members_if_thin(&scratch.path("p.a"), &scratch, &seen), Vec::<PathBuf>::new());
        seen.set();
        let forced = std::panic::catch_unwind(|| members_if_thin(&scratch.path("p.a"), &scratch, &seen));
        assert!(forced.is_err());
    }

    #[test]
    fn thin_archives_in_thin_archives() {
        let scratch = Scratch::new();
        scratch.object("a.o", "int f;");
        scratch.file("in.a", "!<thin>\na.o/            0           0     0     644     8         `\n");
        scratch.file("out.a", "!<thin>\nin.a/           0           0     0     644     8         `\n");
        let members = members_if_thin(&scratch.path("out.a"), &scratch, &ThinSeen::default());
        assert_eq!(members, [scratch.path("in.a"), scratch.path("a.o")]);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            bytes.splice(0..0, THIN_MAGIC.iter().copied());
            let _ = thin_members(Path::new("/a.a"), &bytes);
            let _ = machine(Path::new("/a.a"), &MemoryWorld::new().with("/a.a", &bytes));
        }
    }
}
