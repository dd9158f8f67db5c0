//! What is known of the placeholders that stand: which file each is, what it stands for, and where it may be by now.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gg_ir::{Name, Placeholder};
use gg_watch::FileId;

/// The identity of what `info` describes.
pub(super) fn file_id(info: &fs::Metadata) -> FileId {
    FileId { device: info.dev(), inode: info.ino() }
}

/// One placeholder in the tree.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// Which of all that ever stood: an inode may be another's by the time it is looked up.
    pub(super) serial: u64,
    pub(super) placeholder: Placeholder,
    /// Where it may be, oldest first: it may have been moved.
    pub(super) paths: Vec<PathBuf>,
    /// How often a move or a further name was announced.
    pub(super) moves: u64,
    /// Whether it may have several names.
    pub(super) linked: bool,
    pub(super) given: Given,
}

impl Standing {
    /// Adds a name that it may have beside the others.
    pub(super) fn add(&mut self, name: &Path) {
        self.moves += 1;
        self.linked = true;
        if !self.paths.iter().any(|path| path == name) {
            self.paths.push(name.to_path_buf());
        }
    }

    /// Adds the paths that it has when `from` has become `to`, and returns them.
    pub(super) fn moved(&mut self, from: &Path, to: &Path) -> Vec<PathBuf> {
        let added: Vec<PathBuf> = self
            .paths
            .iter()
            .filter_map(|path| path.strip_prefix(from).ok())
            .map(|rest| if rest.as_os_str().is_empty() { to.to_path_buf() } else { to.join(rest) })
            .collect();
        self.moves += u64::from(!added.is_empty());
        for path in &added {
            // Later moves are tried later.
            self.paths.retain(|old| old != path);
            self.paths.push(path.clone());
        }
        added
    }
}

/// The permission bits that a placeholder was given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given {
    /// These, by gg: others are somebody's `chmod`.
    Default(u32),
    /// What the file has, as somebody said.
    Said,
    /// Nobody remembers: an earlier session's.
    Earlier,
}

impl Given {
    /// The bits for the real file, which the computation gave `made`, where the placeholder has `now`.
    pub(super) fn bits(self, now: u32, made: u32) -> u32 {
        let default = match self {
            Self::Said => return now,
            Self::Default(mode) => mode,
            Self::Earlier => (if made & 0o111 != 0 { 0o777 } else { 0o666 }) & !umask(),
        };
        if now == default { made } else { now }
    }
}

/// The file mode creation mask of this process, which is that of the build (`proc_pid_status(5)`: it cannot be read otherwise).
pub(super) fn umask() -> u32 {
    static UMASK: LazyLock<u32> = LazyLock::new(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let text = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        text.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o022)
    });
    *UMASK
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) files: HashMap<FileId, Standing>,
    /// The same, by what they stand for.
    pub(super) thunks: HashMap<Name, Vec<FileId>>,
    /// How many there have been.
    pub(super) serials: u64,
}

impl Table {
    /// Enters a placeholder; its serial number.
    pub(super) fn insert(&mut self, id: FileId, placeholder: Placeholder, path: &Path, given: Given) -> u64 {
        self.serials += 1;
        let serial = self.serials;
        self.thunks.entry(placeholder.thunk).or_default().push(id);
        let standing =
            Standing { serial, placeholder, paths: vec![path.to_path_buf()], moves: 0, linked: false, given };
        // An inode that is used again: what had it before is gone.
        if let Some(old) = self.files.insert(id, standing) {
            self.unlist(&old.placeholder.thunk, id);
        }
        serial
    }

    /// The placeholder with this number, if it still is what the inode is known for.
    pub(super) fn get(&self, id: FileId, serial: u64) -> Option<&Standing> {
        self.files.get(&id).filter(|standing| standing.serial == serial)
    }

    /// Strikes out the placeholder with this number. Its inode is free as soon as its file is gone, and another thread's
    /// placeholder may have it since.
    pub(super) fn remove(&mut self, id: FileId, serial: u64) {
        if self.get(id, serial).is_some()
            && let Some(old) = self.files.remove(&id)
        {
            self.unlist(&old.placeholder.thunk, id);
        }
    }

    pub(super) fn unlist(&mut self, thunk: &Name, id: FileId) {
        if let Some(ids) = self.thunks.get_mut(thunk) {
            // One entry: the newest of the same inode and thunk has just been added at the end.
            if let Some(at) = ids.iter().position(|&other| other == id) {
                ids.remove(at);
            }
        }
    }

    pub(super) fn of_thunk(&self, thunk: &Name) -> Vec<(FileId, Standing)> {
        let ids = self.thunks.get(thunk).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.files.get(id)?.clone()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use gg_ir::{Kind, Tag};

    use super::*;

    fn placeholder(name: &str) -> Placeholder {
        Placeholder { thunk: Name::of(Kind::Thunk, name.as_bytes()), tag: Tag::new("o").unwrap(), outline: None }
    }

    #[test]
    fn an_inode_that_is_used_again_at_once() {
        // One thread has put the real file in place; before it says so, another's placeholder gets the inode.
        let (mut table, id) = (Table::default(), FileId { device: 1, inode: 2 });
        let (old, new) = (placeholder("old"), placeholder("new"));
        let first = table.insert(id, old.clone(), Path::new("/a"), Given::Said);
        let second = table.insert(id, new.clone(), Path::new("/b"), Given::Said);
        table.remove(id, first);
        assert!(table.get(id, first).is_none() && table.of_thunk(&old.thunk).is_empty());
        assert_eq!(table.of_thunk(&new.thunk).len(), 1);
        table.remove(id, second);
        assert!(table.files.is_empty() && table.of_thunk(&new.thunk).is_empty());
    }
}
