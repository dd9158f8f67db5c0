//! The latest runs of each directory: `reports/DIRECTORY/NUMBER`, where DIRECTORY is what the directory's path hashes to, and
//! numbers count up.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use super::file::{self, FileError};
use super::record::{Record, StepRecord};
use super::underway::{self, Begun, Underway};

/// As many runs are kept of each directory.
const KEPT: usize = 20;

/// How often it is tried to find a number that no build beside this one takes.
const TRIES: u64 = 1000;

/// Which run is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunName {
    /// The last one.
    Last,
    /// The one before the last one.
    Previous,
    /// The one of this number.
    Number(u64),
    /// The record in this file.
    File(PathBuf),
}

impl FromStr for RunName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "last" => Self::Last,
            "previous" => Self::Previous,
            text => text.parse().map_or_else(|_| Self::File(text.into()), Self::Number),
        })
    }
}

/// The runs of one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    folder: PathBuf,
}

impl Runs {
    /// Those in `root`, of the gg whose data is in `directory`.
    pub fn of(directory: &Path, root: &Path) -> Self {
        let name = gg_ir::Name::of_value(root.as_os_str().as_bytes()).to_string();
        Self { folder: directory.join("reports").join(&name[1..23]) }
    }

    /// Those in `root`, or in the nearest directory above it that has any; else those of the directory that was built in last.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn nearest(directory: &Path, root: &Path) -> io::Result<Option<Self>> {
        for place in root.ancestors() {
            let runs = Self::of(directory, place);
            if !runs.numbers()?.is_empty() {
                return Ok(Some(runs));
            }
        }
        let mut newest: Option<(SystemTime, Self)> = None;
        for runs in Self::all(directory)? {
            let Some(&number) = runs.numbers()?.last() else { continue };
            // One that goes away meanwhile is not the newest.
            let Ok(at) = fs::metadata(runs.path(number)).and_then(|info| info.modified()) else { continue };
            if newest.as_ref().is_none_or(|(newest, _)| at > *newest) {
                newest = Some((at, runs));
            }
        }
        Ok(newest.map(|(_, runs)| runs))
    }

    /// Those of every directory.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn all(directory: &Path) -> io::Result<Vec<Self>> {
        let folders = match fs::read_dir(directory.join("reports")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            folders => folders?,
        };
        let folders = folders.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
        Ok(folders.map(|folder| Self { folder }).collect())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }

    /// Their numbers, the oldest first.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut numbers: Vec<u64> =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Notes that one has begun, of which `record` says what is known at the beginning; keep this until its record is saved.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn begin(&self, record: &Record) -> io::Result<Underway> {
        Underway::begin(&self.folder, record)
    }

    /// Those in `root`, or in the nearest directory above it, in which a run has begun, whether there is a record of it or not: the
    /// run that has none, if none that has one began later.
    pub fn unrecorded(directory: &Path, root: &Path) -> Option<(Begun, Option<u64>)> {
        for place in root.ancestors() {
            let runs = Self::of(directory, place);
            let last = runs.numbers().ok().and_then(|numbers| numbers.last().copied());
            let begun = underway::latest(&runs.folder);
            if begun.is_none() && last.is_none() {
                continue;
            }
            let recorded = last.and_then(|last| runs.head(last).ok()).map_or(0, |head| head.started);
            return begun.filter(|begun| begun.record.started >= recorded).map(|begun| (begun, last));
        }
        None
    }

    /// Keeps one more, and drops the oldest if there are too many. Its number.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn save(&self, head: &Record, steps: impl Iterator<Item = StepRecord>) -> io::Result<u64> {
        fs::create_dir_all(&self.folder)?;
        let temporary = self.folder.join(format!(".{}", std::process::id()));
        let written = file::write(head, steps, BufWriter::new(File::create(&temporary)?))
            .and_then(|()| self.numbered(&temporary));
        let removed = fs::remove_file(&temporary);
        let number = written?;
        removed?;
        self.prune()?;
        Ok(number)
    }

    /// Gives a file the next number that is free: builds in one directory may end at the same time.
    fn numbered(&self, temporary: &Path) -> io::Result<u64> {
        let next = self.numbers()?.last().map_or(1, |last| last + 1);
        for number in next..next + TRIES {
            match fs::hard_link(temporary, self.path(number)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => return linked.map(|()| number),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn prune(&self) -> io::Result<()> {
        let numbers = self.numbers()?;
        let old = &numbers[..numbers.len().saturating_sub(KEPT)];
        old.iter().try_for_each(|&number| gone(fs::remove_file(self.path(number))))
    }

    /// One of them.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn load(&self, number: u64) -> Result<Record, FileError> {
        let record = file::read(BufReader::new(File::open(self.path(number))?))?;
        Ok(Record { run: number, ..record })
    }

    /// One of them, without its steps.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn head(&self, number: u64) -> Result<Record, FileError> {
        let record = file::read_head(BufReader::new(File::open(self.path(number))?))?;
        Ok(Record { run: number, ..record })
    }

    /// Drops all of them.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn remove(&self) -> io::Result<()> {
        gone(fs::remove_dir_all(&self.folder))
    }

    /// Drops the runs of directories that are gone, and then the oldest of all until the others take `room` bytes at most; the
    /// last run of a directory that is still there stays. Only says so if it is a `dry_run`. How many runs.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn collect(directory: &Path, room: u64, dry_run: bool) -> io::Result<usize> {
        let mut dropped: Vec<PathBuf> = Vec::new();
        let mut kept: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        let mut all = 0;
        for runs in Self::all(directory)? {
            let numbers = runs.numbers()?;
            let Some((&last, others)) = numbers.split_last() else { continue };
            let stands = runs.head(last).is_ok_and(|head| head.root.is_dir());
            if !stands {
                dropped.extend(numbers.iter().map(|&number| runs.path(number)));
                continue;
            }
            all += fs::metadata(runs.path(last)).map_or(0, |info| info.len());
            for &number in others {
                let Ok(info) = fs::metadata(runs.path(number)) else { continue };
                all += info.len();
                kept.push((info.modified()?, info.len(), runs.path(number)));
            }
        }
        kept.sort();
        for (_, length, path) in kept {
            if all <= room {
                break;
            }
            all -= length;
            dropped.push(path);
        }
        if !dry_run {
            dropped.iter().try_for_each(|path| gone(fs::remove_file(path)))?;
        }
        Ok(dropped.len())
    }
}

/// What is gone already need not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::VERSION;
    use super::*;

    fn save(directory: &Path, root: &Path) -> u64 {
        let record = Record { version: VERSION, root: root.to_owned(), ..Record::default() };
        Runs::of(directory, root).save(&record, std::iter::empty()).unwrap()
    }

    #[test]
    fn the_latest_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("tree");
        let numbers: Vec<u64> = (0..KEPT + 3).map(|_| save(dir.path(), &root)).collect();
        assert_eq!(numbers, (1..=KEPT as u64 + 3).collect::<Vec<_>>());
        let runs = Runs::of(dir.path(), &root);
        assert_eq!(runs.numbers().unwrap(), (4..=KEPT as u64 + 3).collect::<Vec<_>>());
        assert_eq!(runs.load(5).unwrap().run, 5);
        assert_eq!(fs::read_dir(&runs.folder).unwrap().count(), KEPT, "nothing else is left");
    }

    #[test]
    fn the_nearest_above_then_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Runs::nearest(dir.path(), Path::new("/a/b")).unwrap().is_none());
        save(dir.path(), Path::new("/a"));
        save(dir.path(), Path::new("/c"));
        let root = |at: &str| {
            let runs = Runs::nearest(dir.path(), Path::new(at)).unwrap().unwrap();
            runs.head(1).unwrap().root
        };
        assert_eq!([root("/a/b/c"), root("/c")], [Path::new("/a"), Path::new("/c")]);
        let later = SystemTime::now() + std::time::Duration::from_secs(9);
        let newest = Runs::of(dir.path(), Path::new("/a")).path(1);
        File::options().append(true).open(newest).unwrap().set_modified(later).unwrap();
        assert_eq!(root("/elsewhere"), Path::new("/a"));
    }

    #[test]
    fn what_is_collected() {
        let dir = tempfile::tempdir().unwrap();
        let (there, gone) = (dir.path().join("there"), dir.path().join("gone"));
        fs::create_dir(&there).unwrap();
        for _ in 0..3 {
            save(dir.path(), &there);
        }
        save(dir.path(), &gone);
        assert_eq!(Runs::collect(dir.path(), 1 << 20, true).unwrap(), 1);
        assert_eq!(Runs::collect(dir.path(), 1 << 20, false).unwrap(), 1);
        assert_eq!(Runs::collect(dir.path(), 1, false).unwrap(), 2);
        assert_eq!(Runs::of(dir.path(), &there).numbers().unwrap(), [3]);
    }

    #[test]
    fn names_of_runs() {
        let name = |text: &str| text.parse::<RunName>().unwrap();
        assert_eq!(
            [name("last"), name("previous"), name("12")],
            [RunName::Last, RunName::Previous, RunName::Number(12)]
        );
        assert_eq!(name("./12"), RunName::File("./12".into()));
    }
}
