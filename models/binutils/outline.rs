//! Outlines: what the planner of a step knows of an output's content, written down for those who plan what uses it, so that
//! they need not wait for it.
//!
//! An outline may say too much, never too little: each name in it is one that the file may hold.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::ld::Shared;
use crate::World;

/// What is known of a file before it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outline {
    /// An object, which leads to no other file.
    Object,
    /// A shared object.
    Shared(Shared),
    /// A regular archive.
    Archive,
    /// A thin archive.
    Thin(Thin),
}

/// What a thin archive leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Thin {
    /// Where it lies, symlinks resolved: its members' names begin there.
    pub directory: PathBuf,
    /// The files that may be its members, those of thin archives within it included, absolute.
    pub members: Vec<PathBuf>,
}

/// Names that a placeholder can have only if it will be a regular object: what compilers and `ld -r` are told to write.
const OBJECT_SUFFIXES: &[&[u8]] = &[b"o", b"lo", b"obj", b"os", b"po"];

/// Whether a placeholder of this name is an object without saying so.
pub(crate) fn is_named_as_object(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| OBJECT_SUFFIXES.contains(&suffix.as_bytes()))
}

/// What is to be written down of an object.
pub(crate) fn of_object(path: &Path) -> Option<Vec<u8>> {
    (!is_named_as_object(path)).then(|| Outline::Object.encode())
}

// What an outline begins with.
const OBJECT: &str = "object 1";
const SHARED: &str = "shared object 1";
const ARCHIVE: &str = "archive 1";
const THIN: &str = "thin archive 1";

// Its fields.
const SONAME: &str = "soname";
const NEEDED: &str = "needed";
const RUNPATH: &str = "runpath";
const MACHINE: &str = "machine";
const INCOMPLETE: &str = "incomplete";
const DIRECTORY: &str = "directory";
const MEMBER: &str = "member";

impl Thin {
    /// The outline of a thin archive at `path`; `None` where it cannot be said where that is.
    pub fn new(path: &Path, members: Vec<PathBuf>, world: &dyn World) -> Option<Self> {
        Some(Self { directory: world.resolve(path.parent()?).ok()?, members })
    }
}

impl Outline {
    /// What is known of the file at `path`; `None` unless it is a placeholder that came with an outline.
    pub fn at(path: &Path, world: &dyn World) -> Option<Self> {
        Self::decode(&world.outline(path)?)
    }

    /// Fields that each end with a NUL, the kind first: `shared object 1`, `needed libx.so.1`, ...
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut field = |key: &str, value: &OsStr| {
            out.extend_from_slice(key.as_bytes());
            if !value.is_empty() {
                out.push(b' ');
                out.extend_from_slice(value.as_bytes());
            }
            out.push(0);
        };
        match self {
            Self::Object => field(OBJECT, OsStr::new("")),
            Self::Archive => field(ARCHIVE, OsStr::new("")),
            Self::Shared(shared) => {
                field(SHARED, OsStr::new(""));
                shared.sonames.iter().for_each(|name| field(SONAME, name));
                shared.needed.iter().for_each(|name| field(NEEDED, name));
                shared.runpath.iter().for_each(|name| field(RUNPATH, name));
                if let Some((class, machine)) = shared.machine {
                    field(MACHINE, OsStr::new(&format!("{class} {machine}")));
                }
                if !shared.complete {
                    field(INCOMPLETE, OsStr::new(""));
                }
            }
            Self::Thin(thin) => {
                field(THIN, OsStr::new(""));
                field(DIRECTORY, thin.directory.as_os_str());
                thin.members.iter().for_each(|path| field(MEMBER, path.as_os_str()));
            }
        }
        out
    }

    /// Reads what [`Outline::encode`] writes; `None` for anything else, another version's included.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.strip_suffix(b"\0")?.split(|&byte| byte == 0);
        match std::str::from_utf8(fields.next()?).ok()? {
            OBJECT => fields.next().is_none().then_some(Self::Object),
            ARCHIVE => fields.next().is_none().then_some(Self::Archive),
            SHARED => {
                let mut shared = Shared { complete: true, ..Shared::default() };
                for field in fields {
                    let (key, value) = split(field)?;
                    match key {
                        SONAME => shared.sonames.push(value),
                        NEEDED => shared.needed.push(value),
                        RUNPATH => shared.runpath.push(value),
                        MACHINE => {
                            let (class, machine) = value.to_str()?.split_once(' ')?;
                            shared.machine = Some((class.parse().ok()?, machine.parse().ok()?));
                        }
                        INCOMPLETE => shared.complete = false,
                        _ => return None,
                    }
                }
                Some(Self::Shared(shared))
            }
            THIN => {
                let mut thin = Thin::default();
                for field in fields {
                    let (key, value) = split(field)?;
                    match key {
                        DIRECTORY => thin.directory = value.into(),
                        MEMBER => thin.members.push(value.into()),
                        _ => return None,
                    }
                }
                Some(Self::Thin(thin))
            }
            _ => None,
        }
    }
}

/// A field's key and value.
fn split(field: &[u8]) -> Option<(&str, OsString)> {
    let end = field.iter().position(|&byte| byte == b' ').unwrap_or(field.len());
    let value = field.get(end + 1..).unwrap_or_default();
    Some((std::str::from_utf8(&field[..end]).ok()?, OsString::from_vec(value.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = OsString> {
        vec(1u8.., 0..20).prop_map(OsString::from_vec)
    }

    prop_compose! {
        fn shared()(
            sonames in vec(text(), 0..3), needed in vec(text(), 0..5), runpath in vec(text(), 0..3),
            machine in option::of(any::<(u8, u16)>()), complete: bool,
        ) -> Outline {
            Outline::Shared(Shared { sonames, needed, runpath, machine, complete })
        }
    }

    fn outline() -> impl Strategy<Value = Outline> {
        prop_oneof![
            Just(Outline::Object),
            Just(Outline::Archive),
            shared(),
            (text(), vec(text(), 0..5)).prop_map(|(directory, members)| Outline::Thin(Thin {
                directory: directory.into(),
                members: members.into_iter().map(PathBuf::from).collect(),
            })),
        ]
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(outline in outline()) {
            prop_assert_eq!(Outline::decode(&outline.encode()), Some(outline));
        }

        #[test]
        fn truncated_is_nothing_or_whole_fields(outline in outline(), at: prop::sample::Index) {
            let bytes = outline.encode();
            let cut = &bytes[..at.index(bytes.len())];
            prop_assert!(cut.ends_with(b"\0") || Outline::decode(cut).is_none());
        }

        #[test]
        fn garbage_never_panics(mut bytes in vec(any::<u8>(), 0..100)) {
            let _ = Outline::decode(&bytes);
            bytes.splice(0..0, SHARED.bytes().chain([0]));
            let _ = Outline::decode(&bytes);
        }
    }

    #[test]
    fn a_later_version_says_nothing() {
        assert_eq!(Outline::decode(b"shared object 2\0"), None);
        assert_eq!(Outline::decode(b"shared object 1\0wanted libx.so\0"), None);
        assert_eq!(Outline::decode(b""), None);
    }
}
