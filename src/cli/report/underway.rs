//! Runs that have begun and have no record yet. A record is written when a build ends; of one that was killed there is only the file
//! that was made here at its beginning, which nobody holds locked any more.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::record::Record;
use crate::lock::{is_locked, try_lock};

/// What the names of such files begin with, before the run's process and a time in nanoseconds.
const PREFIX: &str = "begun-";

/// The same while it is not locked yet.
const MAKING: &str = ".begun-";

/// So old is a file that its maker has not locked in time, because it died before it could.
const STALE: Duration = Duration::from_secs(60);

/// A run that goes on. When this is dropped, it has ended in order.
#[derive(Debug)]
pub struct Underway {
    path: PathBuf,
    _locked: File,
}

/// What such a file says of its run.
#[derive(Debug)]
pub struct Begun {
    /// Its record, as far as it is known at the beginning.
    pub record: Record,
    /// Whether it goes on; else it was killed.
    pub goes_on: bool,
}

impl Underway {
    /// Notes that a run has begun, and forgets those that were killed.
    pub(super) fn begin(folder: &Path, record: &Record) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        sweep(folder);
        let nanoseconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!("{}-{nanoseconds}", std::process::id());
        let (making, path) = (folder.join(format!("{MAKING}{name}")), folder.join(format!("{PREFIX}{name}")));
        let mut file = File::create_new(&making)?;
        let made = serde_json::to_vec(record).map_err(io::Error::from).and_then(|text| file.write_all(&text));
        // Locked before anybody can take it for a dead run's.
        let made = made.and_then(|()| if try_lock(&file) { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) });
        if let Err(error) = made.and_then(|()| fs::rename(&making, &path)) {
            let _ = fs::remove_file(&making);
            return Err(error);
        }
        Ok(Self { path, _locked: file })
    }

    /// The run has ended in order.
    pub fn end(&self) {
        // What stays would say that it was killed, until the next one begins.
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        // A panic is no end in order.
        if !std::thread::panicking() {
            self.end();
        }
    }
}

/// The run that was the last to begin of those that have no record yet.
pub(super) fn latest(folder: &Path) -> Option<Begun> {
    let begun = begun(folder).into_iter().filter_map(|path| {
        let file = File::open(&path).ok()?;
        let goes_on = is_locked(&file);
        let record = serde_json::from_reader(BufReader::new(&file)).ok()?;
        // It may have ended just now.
        path.exists().then_some(Begun { record, goes_on })
    });
    begun.max_by_key(|begun| begun.record.started)
}

/// Forgets the runs that were killed.
fn sweep(folder: &Path) {
    for path in begun(folder) {
        if File::open(&path).is_ok_and(|file| try_lock(&file)) {
            let _ = fs::remove_file(&path);
        }
    }
    let is_stale = |path: &Path| {
        let modified = fs::metadata(path).and_then(|info| info.modified());
        modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > STALE))
    };
    named(folder, MAKING).into_iter().filter(|path| is_stale(path)).for_each(|path| drop(fs::remove_file(path)));
}

fn begun(folder: &Path) -> Vec<PathBuf> {
    named(folder, PREFIX)
}

fn named(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_goes_on_one_that_was_killed_and_one_that_ended() {
        let folder = tempfile::tempdir().unwrap();
        let begin = |started| Underway::begin(folder.path(), &Record { started, ..Record::default() }).unwrap();
        assert!(latest(folder.path()).is_none());
        let run = begin(7);
        let told = latest(folder.path()).unwrap();
        assert!(told.goes_on && told.record.started == 7);
        // As by a kill: the lock is gone, and the file is not.
        let path = run.path.clone();
        let kept = folder.path().join("kept");
        fs::rename(&path, &kept).unwrap();
        drop(run);
        fs::rename(&kept, &path).unwrap();
        assert!(!latest(folder.path()).unwrap().goes_on);
        drop(begin(8));
        assert!(latest(folder.path()).is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
