//! Files of the tree: their names, and their way into the store.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gg_ir::{Hasher, Kind, Name};

use crate::error::{Result, StoreError, at};
use crate::object::{self, CHUNK, Failure, Seen};
use crate::staged::Staged;
use crate::stamp::{Stamp, now_ns};
use crate::store::Store;

/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 8;

/// Opens a regular file for reading; anything else is an error, and not waited for.
fn open(path: &Path) -> Result<(File, Stamp)> {
    let not_waiting = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(not_waiting).open(path).map_err(at("read", path))?;
    let stamp = Stamp::of_file(&file).map_err(at("read", path))?;
    if stamp.is_file() { Ok((file, stamp)) } else { Err(StoreError::NotFile { path: path.to_owned() }) }
}

impl Store {
    /// Copies a file into the store. The name and the stamp belong together: the file had this content in this state.
    ///
    /// # Errors
    /// [`StoreError::NoFile`], [`StoreError::Denied`], [`StoreError::NotFile`] for the file; [`StoreError::Changing`] when
    /// it does not hold still; and as [`Store::put`].
    pub fn import(&self, path: &Path) -> Result<(Name, Stamp)> {
        self.steadily(path, |file, stamp| {
            if let Some(name) = self.stamps.get(stamp)
                && self.present(&name)
            {
                return Ok(name);
            }
            if stamp.size < CHUNK {
                // Small files are hashed before a temporary file is made: most of them are in the store already.
                let mut bytes = Vec::with_capacity(stamp.size as usize + 1);
                file.read_to_end(&mut bytes).map_err(at("read", path))?;
                self.put(Kind::Value, &bytes)
            } else {
                self.import_large(path, file, stamp)
            }
        })
    }

    fn import_large(&self, path: &Path, file: &mut File, stamp: &Stamp) -> Result<Name> {
        let mut staged = self.stage()?;
        let name = if self.reflinks.clone(file, &staged.file) {
            // What counts is what was stored.
            object::hash(&mut staged.file, stamp.size, Kind::Value).map_err(at("read", &staged.path))?
        } else {
            let mut hasher = Hasher::new();
            let Staged { file: to, .. } = &mut staged;
            let copied = object::pieces(file, stamp.size, |piece| {
                hasher.update(piece);
                to.write_all(piece).map_err(Failure::Write)
            });
            copied.map_err(|failure| failure.on(path, &staged.path))?;
            hasher.finish(Kind::Value)
        };
        if !self.present(&name) {
            let seen = staged.file.metadata().ok().map(|meta| Seen::of(&meta));
            self.install(staged, &name)?;
            if let Some(seen) = seen {
                self.verified.insert(name, seen);
            }
        }
        Ok(name)
    }

    /// The name of a file's content, which is not stored. Unchanged files are not read again.
    ///
    /// # Errors
    /// As [`Store::import`], but for the writing.
    pub fn hash(&self, path: &Path) -> Result<(Name, Stamp)> {
        // One `stat` is all that an unchanged file costs.
        if let Ok(meta) = fs::metadata(path) {
            let stamp = Stamp::from(&meta);
            if let Some(name) = self.stamps.get(&stamp) {
                return Ok((name, stamp));
            }
        }
        self.steadily(path, |file, stamp| object::hash(file, stamp.size, Kind::Value).map_err(at("read", path)))
    }

    /// The name of the content of a file in the state that a stamp tells of, where that is known. The object may not be here.
    pub fn name_of(&self, stamp: &Stamp) -> Option<Name> {
        self.stamps.get(stamp)
    }

    /// As [`Store::hash`], waiting until the stamp can vouch for the content for good. `None` for a file whose time of
    /// change is in the future, which no waiting helps.
    pub(crate) fn hash_settled(&self, path: &Path) -> Result<Option<(Name, Stamp)>> {
        for _ in 0..ATTEMPTS {
            Stamp::of(path).map_err(at("read", path))?.settle();
            let (name, stamp) = self.hash(path)?;
            if self.stamps.get(&stamp) == Some(name) {
                return Ok(Some((name, stamp)));
            }
            if stamp.ctime_ns > now_ns() {
                return Ok(None);
            }
        }
        Err(StoreError::Changing { path: path.to_owned() })
    }

    /// Reads a file as often as it takes for it to be the same before and after.
    fn steadily(&self, path: &Path, mut read: impl FnMut(&mut File, &Stamp) -> Result<Name>) -> Result<(Name, Stamp)> {
        for _ in 0..ATTEMPTS {
            let begun = now_ns();
            let (mut file, before) = open(path)?;
            let name = read(&mut file, &before)?;
            let after = Stamp::of_file(&file).map_err(at("read", path))?;
            if before == after && name.length() == before.size {
                self.stamps.put(&before, begun, name);
                return Ok((name, before));
            }
            // Give the writer the time to finish.
            after.settle();
        }
        Err(StoreError::Changing { path: path.to_owned() })
    }
}
