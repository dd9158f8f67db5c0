//! Packs as files: for garbage collection, verifying, and mending.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gg_ir::Name;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::frame::decompress;
use super::record::{RECORD, Record, WIPED, records};
use super::{FRAME, LARGEST, PackId};
use crate::error::{Result, at};
use crate::gc::list;
use crate::layout::Layout;
use crate::object;

/// A pack that is there.
pub(crate) struct Held {
    pub id: PackId,
    /// Its data.
    pub path: PathBuf,
    pub index: PathBuf,
}

/// Every pack.
pub(crate) fn all(layout: &Layout) -> Result<Vec<Held>> {
    Ok(list(&layout.dir("packs"))?.iter().filter_map(|entry| Held::at(&entry.path())).collect())
}

impl Held {
    /// The pack whose data is in a file.
    pub fn at(path: &Path) -> Option<Self> {
        let id = PackId::of_data(path.file_name()?.to_str()?)?;
        Some(Self { id, path: path.to_owned(), index: path.with_file_name(id.index()) })
    }

    /// How many records its index has.
    pub fn objects(&self) -> u64 {
        fs::metadata(&self.index).map_or(0, |meta| meta.len() / RECORD as u64)
    }

    /// Keeps everybody from writing the pack; `None` when somebody writes it.
    pub fn lock(&self) -> Option<File> {
        // NFS locks for writing only what can be written.
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(&self.path)
            .ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(file)
    }
}

/// Removes indexes whose packs are gone.
pub(crate) fn sweep(layout: &Layout) -> Result<()> {
    for entry in list(&layout.dir("packs"))? {
        let id = entry.file_name().to_str().and_then(PackId::of_index);
        let Some(data) = id.map(PackId::data) else { continue };
        // Twice: it may be taken back between two looks.
        let places = [layout.pack(&data), layout.trash(&data), layout.pack(&data)];
        if !places.iter().any(|place| fs::symlink_metadata(place).is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Wipes out the records that are chosen by their numbers and what they say.
pub(super) fn wipe(layout: &Layout, id: PackId, choose: impl Fn(usize, Option<Record>) -> bool) -> Result<()> {
    let path = layout.pack(&id.index());
    let wiped = || -> io::Result<()> {
        let mut file = File::options().read(true).write(true).open(&path)?;
        let mut index = Vec::new();
        file.read_to_end(&mut index)?;
        for (number, _) in records(&index).filter(|(number, record)| choose(*number, *record)) {
            file.write_all_at(&WIPED, (number * RECORD) as u64)?;
        }
        Ok(())
    };
    match wiped() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        wiped => wiped.map_err(at("write", &path)),
    }
}

/// What looking through a pack found.
#[derive(Default)]
pub(crate) struct Checked {
    /// Whole objects, and their bytes.
    pub objects: u64,
    pub bytes: u64,
    /// What was found in the places of damaged objects, whose records have been wiped out.
    pub damaged: Vec<(Name, Vec<u8>)>,
    /// Records that say nothing that can be; wiped out too.
    pub unsound: u64,
}

/// Opens a file to be read without that counting as a use, and reads it; nothing when it is gone or cannot be read for
/// being damaged.
fn contents(path: &Path) -> Result<Vec<u8>> {
    let read = || {
        // Only the owner may ask for that.
        let opened = object::open(path, OFlags::NOATIME).or_else(|_| object::open(path, OFlags::empty()));
        let mut bytes = Vec::new();
        let mut file = opened?;
        if file.metadata()?.is_file() {
            file.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    match read() {
        Err(error) if object::is_damage(&error) || error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(at("read", path)),
    }
}

/// Reads every object of a pack and compares it with its name.
///
/// # Errors
/// When a file cannot be read or mended.
pub(crate) fn check(layout: &Layout, held: &Held) -> Result<Checked> {
    let lock = held.lock();
    // In this order: what the index tells of is there.
    let (index, data) = (contents(&held.index)?, contents(&held.path)?);
    let mut checked = Checked::default();
    let (mut bad, mut frame) = (Vec::new(), (None, Vec::new()));
    let last = index.len() / RECORD - usize::from(index.len() >= RECORD);
    for (number, record) in records(&index) {
        let Some(record) = record else {
            // The last one may be on its way.
            if lock.is_some() || number != last {
                checked.unsound += 1;
                bad.push(number);
            }
            continue;
        };
        if frame.0 != Some(record.frame) {
            frame = (Some(record.frame), frame_at(&data, record.frame, &index));
        }
        let found = frame.1.get(record.at as usize..record.until()).unwrap_or_default();
        let name = record.name(held.id.kind);
        if name.matches(found) {
            checked.objects += 1;
            checked.bytes += name.length();
        } else {
            checked.damaged.push((name, found.to_vec()));
            bad.push(number);
        }
    }
    if !bad.is_empty() {
        wipe(layout, held.id, |number, _| bad.contains(&number))?;
    }
    Ok(checked)
}

/// The bytes of a frame, as far as they can be had.
fn frame_at(data: &[u8], start: u32, index: &[u8]) -> Vec<u8> {
    let same = records(index).filter_map(|(_, record)| record).filter(|record| record.frame == start);
    let (end, length) = same.fold((0, 0), |(end, length), record| (end.max(record.end), length.max(record.until())));
    let end = data.len().min(end as usize);
    let mut bytes = data.get(start as usize..end).unwrap_or_default().to_vec();
    decompress(&mut bytes, length.min(FRAME + LARGEST as usize))
}
