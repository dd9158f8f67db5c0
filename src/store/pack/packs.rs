//! All packs of a store, as one process knows them.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use gg_ir::Name;
use rustix::fs::OFlags;

use super::frame::decompress;
use super::frames::Frames;
use super::places::{Frame, Places, Spot};
use super::record::Record;
use super::writer::Writer;
use super::{PackId, collect};
use crate::error::{Result, at};
use crate::layout::Layout;
use crate::object::{self, is_damage, mark_used};
use crate::shards::lock;

/// In so many places an object is looked for, so that one which comes and goes is not looked for without end.
const PLACES: usize = 16;

/// What was found under a name.
pub(crate) enum Found {
    /// The object's bytes, which have been compared with the name.
    Whole(Vec<u8>),
    /// Something else: as much as could be read. The object is not in a pack any more.
    Damaged(Vec<u8>),
    /// Nothing.
    Absent,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Packs {
    places: Mutex<Places>,
    frames: Frames,
    /// Of values and of thunks; made with the first object.
    writers: [Mutex<Option<Writer>>; 2],
}

impl fmt::Debug for Packs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packs").finish_non_exhaustive()
    }
}

impl Packs {
    fn spot(&self, name: &Name) -> Option<Spot> {
        lock(&self.places).find(name)
    }

    /// Whether an object is in a pack that is known and still there; marks the pack as used in this lease.
    pub fn present(&self, layout: &Layout, name: &Name, lease: u64) -> bool {
        for _ in 0..PLACES {
            let Some(spot) = self.spot(name) else { break };
            if spot.marked == Some(lease) && fs::symlink_metadata(layout.pack(&spot.pack.data())).is_ok() {
                return true;
            }
            if mark(layout, spot.pack) {
                lock(&self.places).mark(spot.pack, lease);
                return true;
            }
            self.forget(layout, spot.pack);
        }
        false
    }

    /// Looks for what other processes have written.
    ///
    /// # Errors
    /// When a directory or an index cannot be read.
    pub fn refresh(&self, layout: &Layout) -> Result<()> {
        lock(&self.places).refresh(layout).map_err(at("read", &layout.dir("packs")))
    }

    /// Forgets a pack that is not there any more.
    pub fn forget(&self, layout: &Layout, id: PackId) {
        let mut places = lock(&self.places);
        places.forget(id);
        // What was in it may be in another; where that cannot be seen it counts as gone.
        let _ = places.refresh(layout);
    }

    /// Forgets everything that is known, and writes what comes into a pack that is looked for anew.
    pub fn forget_all(&self) {
        self.close();
        *lock(&self.places) = Places::default();
        self.frames.clear();
    }

    /// Lets others write the packs that this process has written.
    pub fn close(&self) {
        for writer in &self.writers {
            let mut writer = lock(writer);
            self.end(&mut writer);
        }
    }

    fn end(&self, writer: &mut Option<Writer>) {
        if let Some(writer) = writer.take() {
            self.frames.stop(writer.id.kind);
            lock(&self.places).own(writer.id, false);
        }
    }

    /// Adds an object, unless another thread has just done so.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&self, layout: &Layout, name: &Name, object: &[u8], lease: u64) -> Result<()> {
        let mut held = lock(&self.writers[name.kind() as usize]);
        if let Some(writer) = &*held
            && !writer.is_there()
        {
            // The store was emptied.
            let gone = writer.id;
            self.end(&mut held);
            self.forget(layout, gone);
        }
        if self.present(layout, name, lease) {
            return Ok(());
        }
        if held.as_ref().is_some_and(|writer| !writer.fits(object.len())) {
            self.end(&mut held);
        }
        let writer = match &mut *held {
            Some(writer) => writer,
            None => {
                let mut places = lock(&self.places);
                held.insert(Writer::begin(layout, name.kind(), object.len(), &mut places)?)
            }
        };
        let record = writer.add(name.digest(), object)?;
        let (id, records, full) = (writer.id, writer.records(), writer.is_full());
        self.frames.grow((id, record.frame), record.at, object);
        lock(&self.places).add(id, &record, records, lease);
        if full {
            self.end(&mut held);
        }
        Ok(())
    }

    /// Reads an object from a pack.
    ///
    /// # Errors
    /// When a file cannot be read, for another reason than that it is damaged or gone.
    pub fn read(&self, layout: &Layout, name: &Name) -> Result<Found> {
        let mut damaged = None;
        for _ in 0..PLACES {
            let Some(spot) = self.spot(name) else { break };
            let Some(bytes) = self.bytes(layout, &spot, name)? else {
                self.forget(layout, spot.pack);
                continue;
            };
            if name.matches(&bytes) {
                return Ok(Found::Whole(bytes));
            }
            damaged = Some(bytes);
            self.wipe(layout, &spot, name)?;
        }
        Ok(damaged.map_or(Found::Absent, Found::Damaged))
    }

    /// What is in an object's place, as far as it can be read; `None` when the pack is gone.
    fn bytes(&self, layout: &Layout, spot: &Spot, name: &Name) -> Result<Option<Vec<u8>>> {
        let key = (spot.pack, spot.frame.start);
        let range = spot.at as usize..spot.at as usize + name.length() as usize;
        if let Some(bytes) = self.frames.written(key, range.clone()) {
            return Ok(Some(bytes));
        }
        let frame = self.frames.get(key, range.end, || read_frame(layout, spot));
        match frame {
            Ok(frame) => {
                let end = range.end.min(frame.len());
                Ok(Some(frame[range.start.min(end)..end].to_vec()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if is_damage(&error) => Ok(Some(Vec::new())),
            Err(error) => Err(at("read", &layout.pack(&spot.pack.data()))(error)),
        }
    }

    /// Wipes out the record that led to a damaged object, which may be whole elsewhere, also later in the same pack.
    fn wipe(&self, layout: &Layout, spot: &Spot, name: &Name) -> Result<()> {
        let id = spot.pack;
        let led =
            |record: Record| record.name(id.kind) == *name && (record.frame, record.at) == (spot.frame.start, spot.at);
        collect::wipe(layout, id, |_, record| record.is_some_and(led))?;
        lock(&self.places).lose(name);
        self.refresh(layout)
    }
}

/// Marks a pack as used; `false` when it is gone.
fn mark(layout: &Layout, id: PackId) -> bool {
    let place = layout.pack(&id.data());
    // Cannot be marked (another owner's, say), but is there: that counts.
    let marked = || !matches!(mark_used(&place), Err(error) if error.kind() == ErrorKind::NotFound);
    marked() || {
        // A garbage collection may be about to delete it, or have put it back just now.
        let _ = fs::rename(layout.trash(&id.data()), &place);
        marked()
    }
}

fn read_frame(layout: &Layout, spot: &Spot) -> io::Result<Vec<u8>> {
    let place = layout.pack(&spot.pack.data());
    let open = || object::open(&place, OFlags::empty());
    let file = match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let _ = fs::rename(layout.trash(&spot.pack.data()), &place);
            open()?
        }
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Ok(Vec::new());
    }
    let Frame { start, end, length } = spot.frame;
    let mut bytes = vec![0; end.saturating_sub(start) as usize];
    let read = read_at(&file, &mut bytes, start.into())?;
    bytes.truncate(read);
    Ok(decompress(&mut bytes, length as usize))
}

/// Reads as much as there is; how much that was.
fn read_at(file: &File, bytes: &mut [u8], from: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], from + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
