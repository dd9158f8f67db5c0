//! The reduction cache: what thunks evaluated to, when they were evaluated before.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use gg_ir::{Kind, Made, Name, Reduction, Reference};
use rustix::fs::OFlags;

use crate::error::{Result, at};
use crate::object::{self, Mark, is_damage};
use crate::store::Store;

/// The length of the SHA-256 that ends a record. Unlike an object, a record is not named by its content, so nothing else
/// would tell a damaged one.
const CHECKSUM: usize = 32;

pub(crate) fn seal(mut record: Vec<u8>) -> Vec<u8> {
    let sum = *Name::of_value(&record).digest();
    record.extend_from_slice(&sum);
    record
}

pub(crate) fn unseal(thunk: &Name, bytes: &[u8]) -> Option<Reduction> {
    Reduction::decode(unsealed(bytes)?).ok().filter(|reduction| reduction.thunk == *thunk)
}

/// The record without its checksum, if that is right.
pub(crate) fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let (record, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    (Name::of_value(record).digest() == sum).then_some(record)
}

/// The bytes of a record; `None` when there is none, none at all when the disk says that it is damaged.
pub(crate) fn read_record(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match object::open(path, OFlags::empty()).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if is_damage(&error) => bytes.clear(),
        Err(error) => return Err(at("read", path)(error)),
    }
    Ok(Some(bytes))
}

impl Store {
    /// What the thunk evaluated to, if that is known and every output is to be had (see [`Store::contains`]; for an
    /// output that is in turn an output of a thunk: that thunk). A damaged record is moved to the quarantine and counts
    /// as unknown.
    ///
    /// # Errors
    /// When the record is there and cannot be read.
    pub fn reduction(&self, thunk: &Name) -> Result<Option<Reduction>> {
        let Some(reduction) = self.recorded(thunk)? else { return Ok(None) };
        let at_hand = |made: &Made| match &made.object {
            Reference::Value(name) | Reference::Output(name, _) => self.contains(name),
        };
        if !reduction.outputs.values().chain(reduction.undeclared.values()).all(at_hand) {
            return Ok(None);
        }
        self.touch_file(Mark::Reduction, thunk, &self.layout.reduction(thunk));
        Ok(Some(reduction))
    }

    /// What the thunk evaluated to, if that is known, whether its outputs are to be had or not.
    ///
    /// # Errors
    /// When the record is there and cannot be read.
    pub fn recorded(&self, thunk: &Name) -> Result<Option<Reduction>> {
        let path = self.layout.reduction(thunk);
        let Some(bytes) = read_record(&path)? else { return Ok(None) };
        let reduction = unseal(thunk, &bytes);
        if reduction.is_none() {
            self.layout.quarantine(&path)?;
        }
        Ok(reduction)
    }

    /// Remembers what a thunk evaluated to, in place of what was remembered before.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn record(&self, reduction: &Reduction) -> Result<()> {
        debug_assert_eq!(reduction.thunk.kind(), Kind::Thunk);
        self.write_record(&self.layout.reduction(&reduction.thunk), reduction.encode())
    }

    /// Writes a record with its checksum, in place of what was there.
    pub(crate) fn write_record(&self, path: &Path, record: Vec<u8>) -> Result<()> {
        let temporary = self.layout.temporary();
        let write = || {
            fs::File::create_new(&temporary)?.write_all(&seal(record))?;
            match self.layout.install(&temporary, path) {
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                    self.layout.quarantine(path).map_err(io::Error::other)?;
                    self.layout.install(&temporary, path)
                }
                installed => installed,
            }
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&temporary);
            at("write", path)(error)
        })
    }

    /// Forgets what the thunk evaluated to; it will be evaluated again.
    pub fn forget(&self, thunk: &Name) {
        // A record that cannot be removed is found useless, or is right, when it is read.
        let _ = fs::remove_file(self.layout.reduction(thunk));
        self.touched.remove(&(Mark::Reduction, *thunk));
    }

    /// Whether these bytes are a whole record of this thunk.
    pub(crate) fn is_record(thunk: &Name, bytes: &[u8]) -> bool {
        unseal(thunk, bytes).is_some()
    }
}
