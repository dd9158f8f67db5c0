//! Objects on disk: putting, finding, reading, and what happens to damaged ones.
//!
//! Small objects are in packs (see `pack`), large ones each in a file of its own, and so is a small one that was asked for
//! as a file ([`Store::file`]).
//!
//! # What a crash can do
//!
//! A large object is written to `tmp` and renamed, so a killed process leaves a stray temporary file at worst. Nothing is
//! synced to the disk: that would cost milliseconds for each of thousands of objects, and every use checks the bytes
//! against the name anyway. After a power cut an object may be empty or cut short; it is then found damaged, moved to
//! the quarantine, and made again.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use gg_ir::{Hasher, Kind, Name};
use rustix::fs::{AtFlags, CWD, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

use crate::error::{Result, StoreError, at};
use crate::pack::{self, Found};
use crate::store::Store;

/// How much is read at a time: large enough that hashing, not calling, takes the time.
pub(crate) const CHUNK: u64 = 256 * 1024;

/// The state of an object's file in which its content was found right: device, inode, length, time of modification.
///
/// Not the time of change, which marking an object as used sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen([u64; 3], i64, i64);

impl Seen {
    pub fn of(meta: &Metadata) -> Self {
        Self([meta.dev(), meta.ino(), meta.len()], meta.mtime(), meta.mtime_nsec())
    }
}

/// Reads a file from where it stands to its end, in large pieces.
pub(crate) fn pieces(
    file: &mut File,
    size: u64,
    mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut buffer = vec![0; (size + 1).min(CHUNK) as usize];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => each(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::Read(error)),
        }
    }
}

/// What is marked as used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mark {
    /// The pack that an object is in.
    Packed,
    /// An object's own file.
    File,
    /// A reduction's file.
    Reduction,
}

/// Which lease protects objects, and how many were found missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    lease: u64,
    losses: u64,
}

/// Which side of a copy failed.
pub(crate) enum Failure {
    /// Reading the source.
    Read(io::Error),
    /// Writing the destination.
    Write(io::Error),
}

impl Failure {
    /// As an error of the store.
    pub fn on(self, source: &Path, destination: &Path) -> StoreError {
        match self {
            Failure::Read(error) => at("read", source)(error),
            Failure::Write(error) => at("write", destination)(error),
        }
    }
}

/// The name of the rest of a file.
pub(crate) fn hash(file: &mut File, size: u64, kind: Kind) -> io::Result<Name> {
    let mut hasher = Hasher::new();
    let read = pieces(file, size, |piece| {
        hasher.update(piece);
        Ok(())
    });
    match read {
        Ok(()) => Ok(hasher.finish(kind)),
        Err(Failure::Read(error) | Failure::Write(error)) => Err(error),
    }
}

/// Opens a file of the store for reading. A symbolic link or a pipe is not something to follow or wait for.
pub(crate) fn open(path: &Path, more: OFlags) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | more;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

/// Whether an error of opening or reading a file of the store shows that the file is damaged: something else in its
/// place, its permissions lost, or a sector that cannot be read.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::NXIO | Errno::ACCESS | Errno::IO | Errno::ISDIR))
}

/// Marks a file as used now. The time of modification stays as it is, so that it still tells a damaged object.
pub(crate) fn mark_used(path: &Path) -> io::Result<()> {
    let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times = Timestamps { last_access: time(UTIME_NOW), last_modification: time(UTIME_OMIT) };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

impl Store {
    /// Stores an object; does nothing when the store holds it.
    ///
    /// # Errors
    /// When it cannot be written: [`StoreError::Full`], [`StoreError::Descriptors`] and their kin. Nothing half-written
    /// is left.
    pub fn put(&self, kind: Kind, bytes: &[u8]) -> Result<Name> {
        let name = Name::of(kind, bytes);
        if !self.present(&name) {
            self.write(&name, bytes)?;
        }
        Ok(name)
    }

    /// Writes an object whose bytes have been compared with its name.
    pub(crate) fn write(&self, name: &Name, bytes: &[u8]) -> Result<()> {
        if !pack::takes(name) {
            return self.write_file(name, bytes);
        }
        let lease = self.generation.load(Ordering::SeqCst);
        self.packs.add(&self.layout, name, bytes, lease)?;
        // Written in that lease, so used in it.
        self.touched.insert((Mark::Packed, *name), lease);
        Ok(())
    }

    /// Writes an object as a file of its own.
    fn write_file(&self, name: &Name, bytes: &[u8]) -> Result<()> {
        let mut staged = self.stage()?;
        staged.file.write_all(bytes).map_err(at("write", &staged.path))?;
        let seen = staged.file.metadata().ok().map(|meta| Seen::of(&meta));
        self.install(staged, name)?;
        if let Some(seen) = seen {
            self.verified.insert(*name, seen);
        }
        Ok(())
    }

    /// Whether the object is to be had: from the store, from a file of the system that is known to hold it, or from whoever
    /// supplies the store. What is found here is protected from garbage collection while a lease is held.
    pub fn contains(&self, name: &Name) -> bool {
        self.holds(name) || self.promised(name)
    }

    /// Whether the object was there when it was last marked as used, and cannot have been collected since: not while the
    /// lease lasts in which that was. Nothing is looked at.
    pub fn is_protected(&self, name: &Name) -> bool {
        let lease = Some(self.generation.load(Ordering::SeqCst));
        [Mark::Packed, Mark::File].into_iter().any(|mark| self.touched.get(&(mark, *name)) == lease)
    }

    /// What is protected stays so for as long as this is the same ([`Store::is_protected`]).
    pub fn protection(&self) -> Protection {
        Protection { lease: self.generation.load(Ordering::SeqCst), losses: self.losses.load(Ordering::SeqCst) }
    }

    /// Nothing counts as used any more.
    pub(crate) fn unmark_all(&self) {
        self.touched.clear();
        self.losses.fetch_add(1, Ordering::SeqCst);
    }

    fn unmark(&self, key: &(Mark, Name)) {
        if self.touched.remove(key) {
            self.losses.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Whether the object is in a pack, or there is a file of the right length; marks it as used.
    pub(crate) fn present(&self, name: &Name) -> bool {
        let path = self.layout.object(name);
        let file = || {
            let whole = |meta: Metadata| meta.is_file() && meta.len() == name.length();
            fs::symlink_metadata(&path).is_ok_and(whole) && self.touch_file(Mark::File, name, &path)
        };
        self.packed(name) || file() || self.found_packed(name) || self.untrash(name, &path) && file()
    }

    /// Marks an object as used, once while a lease lasts. `false` when it is not here any more.
    pub(crate) fn touch(&self, name: &Name) -> bool {
        self.touch_packed(name) || self.touch_file(Mark::File, name, &self.layout.object(name))
    }

    /// As [`Store::touch`], for what is in a pack that is known.
    fn touch_packed(&self, name: &Name) -> bool {
        let lease = self.generation.load(Ordering::SeqCst);
        self.touched.get(&(Mark::Packed, *name)) == Some(lease) || self.packed(name)
    }

    /// Whether the object is in a pack that is known and still there; marks it as used.
    fn packed(&self, name: &Name) -> bool {
        let lease = self.generation.load(Ordering::SeqCst);
        let key = (Mark::Packed, *name);
        let present = self.packs.present(&self.layout, name, lease);
        if present {
            self.touched.insert(key, lease);
        } else {
            self.unmark(&key);
        }
        present
    }

    /// As [`Store::packed`], when the object was not found: another process may have written it since the packs were looked
    /// at.
    fn found_packed(&self, name: &Name) -> bool {
        // What cannot be looked at is found out when the object is wanted.
        pack::takes(name) && self.packs.refresh(&self.layout).is_ok() && self.packed(name)
    }

    /// Marks an object's own file or a reduction as used, once while a lease lasts. `false` when the file is gone.
    pub(crate) fn touch_file(&self, mark: Mark, name: &Name, path: &Path) -> bool {
        let key = (mark, *name);
        // Read before marking: a lease that begins in between must mark again.
        let lease = self.generation.load(Ordering::SeqCst);
        if self.touched.get(&key) == Some(lease) {
            return true;
        }
        match mark_used(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            // Cannot be marked (another owner's, say), but is there.
            _ => {
                self.touched.insert(key, lease);
                true
            }
        }
    }

    /// Takes an object back that a garbage collection was about to delete.
    fn untrash(&self, name: &Name, path: &Path) -> bool {
        // The directory that it came from is there; making it for each object that is nowhere would be dear.
        fs::rename(self.layout.trash(&name.to_string()), path).is_ok()
    }

    /// Opens a file with the object, which has the right length; `None` when the object is not here. What is in a pack is
    /// written to a file.
    pub(crate) fn open_object(&self, name: &Name) -> Result<Option<(File, Metadata, PathBuf)>> {
        let opened = self.open_file(name)?;
        if opened.is_some() {
            return Ok(opened);
        }
        let packed = match self.read_packed(name)? {
            None if self.found_packed(name) => self.read_packed(name)?,
            packed => packed,
        };
        if let Some(bytes) = packed {
            self.write_file(name, &bytes)?;
        }
        self.open_file(name)
    }

    /// Opens the object's own file, which has the right length; `None` when there is none.
    pub(crate) fn open_file(&self, name: &Name) -> Result<Option<(File, Metadata, PathBuf)>> {
        let path = self.layout.object(name);
        let open = || open(&path, OFlags::empty());
        let opened = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.untrash(name, &path) => open(),
            opened => opened,
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_damage(&error) => return Err(self.corrupt(name)),
            Err(error) => return Err(at("open", &path)(error)),
        };
        let meta = file.metadata().map_err(at("read", &path))?;
        if !meta.is_file() || meta.len() != name.length() {
            return Err(self.corrupt(name));
        }
        self.touch_file(Mark::File, name, &path);
        Ok(Some((file, meta, path)))
    }

    /// Reads an object from a pack; `None` when it is in none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is damaged in all packs that have it, and not there otherwise.
    fn read_packed(&self, name: &Name) -> Result<Option<Vec<u8>>> {
        if !self.touch_packed(name) {
            return Ok(None);
        }
        match self.packs.read(&self.layout, name)? {
            Found::Whole(bytes) => Ok(Some(bytes)),
            Found::Absent => {
                self.unmark(&(Mark::Packed, *name));
                Ok(None)
            }
            Found::Damaged(found) => {
                self.unmark(&(Mark::Packed, *name));
                let kept = self.layout.quarantine_bytes(name, &found)?;
                if self.present(name) { Ok(None) } else { Err(StoreError::Corrupt { name: *name, kept }) }
            }
        }
    }

    /// Moves a damaged object to the quarantine; the error to return.
    pub(crate) fn corrupt(&self, name: &Name) -> StoreError {
        self.verified.remove(name);
        self.unmark(&(Mark::File, *name));
        match self.layout.quarantine(&self.layout.object(name)) {
            Ok(kept) => StoreError::Corrupt { name: *name, kept },
            Err(error) => error,
        }
    }

    /// The error for a read that failed: a sector that cannot be read is damage too.
    pub(crate) fn unreadable(&self, name: &Name, path: &Path, error: io::Error) -> StoreError {
        if is_damage(&error) { self.corrupt(name) } else { at("read", path)(error) }
    }

    /// Reads an object, and checks it against its name.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when it is nowhere; [`StoreError::Corrupt`] when its file is damaged, which is then out of
    /// the way, so that the object can be put again.
    pub fn read(&self, name: &Name) -> Result<Vec<u8>> {
        if let Some(bytes) = self.read_packed(name)? {
            return Ok(bytes);
        }
        let Some((mut file, meta, path)) = self.open_file(name)? else {
            if self.found_packed(name) {
                return self.read(name);
            }
            return self.read_origin(name)?.map_or_else(|| self.read_brought(name), Ok);
        };
        let mut bytes = Vec::with_capacity(meta.len() as usize);
        file.read_to_end(&mut bytes).map_err(|error| self.unreadable(name, &path, error))?;
        if !name.matches(&bytes) {
            return Err(self.corrupt(name));
        }
        self.verified.insert(*name, Seen::of(&meta));
        Ok(bytes)
    }

    /// Reads an object and compares it with its name, once per process where a file's stamp can vouch for it after that.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn check(&self, name: &Name) -> Result<()> {
        if self.touch_packed(name) { self.read(name).map(drop) } else { self.file(name).map(drop) }
    }

    fn read_brought(&self, name: &Name) -> Result<Vec<u8>> {
        if self.bring(name) && self.holds(name) { self.read(name) } else { Err(StoreError::Missing { name: *name }) }
    }

    fn read_origin(&self, name: &Name) -> Result<Option<Vec<u8>>> {
        while let Some(path) = self.origin_of_value(name) {
            match fs::read(&path) {
                Ok(bytes) if name.matches(&bytes) => return Ok(Some(bytes)),
                _ => self.origins.drop_file(name, &path),
            }
        }
        Ok(None)
    }

    /// A file that holds exactly the object's bytes, for mounting and copying: the object's own, which is made of what is in a
    /// pack, or one of the system. It must not be written. Its mode is its own (an object's is 0444 at most).
    ///
    /// The content is checked once per process; after that the file's stamp vouches for it.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn file(&self, name: &Name) -> Result<PathBuf> {
        // Files of the system first: they have the modes that programs need.
        if let Some(path) = self.origin_of_value(name) {
            return Ok(path);
        }
        let opened = match self.open_object(name)? {
            None if self.bring(name) => self.open_object(name)?,
            opened => opened,
        };
        let Some((mut file, meta, path)) = opened else { return Err(StoreError::Missing { name: *name }) };
        self.verify(name, &mut file, &meta, &path)?;
        Ok(path)
    }

    /// Checks an open object file against its name, once per process.
    pub(crate) fn verify(&self, name: &Name, file: &mut File, meta: &Metadata, path: &Path) -> Result<()> {
        let seen = Seen::of(meta);
        if self.verified.get(name) == Some(seen) {
            return Ok(());
        }
        let found = hash(file, meta.len(), name.kind()).map_err(|error| self.unreadable(name, path, error))?;
        if found != *name {
            return Err(self.corrupt(name));
        }
        self.verified.insert(*name, seen);
        Ok(())
    }
}
