//! Whether all is still as a capture saw it.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Captured, Need, Subtree};

/// What changed shortly before a capture may have changed again while it was looked at, in one tick of the file system's clock.
const SETTLE: Duration = Duration::from_millis(100);

const NANOS: i64 = 1_000_000_000;

/// How all that a capture looked at was at one time. Two that are equal, the first of which had [settled](Sight::is_settled), mean that
/// the same would be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Of the states of all files.
    hash: u64,
    /// When anything was last changed, in nanoseconds since 1970.
    newest: i64,
}

impl Sight {
    /// Whether all had been left alone when a capture was begun.
    pub fn is_settled(&self, begun: SystemTime) -> bool {
        let begun = begun.checked_sub(SETTLE).and_then(|it| it.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        i64::try_from(begun.as_nanos()).is_ok_and(|begun| self.newest < begun)
    }
}

impl Captured {
    /// How all is now that was looked at: files, the directories that are taken whole with what is in them, and where something was
    /// looked for. It takes a tenth of the time of a capture. `None` where more decided than can be seen (a script that picks an
    /// interpreter), or where something cannot be read.
    pub fn sight(&self) -> Option<Sight> {
        let mut look = Look { hash: DefaultHasher::new(), newest: 0 };
        for path in self.looked.as_ref()? {
            look.path(path, fs::metadata(path).ok().as_ref());
        }
        for (path, need) in &self.needs {
            match need {
                Need::File(path) => look.path(path, fs::symlink_metadata(path).ok().as_ref()),
                Need::Symlink(_) => look.path(path.as_path(), fs::symlink_metadata(path.as_path()).ok().as_ref()),
                Need::Tree(tree) if tree.directory == path.as_path() => look.tree(tree, &tree.directory)?,
                // Made of what was looked at: compiled modules, which may have been thrown away, and lists.
                Need::Tree(tree) => tree.directory.is_dir().hash(&mut look.hash),
                Need::Text(_) => {}
                // What comes and goes in it is no matter.
                Need::Directory => path.as_path().is_dir().hash(&mut look.hash),
            }
        }
        Some(Sight { hash: look.hash.finish(), newest: look.newest })
    }
}

struct Look {
    hash: DefaultHasher,
    newest: i64,
}

impl Look {
    fn path(&mut self, path: &Path, meta: Option<&Metadata>) {
        path.as_os_str().as_bytes().hash(&mut self.hash);
        let changed = |meta: &Metadata| meta.ctime().saturating_mul(NANOS).saturating_add(meta.ctime_nsec());
        let state =
            meta.map(|meta| (meta.dev(), meta.ino(), meta.mode(), meta.size(), meta.mtime_nsec(), changed(meta)));
        state.hash(&mut self.hash);
        self.newest = self.newest.max(meta.map_or(0, changed));
    }

    fn tree(&mut self, tree: &Subtree, directory: &Path) -> Option<()> {
        let mut entries = fs::read_dir(directory).ok()?.collect::<Result<Vec<_>, _>>().ok()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            if tree.leaves_out(path.strip_prefix(&tree.directory).unwrap_or(&path)) {
                continue;
            }
            if entry.file_type().ok()?.is_dir() {
                // Its own times are also those of what is left out.
                (path.as_os_str().as_bytes(), entry.metadata().ok()?.mode()).hash(&mut self.hash);
                self.tree(tree, &path)?;
            } else {
                self.path(&path, entry.metadata().ok().as_ref());
            }
        }
        Some(())
    }
}
