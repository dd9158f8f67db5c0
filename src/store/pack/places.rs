//! Which object is where, as far as the packs' indexes have been read.
//!
//! An object takes some 80 bytes here.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use gg_ir::{Kind, Name};

use super::record::{RECORD, Record, WIPED, records};
use super::{FULL, PackId};
use crate::layout::Layout;
use crate::stamp::{Stamp, now_ns};

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    pack: u32,
    /// The frame's number in its pack.
    frame: u32,
    at: u32,
    length: u32,
}

/// A frame, as far as is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Where in the pack it begins.
    pub start: u32,
    /// Where in the pack the last of its objects ends.
    pub end: u32,
    /// How many bytes its objects have.
    pub length: u32,
}

#[derive(Debug)]
struct Pack {
    id: PackId,
    /// How much of the index has been read, bytes.
    read: u64,
    frames: Vec<Frame>,
    /// The lease in which it was marked as used last.
    marked: Option<u64>,
    /// Whether this process writes it, so that nobody else's records can be in it.
    mine: bool,
    /// Whether a record tells of data that is not there.
    torn: bool,
}

impl Pack {
    /// Where its known data ends.
    fn end(&self) -> u64 {
        self.frames.iter().map(|frame| frame.end).max().unwrap_or_default().into()
    }

    /// The number of the frame that a record tells of, which is as long as the record says from now on. `None` for one
    /// out of order: such an index is not as it was written.
    fn frame(&mut self, record: &Record) -> Option<u32> {
        let number = match self.frames.binary_search_by_key(&record.frame, |frame| frame.start) {
            Ok(number) => number,
            Err(number) if number < self.frames.len() => return None,
            Err(number) => {
                self.frames.push(Frame { start: record.frame, end: 0, length: 0 });
                number
            }
        };
        let frame = &mut self.frames[number];
        frame.end = frame.end.max(record.end);
        frame.length = frame.length.max(record.until() as u32);
        Some(number as u32)
    }
}

/// One object that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub pack: PackId,
    pub frame: Frame,
    /// Where in the frame it begins.
    pub at: u32,
    /// The lease in which its pack was marked as used last.
    pub marked: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Places {
    packs: Vec<Option<Pack>>,
    known: HashMap<PackId, u32>,
    /// Of values and of thunks.
    places: [HashMap<[u8; 32], Place>; 2],
    /// What was found in a second place too: two processes wrote it at once, or it was damaged once.
    doubled: HashSet<[u8; 32]>,
    /// Whether something is gone that may be in a second place, so that everything is to be read anew.
    stale: bool,
    /// The directory in the state in which it was listed last, if that cannot have changed within a tick of the clock.
    listed: Option<Stamp>,
}

impl Places {
    pub fn find(&self, name: &Name) -> Option<Spot> {
        let place = self.places[name.kind() as usize].get(name.digest())?;
        if u64::from(place.length) != name.length() {
            return None;
        }
        let pack = self.packs.get(place.pack as usize)?.as_ref()?;
        let frame = *pack.frames.get(place.frame as usize)?;
        Some(Spot { pack: pack.id, frame, at: place.at, marked: pack.marked })
    }

    fn pack(&mut self, id: PackId) -> Option<&mut Pack> {
        self.packs.get_mut(*self.known.get(&id)? as usize)?.as_mut()
    }

    /// Notes in which lease a pack was marked as used.
    pub fn mark(&mut self, id: PackId, lease: u64) {
        if let Some(pack) = self.pack(id) {
            pack.marked = Some(lease);
        }
    }

    /// Notes whether this process writes a pack.
    pub fn own(&mut self, id: PackId, mine: bool) {
        let slot = self.slot(id);
        if let Some(pack) = &mut self.packs[slot as usize] {
            pack.mine = mine;
        }
    }

    /// Packs of a kind that can be written further, the largest first.
    pub fn open(&self, kind: Kind) -> Vec<PackId> {
        let fit = |pack: &&Pack| pack.id.kind == kind && pack.end() < FULL && !pack.mine && !pack.torn;
        let mut all: Vec<&Pack> = self.packs.iter().flatten().filter(fit).collect();
        all.sort_by_key(|pack| std::cmp::Reverse(pack.read));
        all.iter().map(|pack| pack.id).collect()
    }

    /// Forgets where an object is, which is damaged and whose record has been wiped out.
    pub fn lose(&mut self, name: &Name) {
        self.places[name.kind() as usize].remove(name.digest());
        self.stale |= self.doubled.contains(name.digest());
    }

    /// Forgets a pack that is not there any more.
    pub fn forget(&mut self, id: PackId) {
        if let Some(slot) = self.known.remove(&id) {
            self.packs[slot as usize] = None;
            self.places[id.kind as usize].retain(|_, place| place.pack != slot);
            self.stale |= !self.doubled.is_empty();
        }
    }

    fn slot(&mut self, id: PackId) -> u32 {
        *self.known.entry(id).or_insert_with(|| {
            let pack = Pack { id, read: 0, frames: Vec::new(), marked: None, mine: false, torn: false };
            self.packs.push(Some(pack));
            self.packs.len() as u32 - 1
        })
    }

    /// Takes over the record of an object that this process has written. The index has `length` bytes with it.
    pub fn add(&mut self, id: PackId, record: &Record, length: u64, lease: u64) {
        let slot = self.slot(id);
        if let Some(pack) = &mut self.packs[slot as usize] {
            pack.read = pack.read.max(length);
            pack.marked = Some(lease);
        }
        self.insert(slot, record);
    }

    fn insert(&mut self, slot: u32, record: &Record) {
        let Some(pack) = &mut self.packs[slot as usize] else { return };
        let Some(frame) = pack.frame(record) else { return };
        let place = Place { pack: slot, frame, at: record.at, length: record.length };
        // One of several is as good as another.
        if *self.places[pack.id.kind as usize].entry(record.digest).or_insert(place) != place {
            self.doubled.insert(record.digest);
        }
    }

    /// Looks for packs and records that are new.
    ///
    /// # Errors
    /// What listing the directory or reading an index says; that a file is not there is no error.
    pub fn refresh(&mut self, layout: &Layout) -> io::Result<()> {
        if self.stale {
            let mine: Vec<PackId> = self.packs.iter().flatten().filter(|pack| pack.mine).map(|pack| pack.id).collect();
            *self = Self::default();
            mine.into_iter().for_each(|id| self.own(id, true));
        }
        self.list(layout)?;
        for slot in 0..self.packs.len() {
            let Some(pack) = &self.packs[slot] else { continue };
            // A full one can only have been written by the process that filled it, and once.
            if pack.read == 0 || !pack.mine && pack.end() < FULL {
                self.read(layout, pack.id)?;
            }
        }
        Ok(())
    }

    /// Finds the packs that were made since this was done last.
    fn list(&mut self, layout: &Layout) -> io::Result<()> {
        let directory = layout.dir("packs");
        let now = now_ns();
        let stamp = match Stamp::of(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            stamp => stamp?,
        };
        if self.listed == Some(stamp) {
            return Ok(());
        }
        for entry in fs::read_dir(&directory)? {
            if let Some(id) = entry?.file_name().to_str().and_then(PackId::of_index) {
                self.slot(id);
            }
        }
        self.listed = stamp.settled(now).then_some(stamp);
        Ok(())
    }

    /// Reads what is new in one pack's index.
    pub fn read(&mut self, layout: &Layout, id: PackId) -> io::Result<()> {
        let slot = self.slot(id);
        let Some(pack) = &mut self.packs[slot as usize] else { return Ok(()) };
        let path = layout.pack(&id.index());
        let length = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget(id);
                return Ok(());
            }
            meta => meta?.size(),
        };
        if length < pack.read + RECORD as u64 {
            return Ok(());
        }
        let fresh = File::open(&path).and_then(|file| {
            let mut bytes = vec![0; (length - pack.read) as usize / RECORD * RECORD];
            file.read_exact_at(&mut bytes, pack.read).map(|()| bytes)
        });
        let bytes = match fresh {
            // Deleted, or cut off behind the whole records.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
                return Ok(());
            }
            fresh => fresh?,
        };
        let Some(data) = size(layout, id)? else {
            self.forget(id);
            return Ok(());
        };
        // One at the end that is not sound may be on its way to the disk; it is read again.
        let last =
            bytes.chunks(RECORD).next_back().is_some_and(|last| *last != WIPED && Record::decode(last).is_none());
        pack.read += (bytes.len() - if last { RECORD } else { 0 }) as u64;
        for record in records(&bytes).filter_map(|(_, record)| record) {
            if u64::from(record.end) <= data {
                self.insert(slot, &record);
            } else if let Some(pack) = &mut self.packs[slot as usize] {
                pack.torn = true;
            }
        }
        Ok(())
    }

    /// Whether a pack's index tells of data that is not there.
    pub fn is_torn(&mut self, id: PackId) -> bool {
        self.pack(id).is_some_and(|pack| pack.torn)
    }

    /// How much of a pack's index has been read, bytes.
    pub fn index_read(&mut self, id: PackId) -> u64 {
        self.pack(id).map_or(0, |pack| pack.read)
    }
}

/// How much data a pack has; `None` when it is gone.
fn size(layout: &Layout, id: PackId) -> io::Result<Option<u64>> {
    let place = layout.pack(&id.data());
    // One on its way out may be taken back, and may just have been.
    for path in [&place, &layout.trash(&id.data()), &place] {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            meta => return meta.map(|meta| Some(meta.size())),
        }
    }
    Ok(None)
}
