//! The index's records.
//!
//! ```text
//! digest      32 bytes    the SHA-256 of the object's bytes
//! length       4 bytes    their number
//! frame        4 bytes    where in the pack the frame begins
//! at           4 bytes    where in the frame's decompressed bytes the object begins
//! end          4 bytes    where in the pack the compressed bytes end that are needed for it
//! checksum     4 bytes    of the above
//! ```
//!
//! Numbers are little-endian. The kind of an object is that of its pack. A wrong record could do no more than name bytes that
//! are not there or are others, which is found when they are read; the checksum has it found before.

use gg_ir::{Kind, Name};

use super::{FRAME, LARGEST};
use crate::lines::checksum;

/// The length of a record in bytes.
pub(super) const RECORD: usize = 52;
/// What is written over the record of a damaged object.
pub(super) const WIPED: [u8; RECORD] = [0; RECORD];

/// What the index says of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub digest: [u8; 32],
    pub length: u32,
    pub frame: u32,
    pub at: u32,
    pub end: u32,
}

impl Record {
    pub fn encode(&self) -> [u8; RECORD] {
        let mut out = [0; RECORD];
        out[..32].copy_from_slice(&self.digest);
        for (number, place) in [self.length, self.frame, self.at, self.end].into_iter().zip(out[32..].chunks_mut(4)) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let sum = (checksum(&out[..RECORD - 4]) as u32).to_le_bytes();
        out[RECORD - 4..].copy_from_slice(&sum);
        out
    }

    /// `None` for what no record of a sound pack is.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; RECORD] = bytes.try_into().ok()?;
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[..32]);
        let record = Self { digest, length: number(32), frame: number(36), at: number(40), end: number(44) };
        // As much as a frame can hold: its last object begins before it is full.
        let sound = record.frame <= record.end && record.at as usize <= FRAME && u64::from(record.length) <= LARGEST;
        (sound && number(48) == checksum(&bytes[..RECORD - 4]) as u32).then_some(record)
    }

    /// The name of the object, of the pack's kind.
    pub fn name(&self, kind: Kind) -> Name {
        Name::from_parts(kind, self.digest, self.length.into())
    }

    /// Where the object's bytes end among the decompressed ones.
    pub fn until(&self) -> usize {
        self.at as usize + self.length as usize
    }
}

/// An index's records, each with its number; `None` for one that is not sound and has not been wiped out. A part of a
/// record at the end is left out.
pub(super) fn records(index: &[u8]) -> impl Iterator<Item = (usize, Option<Record>)> {
    let whole = index.chunks_exact(RECORD).enumerate();
    whole.filter(|(_, bytes)| *bytes != WIPED).map(|(number, bytes)| (number, Record::decode(bytes)))
}
