//! The table that the shim reads: what the paths of a relocated sandbox stand for. See `struct gg_map` in `stubs/shim/shim.h`.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// "1gfm" as a number: what the file begins with.
const MAGIC: u32 = 0x6d67_6731;

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    /// A directory of the sandbox's own.
    Directory = b'd' as u32,
    /// A symbolic link.
    Link = b'l' as u32,
    /// Something that lies elsewhere and is not to be changed.
    Bind = b'b' as u32,
    /// Something of the system's.
    System = b's' as u32,
}

/// The table in the making.
#[derive(Debug, Default)]
pub(super) struct Map {
    entries: Vec<(OsString, Kind, OsString)>,
    paths: HashSet<OsString>,
}

impl Map {
    /// Notes what a path, relative to the root, stands for.
    pub fn insert(&mut self, path: &OsStr, kind: Kind, target: &OsStr) {
        let mut absolute = OsString::from("/");
        absolute.push(path);
        self.paths.insert(path.to_owned());
        self.entries.push((absolute, kind, target.to_owned()));
    }

    /// Whether a path, relative to the root, was noted.
    pub fn contains(&self, path: &OsStr) -> bool {
        self.paths.contains(path)
    }

    /// The file's bytes.
    pub fn encode(&self, shim: &Path, libraries: &[OsString]) -> Vec<u8> {
        const HEAD: usize = 10 * 4;
        const ENTRY: usize = 7 * 4;
        let buckets = (self.entries.len() * 2).next_power_of_two();
        let mut binds: Vec<usize> =
            (0..self.entries.len()).filter(|&at| matches!(self.entries[at].1, Kind::Bind | Kind::System)).collect();
        binds.sort_by_key(|&at| std::cmp::Reverse(self.entries[at].2.len()));
        let first_bucket = HEAD;
        let first_entry = first_bucket + buckets * 4;
        let first_bind = first_entry + self.entries.len() * ENTRY;
        let first_text = first_bind + binds.len() * 4;

        let mut text = Vec::new();
        let mut say = |bytes: &[u8]| {
            let at = first_text + text.len();
            text.extend_from_slice(bytes);
            text.push(0);
            at as u32
        };
        let mut heads = vec![0u32; buckets];
        let mut entries = Vec::with_capacity(self.entries.len() * 7);
        for ((path, kind, target), number) in self.entries.iter().zip(1u32..) {
            let (path, target) = (path.as_bytes(), target.as_bytes());
            let hash = hash(path);
            let next = std::mem::replace(&mut heads[hash as usize & (buckets - 1)], number);
            let (path_at, target_at) = (say(path), say(target));
            entries.extend([hash, next, path_at, path.len() as u32, target_at, target.len() as u32, *kind as u32]);
        }
        let shim = say(shim.as_os_str().as_bytes());
        let libraries = say(libraries.join(OsStr::new(":")).as_bytes());
        let sizes = [buckets, self.entries.len(), first_bucket, first_entry, binds.len(), first_bind];
        let size = first_text + text.len();
        let head = [MAGIC].into_iter().chain(sizes.map(|size| size as u32)).chain([shim, libraries, size as u32]);
        let numbers = head.chain(heads).chain(entries).chain(binds.into_iter().map(|at| at as u32));
        let mut out = Vec::with_capacity(size);
        numbers.for_each(|number| out.extend_from_slice(&number.to_ne_bytes()));
        out.extend_from_slice(&text);
        out
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(2_166_136_261, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}
