//! Packs: many small objects in one file of the local store.
//!
//! A file of its own costs each object an inode, a directory entry and a block of the disk, and making one is a third of
//! what a cold `infer` takes of the CPU. The thunks of one directory's sources differ in little: their some 300 inputs are
//! mostly the same paths and digests. In a pack, what an object shares with those shortly before it is nearly free.
//!
//! ```text
//! packs/K-ID.pack     zstd frames (RFC 8878), one after the other; K is the kind (T or V), ID a random number
//! packs/K-ID.index    a record of 52 bytes for each object, see `record`
//! ```
//!
//! - A pack is only ever appended to, by one process at a time, which holds a lock (`flock`) on it. A process looks for a
//!   pack that is not full and that nobody writes, and makes a new one when there is none: so there are about as many
//!   small packs as ever were processes writing at once.
//! - Within a frame, objects follow one another in one compressed stream that is flushed behind each of them: an object
//!   is readable by every process when it has been written, without the frame's end. Frames have no end at all: where
//!   the bytes of an object stop stands in the index, and nothing is told by an end but that there is no more.
//! - A frame takes about [`FRAME`] bytes of objects, then the next one begins. That is how much has to be decompressed to
//!   read one object anywhere, and the window in which repetitions are found.
//! - The index's record is written when the data is. What a killed process leaves is data without a record, which is
//!   only a waste of space, or a part of a record, which whoever writes the pack next cuts off. After a power cut a
//!   record may be there without its data; such a record is not believed, and no pack that has one is written any more.
//! - Nothing in a pack is believed: each object is checked against its name by whoever reads it. The record of one that
//!   is damaged is wiped out (52 zeros), so that the object counts as absent and can be put again, into any pack.
//! - Marking any object as used marks its pack, and a garbage collection deletes whole packs.
//!
//! # Figures
//!
//! Measured with 1,102 thunks of a tree of Chromium's shape, of 17.8 kB each, on one core of a laptop-like machine:
//!
//! | frame | level | bytes each | CPU each | reading a frame |
//! |---|---|---|---|---|
//! | 1 MiB | 1 | 851 | 12 us | 0.2 ms |
//! | 2 MiB | 1 | 683 | 12 us | 0.4 ms |
//! | 2 MiB | 3 | 703 | 12 us | 0.4 ms |
//! | 2 MiB | 1, long distance | 598 | 42 us | 0.3 ms |
//! | 4 MiB | 1 | 580 | 12 us | 1 ms |
//!
//! With the 44,100 thunks of the tree in full size, of 35 kB each: 2,870 bytes at 2 MiB, 2,590 at 8 MiB.
//!
//! # Layout
//!
//! - `record`: what the index says of one object
//! - `frame`: compressing objects into a frame, and a frame's bytes back
//! - `writer`: the pack that this process writes
//! - `places`: which object is where, as far as the indexes have been read
//! - `frames`: frames that were decompressed lately
//! - `packs`: all of it together, for `object`
//! - `collect`: for garbage collection, verifying, emptying

mod collect;
mod frame;
mod frames;
mod packs;
mod places;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::str::FromStr;

use gg_ir::{Kind, Name};

use crate::layout::random;

pub(crate) use collect::{Held, all, check, sweep};
pub(crate) use packs::{Found, Packs};

/// A frame is not begun anew before it holds so many bytes of objects.
const FRAME: usize = 8 << 20;
/// Packs have no larger objects.
const LARGEST: u64 = 1 << 20;
/// Larger values are files: the worker mounts or copies those into its sandboxes as they are.
const LARGEST_VALUE: u64 = 64 << 10;
/// A pack of so many bytes is full. Garbage collection deletes packs as wholes, so they should not be large.
const FULL: u64 = 32 << 20;

/// Whether an object belongs into a pack.
pub(crate) fn takes(name: &Name) -> bool {
    name.length() <= if name.kind() == Kind::Thunk { LARGEST } else { LARGEST_VALUE }
}

/// A pack's name: what kind of objects it has, and a random number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PackId {
    kind: Kind,
    number: u64,
}

impl PackId {
    fn new(kind: Kind) -> Self {
        Self { kind, number: random() }
    }

    /// The name of the file with the objects.
    pub fn data(self) -> String {
        format!("{self}.pack")
    }

    /// The name of the file with the records.
    pub fn index(self) -> String {
        format!("{self}.index")
    }

    /// The pack whose data a file of this name is.
    pub fn of_data(file: &str) -> Option<Self> {
        file.strip_suffix(".pack")?.parse().ok()
    }

    /// The pack whose index a file of this name is.
    pub fn of_index(file: &str) -> Option<Self> {
        file.strip_suffix(".index")?.parse().ok()
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", if self.kind == Kind::Thunk { 'T' } else { 'V' }, self.number)
    }
}

impl FromStr for PackId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, number) = text.split_once('-').ok_or(())?;
        let kind = match kind {
            "T" => Kind::Thunk,
            "V" => Kind::Value,
            _ => return Err(()),
        };
        let id = Self { kind, number: u64::from_str_radix(number, 16).map_err(|_| ())? };
        // One spelling each.
        if id.to_string() == text { Ok(id) } else { Err(()) }
    }
}
