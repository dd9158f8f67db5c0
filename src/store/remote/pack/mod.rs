//! Packs: many objects in one piece, so that they are moved in one request.
//!
//! ```text
//! magic           "ggP" and the version, 4 bytes
//! blocks          zstd frames (RFC 8878), each of one or several objects' bytes one after the other
//! index           for each block: its length, how many objects, and their names in the order of their bytes
//! footer          the index's length (8 bytes, little-endian), the index's SHA-256, and the magic again
//! ```
//!
//! Where an object lies follows from the order and the lengths in the names. Numbers in the index are LEB128. A pack's
//! id is the SHA-256 of its bytes. The same bytes ride inline in requests and answers.
//!
//! Nothing in a pack is believed: every object is checked against its name, which the reader asked for.

mod index;
mod reader;
mod writer;

use std::fmt;
use std::str::FromStr;

use gg_ir::Name;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::Result;
use crate::{Store, StoreError};

pub(super) use index::{Block, FOOTER, Index};
pub(super) use reader::{BlockPlan, Piece, unpack, unpack_object};
pub(super) use writer::{LARGE_LEVEL, SMALL_LEVEL, Writer, Written, compress, compress_file};

/// The version of the format.
const MAGIC: [u8; 4] = *b"ggP\x01";
/// Objects of up to this many bytes share blocks; larger ones have a block of their own.
pub(super) const BLOCK: u64 = 1 << 20;

/// A pack's name: the SHA-256 of its bytes, written in 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackId(pub(super) [u8; 32]);

impl PackId {
    /// The id of the pack of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*Name::of_value(bytes).digest())
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PackId {
    type Err = PackError;

    fn from_str(text: &str) -> Result<Self, PackError> {
        let digit = |byte: u8| char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
        let mut id = [0; 32];
        if text.len() != 64 {
            return Err(PackError::Id);
        }
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte =
                digit(pair[0]).zip(digit(pair[1])).map(|(high, low)| (high << 4 | low) as u8).ok_or(PackError::Id)?;
        }
        Ok(Self(id))
    }
}

impl Serialize for PackId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PackId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why bytes are no pack, or not the pack they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The text is no pack's id.
    #[error("a pack's id is 64 lower-case hexadecimal digits")]
    Id,
    /// There are fewer bytes than the format or the index says.
    #[error("it is cut short")]
    Short,
    /// It does not begin and end as a pack of this version does.
    #[error("it is no pack of this version of gg")]
    Magic,
    /// The index is not what the footer's checksum says.
    #[error("its index is damaged")]
    Index,
    /// The index says something that cannot be.
    #[error("its index is invalid ({0})")]
    Invalid(&'static str),
    /// A block cannot be decompressed, or has another length than the index says.
    #[error("a block at byte {offset} is damaged")]
    Block {
        /// Where the block begins.
        offset: u64,
    },
    /// Bytes are not those of the name.
    #[error("it holds other bytes under {name}")]
    Object {
        /// The name.
        name: Name,
    },
}

/// Packs objects in memory. The names are believed here, and checked by who reads the pack.
pub fn write<'a>(objects: impl IntoIterator<Item = (&'a Name, &'a [u8])>) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), SMALL_LEVEL);
    for (name, bytes) in objects {
        // Writing to memory does not fail, and neither does compressing into it.
        let _ = writer.add(name, bytes);
    }
    writer.finish().map(|done| done.out).unwrap_or_default()
}

/// Packs objects of the store in memory.
///
/// # Errors
/// As [`Store::read`].
pub fn write_from(store: &Store, names: &[Name]) -> Result<Vec<u8>, StoreError> {
    let objects = names.iter().map(|name| Ok((name, store.read(name)?))).collect::<Result<Vec<_>, StoreError>>()?;
    Ok(write(objects.iter().map(|(name, bytes)| (*name, bytes.as_slice()))))
}

/// Puts every object of a pack into the store, and gives their names.
///
/// # Errors
/// [`RemoteError::Pack`](super::RemoteError::Pack) when the bytes are no pack or an object is not what its name says
/// (objects before it are in the store then); [`RemoteError::Local`](super::RemoteError::Local) when the store cannot be
/// written.
pub fn read_into(bytes: &[u8], store: &Store) -> Result<Vec<Name>> {
    let index = Index::of_pack(bytes)?;
    let plans: Vec<BlockPlan> = index.blocks().map(|(block, names)| BlockPlan::whole(block, names)).collect();
    unpack(&bytes[MAGIC.len()..], &plans, store)?;
    Ok(index.names().copied().collect())
}

#[cfg(test)]
mod tests;
