//! Objects on their way into the local store: nothing gets a name that it does not bear.

use std::io::{self, Read, Write};

use gg_ir::{Hasher, Name};

use super::pack::PackError;
use crate::error::at;
use crate::object::Seen;
use crate::{Store, StoreError};

/// Larger objects are not held in memory.
pub(super) const IN_MEMORY: u64 = 4 << 20;
const CHUNK: u64 = 256 << 10;

/// Why an object did not arrive.
pub(super) enum Failure {
    /// Reading failed: the transport, the decompression, or there were too few bytes.
    Read(io::Error),
    /// The bytes are not those of the name, or not where they should be.
    Damaged(PackError),
    /// Writing failed.
    Local(StoreError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Local(error)
    }
}

/// Reads as many bytes as the name says, and puts them into the store if they are what the name says. An object that is
/// there already is only read over.
pub(super) fn object(from: &mut impl Read, name: &Name, store: &Store) -> Result<(), Failure> {
    if store.holds(name) {
        let read = io::copy(&mut from.take(name.length()), &mut io::sink())?;
        return if read == name.length() { Ok(()) } else { Err(Failure::Read(io::ErrorKind::UnexpectedEof.into())) };
    }
    if name.length() <= IN_MEMORY {
        let mut bytes = vec![0; name.length() as usize];
        from.read_exact(&mut bytes)?;
        return whole(&bytes, name, store);
    }
    let mut staged = store.stage()?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; CHUNK as usize];
    let mut left = name.length();
    while left > 0 {
        let piece = &mut buffer[..left.min(CHUNK) as usize];
        from.read_exact(piece)?;
        hasher.update(piece);
        staged.file.write_all(piece).map_err(at("write", &staged.path))?;
        left -= piece.len() as u64;
    }
    if hasher.finish(name.kind()) != *name {
        return Err(Failure::Damaged(PackError::Object { name: *name }));
    }
    Ok(install(staged, name, store)?)
}

fn whole(bytes: &[u8], name: &Name, store: &Store) -> Result<(), Failure> {
    if !name.matches(bytes) {
        return Err(Failure::Damaged(PackError::Object { name: *name }));
    }
    Ok(store.write(name, bytes)?)
}

/// The bytes have just been hashed, so the file need not be read again.
fn install(staged: crate::Staged, name: &Name, store: &Store) -> Result<(), StoreError> {
    let seen = staged.file.metadata().ok().map(|meta| Seen::of(&meta));
    store.install(staged, name)?;
    if let Some(seen) = seen {
        store.verified.insert(*name, seen);
    }
    Ok(())
}
