//! The stamp cache: which content a file has, without reading it.
//!
//! The cache is keyed by device and inode, so it does not care by which path a file is reached, and serves hard links and
//! renamed files. It is read from the store's `stamps` file when it is first asked, and written back by `save_stamps`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use gg_ir::Name;

use crate::error::{Result, at};
use crate::layout::Layout;
use crate::lines::{Fields, Line};
use crate::shards::Shards;
use crate::stamp::{Stamp, now_ns};

/// No more entries are written than this, the ones not used for longest being dropped: some 40 MB.
const KEPT: usize = 200_000;
const DAY_NS: i64 = 86_400_000_000_000;

type Entries = Shards<(u64, u64), Entry>;

#[derive(Clone)]
struct Entry {
    stamp: Stamp,
    name: Name,
    /// The last day on which it was asked for, counted from 1970.
    day: u64,
}

pub(crate) struct Stamps {
    file: PathBuf,
    entries: OnceLock<Entries>,
    /// Something is known that the file does not say.
    news: AtomicBool,
}

fn today() -> u64 {
    u64::try_from(now_ns() / DAY_NS).unwrap_or(0)
}

impl Stamps {
    pub fn new(layout: &Layout) -> Self {
        Self { file: layout.root().join("stamps"), entries: OnceLock::new(), news: AtomicBool::new(false) }
    }

    fn entries(&self) -> &Entries {
        self.entries.get_or_init(|| {
            let entries = Shards::new();
            load(&self.file, &entries);
            entries
        })
    }

    /// The name of the content of the file in this state, if it was hashed before and can be believed.
    pub fn get(&self, stamp: &Stamp) -> Option<Name> {
        let entries = self.entries();
        let key = (stamp.device, stamp.inode);
        let mut entry = entries.get(&key)?;
        if entry.stamp != *stamp {
            return None;
        }
        let today = today();
        if entry.day != today {
            entry.day = today;
            entries.insert(key, entry.clone());
            self.news.store(true, Ordering::Relaxed);
        }
        Some(entry.name)
    }

    /// Remembers the outcome of a hash begun at `begun_ns`, unless the file had changed only just before.
    pub fn put(&self, stamp: &Stamp, begun_ns: i64, name: Name) {
        if stamp.settled(begun_ns) {
            let (entries, key) = (self.entries(), (stamp.device, stamp.inode));
            let day = today();
            if entries.get(&key).is_none_or(|known| (known.stamp, known.name, known.day) != (*stamp, name, day)) {
                entries.insert(key, Entry { stamp: *stamp, name, day });
                self.news.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Writes the cache to disk, together with what other processes have written there meanwhile.
    pub fn save(&self, layout: &Layout) -> Result<()> {
        let Some(entries) = self.entries.get().filter(|_| self.news.swap(false, Ordering::Relaxed)) else {
            return Ok(());
        };
        load(&self.file, entries);
        let mut all = Vec::new();
        entries.for_each(|_, entry| all.push(entry.clone()));
        if all.len() > KEPT {
            all.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.day));
            all.truncate(KEPT);
        }
        let mut text = Vec::with_capacity(all.len() * 160);
        for entry in all {
            Line::new().name(&entry.name).stamp(&entry.stamp).number(entry.day).append_to(&mut text);
        }
        let temporary = layout.temporary();
        std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, &self.file)).map_err(|error| {
            let _ = std::fs::remove_file(&temporary);
            self.news.store(true, Ordering::Relaxed);
            at("save file stamps in", &self.file)(error)
        })
    }
}

/// Adds what the file says about files that are not in the cache. Damaged lines are worth nothing and do no harm.
fn load(file: &Path, entries: &Entries) {
    let text = std::fs::read(file).unwrap_or_default();
    for mut fields in Fields::lines(&text) {
        let mut read = || Some((fields.name()?, fields.stamp()?, fields.number()?));
        if let Some((name, stamp, day)) = read() {
            entries.insert_new((stamp.device, stamp.inode), Entry { stamp, name, day });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        (dir, layout)
    }

    fn stamp(inode: u64) -> Stamp {
        Stamp { device: 1, inode, size: 3, mode: 0o100644, mtime_ns: -1, ctime_ns: 1_000_000_000 }
    }

    const LATER: i64 = 2_000_000_000;

    #[test]
    fn a_fresh_change_is_not_believed() {
        let (_dir, layout) = fixture();
        let stamps = Stamps::new(&layout);
        stamps.put(&stamp(1), 1_050_000_000, Name::of_value(b"x"));
        assert_eq!(stamps.get(&stamp(1)), None);
        stamps.put(&stamp(1), 1_100_000_000, Name::of_value(b"x"));
        assert_eq!(stamps.get(&stamp(1)), Some(Name::of_value(b"x")));
        assert_eq!(stamps.get(&Stamp { ctime_ns: 7, ..stamp(1) }), None);
        assert_eq!(stamps.get(&Stamp { size: 4, ..stamp(1) }), None);
    }

    #[test]
    fn two_processes_merge() {
        let (_dir, layout) = fixture();
        let (one, two) = (Stamps::new(&layout), Stamps::new(&layout));
        one.put(&stamp(1), LATER, Name::of_value(b"1"));
        two.put(&stamp(2), LATER, Name::of_value(b"2"));
        one.save(&layout).unwrap();
        two.save(&layout).unwrap();
        let three = Stamps::new(&layout);
        assert_eq!(three.get(&stamp(1)), Some(Name::of_value(b"1")));
        assert_eq!(three.get(&stamp(2)), Some(Name::of_value(b"2")));
    }

    #[test]
    fn nothing_is_written_when_there_is_no_news() {
        let (_dir, layout) = fixture();
        let one = Stamps::new(&layout);
        one.put(&stamp(1), LATER, Name::of_value(b"1"));
        one.save(&layout).unwrap();
        let file = layout.root().join("stamps");
        std::fs::write(&file, b"").unwrap();
        one.put(&stamp(1), LATER, Name::of_value(b"1"));
        one.save(&layout).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"");
        one.put(&stamp(2), LATER, Name::of_value(b"2"));
        one.save(&layout).unwrap();
        let two = Stamps::new(&layout);
        assert!(two.get(&stamp(1)).is_some() && two.get(&stamp(2)).is_some());
    }

    #[test]
    fn a_corrupt_file_is_ignored() {
        let (_dir, layout) = fixture();
        let one = Stamps::new(&layout);
        for inode in 0..3 {
            one.put(&stamp(inode), LATER, Name::of_value(&[inode as u8]));
        }
        one.save(&layout).unwrap();
        let file = layout.root().join("stamps");
        let mut text = std::fs::read(&file).unwrap();
        text[40] ^= 1;
        std::fs::write(&file, &text).unwrap();
        let two = Stamps::new(&layout);
        assert_eq!((0..3).filter(|&inode| two.get(&stamp(inode)).is_some()).count(), 2);
        std::fs::write(&file, b"\0\xff\nno such thing").unwrap();
        assert_eq!(Stamps::new(&layout).get(&stamp(1)), None);
    }
}
