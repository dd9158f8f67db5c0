//! The placeholders that stand in the tree, and how real files take their place.

mod swap;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gg_ir::{Name, Placeholder};
use gg_watch::FileId;

use self::swap::swap;
use super::journal::Journal;
use super::lost::Lost;
use super::standing::{Given, Standing, Table, file_id};

/// How a real file is written at the place that it is to take.
pub trait Fill {
    /// Writes the content into an empty file, and says which permission bits belong to it.
    ///
    /// # Errors
    /// Whatever the store or the file system says.
    fn fill(&self, file: &mut File) -> io::Result<u32>;
}

impl<F: Fn(&mut File) -> io::Result<u32>> Fill for F {
    fn fill(&self, file: &mut File) -> io::Result<u32> {
        self(file)
    }
}

/// All placeholders of a session.
#[derive(Debug)]
pub struct Placeholders {
    journal: Journal,
    standing: Mutex<Table>,
    temporaries: AtomicU64,
    /// A real file was given further names.
    links: AtomicBool,
    /// Temporary files that were moved away with their directories.
    strays: Mutex<Vec<OsString>>,
    /// Where files are missing since their steps failed.
    lost: Lost,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The maps are changed by single calls, so they are whole even if a thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Placeholders {
    /// None yet.
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            standing: Mutex::default(),
            temporaries: AtomicU64::new(0),
            links: AtomicBool::new(false),
            strays: Mutex::default(),
            lost: Lost::default(),
        }
    }

    /// Where files are missing since their steps failed.
    pub fn lost(&self) -> &Lost {
        &self.lost
    }

    /// The session's journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Puts a placeholder at `path`, in place of any file there.
    ///
    /// # Errors
    /// Whatever the file system says; then nothing has changed.
    pub fn place(&self, path: &Path, placeholder: Placeholder, mode: u32) -> io::Result<()> {
        self.place_copy(path, placeholder, mode, false)
    }

    /// The same for a copy; `said` if the permission bits are not those of what it stands for.
    ///
    /// # Errors
    /// Whatever the file system says; then nothing has changed.
    pub fn place_copy(&self, path: &Path, placeholder: Placeholder, mode: u32, said: bool) -> io::Result<()> {
        self.journal.placeholder(path)?;
        self.lost.promised_again(path);
        let content = placeholder.encode();
        self.write_beside(
            path,
            |file| file.write_all(&content).map(|()| mode),
            |temporary, id| {
                // Known before it can be seen: whoever opens it finds it here.
                let given = if said { Given::Said } else { Given::Default(mode) };
                let serial = locked(&self.standing).insert(id, placeholder.clone(), path, given);
                fs::rename(temporary, path).inspect_err(|_| {
                    locked(&self.standing).remove(id, serial);
                })
            },
        )
    }

    /// Takes charge of a placeholder that another session left at `path`; `None` when there is none.
    pub fn adopt(&self, path: &Path) -> Option<Placeholder> {
        let info = fs::symlink_metadata(path).ok()?;
        let placeholder = Self::at(path)?;
        let id = file_id(&info);
        let mut table = locked(&self.standing);
        // What else the inode was known for is gone.
        match table.files.get_mut(&id) {
            Some(standing) if standing.placeholder == placeholder => {
                if !standing.paths.iter().any(|known| known == path) {
                    standing.add(path);
                }
            }
            _ => drop(table.insert(id, placeholder.clone(), path, Given::Earlier)),
        }
        Some(placeholder)
    }

    /// Writes a real file at `path`, in place of any file there.
    ///
    /// # Errors
    /// Whatever the file system says; then nothing has changed.
    pub fn write(&self, path: &Path, fill: &dyn Fill) -> io::Result<()> {
        self.write_beside(path, |file| fill.fill(file), |temporary, _| fs::rename(temporary, path))
    }

    /// Makes a file beside `path`, and hands it over; whatever happens, no temporary file stays.
    fn write_beside(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut File) -> io::Result<u32>,
        hand_over: impl FnOnce(&Path, FileId) -> io::Result<()>,
    ) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            self.journal.folder(folder)?;
        }
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let name = self.journal.temporary_name(number);
        let temporary = path.with_file_name(&name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let done = fill(&mut file)
            .and_then(|mode| file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode)))
            .and_then(|()| file.metadata())
            .and_then(|info| {
                drop(file);
                hand_over(&temporary, file_id(&info))
            });
        if done.is_err() && fs::remove_file(&temporary).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            locked(&self.strays).push(name.into());
        }
        done
    }

    /// Whether a placeholder of this session is this file.
    pub fn knows(&self, id: FileId) -> bool {
        locked(&self.standing).files.contains_key(&id)
    }

    /// A file is about to get the further name `name`; whether it is a placeholder, and that is noted.
    pub fn linked(&self, id: FileId, name: &Path) -> bool {
        match locked(&self.standing).files.get_mut(&id) {
            Some(standing) => standing.add(name),
            None => return false,
        }
        // A journal that cannot be written costs the repair after a crash, nothing now.
        let _ = self.journal.placeholder(name);
        true
    }

    /// `from` is about to be renamed to `to`.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn moved(&self, from: &Path, to: &Path) -> io::Result<()> {
        let Ok(info) = fs::symlink_metadata(from) else { return Ok(()) };
        let mut added = Vec::new();
        {
            let mut table = locked(&self.standing);
            // Only a directory can take more than one along.
            let all = if info.is_dir() { None } else { Some(table.files.get_mut(&file_id(&info))) };
            match all {
                Some(one) => added.extend(one.into_iter().flat_map(|standing| standing.moved(from, to))),
                None => added.extend(table.files.values_mut().flat_map(|standing| standing.moved(from, to))),
            }
        }
        added.iter().try_for_each(|path| self.journal.placeholder(path))
    }

    /// The placeholder that a file's content is, if it is one; `None` for anything else and for what cannot be read.
    pub fn at(path: &Path) -> Option<Placeholder> {
        let info = fs::symlink_metadata(path).ok()?;
        if !info.is_file() || info.len() > Placeholder::MAX_LENGTH as u64 {
            return None;
        }
        Placeholder::parse(&fs::read(path).ok()?)
    }

    /// Gives every file that stands for an output of `thunk` its content. `fill` is asked once for each; `None` means
    /// that the computation did not write this output, and the placeholder goes away.
    ///
    /// # Errors
    /// The path, and whatever the store or the file system says; the others are done all the same.
    pub fn fulfil<F: Fill>(
        &self,
        thunk: &Name,
        fill: impl Fn(&Placeholder) -> Option<F>,
    ) -> Result<(), (PathBuf, io::Error)> {
        let mine = locked(&self.standing).of_thunk(thunk);
        let mut result = Ok(());
        for (id, standing) in mine {
            let done = match fill(&standing.placeholder) {
                Some(fill) => self.replace(id, &standing, &fill),
                None => self.withdraw(id, standing.serial),
            };
            match done {
                Ok(()) => locked(&self.standing).remove(id, standing.serial),
                // It goes on standing, so that nobody reads it for what it is not.
                Err(error) => result = Err((standing.paths.last().cloned().unwrap_or_default(), error)),
            }
        }
        result
    }

    /// Removes every file that stands for an output of `thunk`.
    pub fn abandon(&self, thunk: &Name) {
        let mine = locked(&self.standing).of_thunk(thunk);
        for (id, standing) in mine {
            // A file that is gone already, or cannot be removed, is named by the build's own failure.
            let _ = self.withdraw(id, standing.serial);
            locked(&self.standing).remove(id, standing.serial);
        }
    }

    /// The same for a step of this build that has failed: who reads one of these files from now on waits for nothing.
    pub fn lose(&self, thunk: &Name) {
        for (_, standing) in locked(&self.standing).of_thunk(thunk) {
            // Before it is gone, so that nobody misses it without knowing why.
            for path in &standing.paths {
                if Self::at(path).as_ref() == Some(&standing.placeholder) {
                    self.lost.enter(path);
                }
            }
        }
        self.abandon(thunk);
    }

    /// Whether a real file has been given further names, or soon will be.
    pub fn has_linked(&self) -> bool {
        self.links.load(Ordering::Acquire)
    }

    /// Where placeholders still stand.
    pub fn remaining(&self) -> Vec<PathBuf> {
        let standing: Vec<Standing> = locked(&self.standing).files.values().cloned().collect();
        let stands = |standing: &Standing, path: &PathBuf| Self::at(path).as_ref() == Some(&standing.placeholder);
        let names = |standing: Standing| -> Vec<PathBuf> {
            standing.paths.iter().filter(|path| stands(&standing, path)).cloned().collect()
        };
        standing.into_iter().flat_map(names).collect()
    }

    fn withdraw(&self, id: FileId, serial: u64) -> io::Result<()> {
        let Some(standing) = locked(&self.standing).get(id, serial).cloned() else { return Ok(()) };
        for path in standing.paths {
            if Self::at(&path).as_ref() == Some(&standing.placeholder) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Puts a real file in the place of one placeholder, wherever that is by now, under each of its names. That it is
    /// nowhere, or that another file has taken its place, is no error: the build removed or replaced it.
    fn replace(&self, id: FileId, standing: &Standing, fill: &dyn Fill) -> io::Result<()> {
        let (mut tried, mut real): (Option<u64>, Option<PathBuf>) = (None, None);
        loop {
            // A move is announced before it happens, and leads from an earlier path to a later one: it goes unseen only if
            // it was announced since the list was taken.
            let known = locked(&self.standing).get(id, standing.serial).cloned();
            let Some(Standing { paths, moves, linked, .. }) = known.filter(|known| tried != Some(known.moves)) else {
                return Ok(());
            };
            for path in &paths {
                let linked_to = real.as_ref().is_some_and(|real| self.link_at(path, real, id, standing));
                let done = linked_to
                    || match self.replace_at(path, id, standing, fill) {
                        // A directory above it was moved meanwhile.
                        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => false,
                        other => other?,
                    };
                if done && real.is_none() {
                    real = Some(path.clone());
                }
                if done && !linked {
                    break;
                }
            }
            let moved_too =
                |name: &OsString| paths.iter().any(|path| fs::remove_file(path.with_file_name(name)).is_ok());
            locked(&self.strays).retain(|name| !moved_too(name));
            if real.is_some() && !linked {
                return Ok(());
            }
            tried = Some(moves);
        }
    }

    /// Gives the real file that has taken the placeholder's place at `real` the name `path` too, if the placeholder still
    /// has that; whether that was done.
    fn link_at(&self, path: &Path, real: &Path, id: FileId, standing: &Standing) -> bool {
        if !fs::symlink_metadata(path).is_ok_and(|info| file_id(&info) == id) {
            return false;
        }
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_file_name(self.journal.temporary_name(number));
        let noted = path.parent().is_none_or(|folder| self.journal.folder(folder).is_ok());
        // Told before it is so.
        self.links.store(true, Ordering::Release);
        if !noted || fs::hard_link(real, &temporary).is_err() {
            return false;
        }
        swap(&temporary, path, &standing.placeholder).unwrap_or_else(|_| {
            let _ = fs::remove_file(&temporary);
            false
        })
    }

    /// The same at one path; whether the placeholder was there.
    fn replace_at(&self, path: &Path, id: FileId, standing: &Standing, fill: &dyn Fill) -> io::Result<bool> {
        let Ok(info) = fs::symlink_metadata(path) else { return Ok(false) };
        // The number of an inode is soon used again, and a file can be overwritten: the content decides.
        if file_id(&info) != id || Self::at(path).as_ref() != Some(&standing.placeholder) {
            return Ok(false);
        }
        let mut replaced = false;
        self.write_beside(
            path,
            |file| {
                let made = fill.fill(file)?;
                let modified = info.modified()?;
                file.set_times(fs::FileTimes::new().set_modified(modified))?;
                Ok(standing.given.bits(info.mode() & 0o7777, made))
            },
            |temporary, _| {
                // Swapped rather than renamed: a placeholder that is moved away in this moment leaves no second file.
                replaced = swap(temporary, path, &standing.placeholder)?;
                Ok(())
            },
        )?;
        Ok(replaced)
    }
}

#[cfg(test)]
mod tests;
