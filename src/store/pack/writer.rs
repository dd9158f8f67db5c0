//! The pack that this process writes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gg_ir::Kind;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::frame::Compressor;
use super::places::Places;
use super::record::{RECORD, Record};
use super::{FRAME, FULL, PackId};
use crate::error::{Result, at};
use crate::layout::{Layout, make_dir};
use crate::object::is_damage;

/// So many packs are tried that others may be writing.
const TRIES: usize = 16;

/// One pack, open for writing and locked.
pub(super) struct Writer {
    pub id: PackId,
    /// Its lock says that this process writes it.
    data: File,
    index: File,
    data_path: PathBuf,
    index_path: PathBuf,
    /// How much is in them, bytes.
    length: u64,
    records: u64,
    /// The longest file that this process may write (`ulimit -f`). Who tries more is killed, unless the signal is ignored.
    longest: u64,
    compressor: Compressor,
    /// The frame that objects are added to: where it begins, and how many bytes its objects have.
    frame: Option<(u32, u32)>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A child process that has not begun its program yet holds the file too; so not only by closing it.
        let _ = flock(&self.data, FlockOperation::Unlock);
    }
}

/// Opens a file for writing, and makes it as is said. A symbolic link or a pipe is not something to follow or wait for.
fn open(path: &Path, how: impl Fn(&mut OpenOptions) -> &mut OpenOptions) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
    how(&mut options).open(path)
}

impl Writer {
    /// Goes on with a pack that nobody writes and that an object of this length fits into, or makes one.
    pub fn begin(layout: &Layout, kind: Kind, length: usize, places: &mut Places) -> Result<Self> {
        for id in places.open(kind).into_iter().take(TRIES) {
            match Self::take(layout, id, places)? {
                Some(writer) if writer.fits(length) => return Ok(writer),
                Some(writer) => places.own(writer.id, false),
                None => {}
            }
        }
        Self::create(layout, kind, places)
    }

    /// A pack of this process alone.
    pub fn create(layout: &Layout, kind: Kind, places: &mut Places) -> Result<Self> {
        loop {
            let id = PackId::new(kind);
            let path = layout.pack(&id.data());
            let create = || open(&path, |options| options.create_new(true));
            let data = match create() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    make_dir(&layout.dir("packs")).and_then(|()| create())
                }
                created => created,
            };
            let data = data.map_err(at("create", &path))?;
            if let Some(writer) = Self::locked(layout, id, data, places)? {
                return Ok(writer);
            }
        }
    }

    /// Goes on with a pack; `None` when somebody else writes it, or it is not fit for that.
    fn take(layout: &Layout, id: PackId, places: &mut Places) -> Result<Option<Self>> {
        let path = layout.pack(&id.data());
        match open(&path, |options| options) {
            Ok(data) => Self::locked(layout, id, data, places),
            // Collected, or another user's, or no file any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_damage(&error) => Ok(None),
            Err(error) => Err(at("open", &path)(error)),
        }
    }

    fn locked(layout: &Layout, id: PackId, data: File, places: &mut Places) -> Result<Option<Self>> {
        let (data_path, index_path) = (layout.pack(&id.data()), layout.pack(&id.index()));
        match flock(&data, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(None),
            locked => locked.map_err(at("lock", &data_path))?,
        }
        let meta = data.metadata().map_err(at("read", &data_path))?;
        // Somebody may have written it, or be about to delete it, since it was looked at.
        let here = fs::symlink_metadata(&data_path).is_ok_and(|found| found.is_file() && found.ino() == meta.ino());
        if !here || meta.len() >= FULL {
            return Ok(None);
        }
        let index = open(&index_path, |options| options.create(true).truncate(false));
        let index = index.map_err(at("open", &index_path))?;
        places.read(layout, id).map_err(at("read", &index_path))?;
        let found = index.metadata().map_err(at("read", &index_path))?.len();
        let records = places.index_read(id);
        if places.is_torn(id) || found.checked_sub(records).is_none_or(|rest| rest >= RECORD as u64) {
            return Ok(None);
        }
        if found > records {
            // Half a record, of a process that was killed.
            index.set_len(records).map_err(at("write", &index_path))?;
        }
        let compressor = Compressor::new().map_err(at("compress into", &data_path))?;
        places.own(id, true);
        let length = meta.len();
        let longest = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
        Ok(Some(Self { id, data, index, data_path, index_path, length, records, longest, compressor, frame: None }))
    }

    /// Whether the pack is still where others find it.
    pub fn is_there(&self) -> bool {
        self.data.metadata().is_ok_and(|meta| meta.nlink() > 0)
    }

    /// How long the index is, bytes.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Whether nothing should be added any more.
    pub fn is_full(&self) -> bool {
        self.length >= FULL
    }

    /// Whether this process may write as much as an object of this length takes at most.
    pub fn fits(&self, length: usize) -> bool {
        // What cannot be compressed takes as much as it has, and 3 bytes for each block of at most 128 kB.
        self.length + length as u64 + 1024 <= self.longest && self.records + RECORD as u64 <= self.longest
    }

    /// Adds an object, which every process can read when this returns.
    ///
    /// # Errors
    /// When it cannot be written. The pack is as it was then.
    pub fn add(&mut self, digest: &[u8; 32], object: &[u8]) -> Result<Record> {
        // After an error, the compressor has seen what the file does not have.
        let frame = self.frame.take().filter(|(_, length)| (*length as usize) < FRAME);
        let (start, at_byte) = match frame {
            Some(frame) => frame,
            None => {
                self.compressor.begin().map_err(at("compress into", &self.data_path))?;
                (self.length as u32, 0)
            }
        };
        let bytes = self.compressor.add(object).map_err(at("compress into", &self.data_path))?;
        let end = self.length + bytes.len() as u64;
        let record =
            Record { digest: *digest, length: object.len() as u32, frame: start, at: at_byte, end: end as u32 };
        self.data.write_all_at(&bytes, self.length).map_err(|error| {
            let _ = self.data.set_len(self.length);
            at("write", &self.data_path)(error)
        })?;
        self.index.write_all_at(&record.encode(), self.records).map_err(|error| {
            let _ = self.index.set_len(self.records);
            let _ = self.data.set_len(self.length);
            at("write", &self.index_path)(error)
        })?;
        self.length = end;
        self.records += RECORD as u64;
        self.frame = Some((start, at_byte + object.len() as u32));
        Ok(record)
    }
}
