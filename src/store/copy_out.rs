//! Objects' way out of the store, into the tree.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use gg_ir::{Hasher, Name};
use rustix::fs::{AtFlags, CWD, OFlags, linkat};
use rustix::io::Errno;

use crate::error::{Result, StoreError, at};
use crate::layout::random;
use crate::object::{self, Failure};
use crate::pack;
use crate::stamp::Stamp;
use crate::store::Store;

/// Set where files without a name cannot be made or named (some network and FUSE file systems, no `/proc`).
static NAMED_ONLY: AtomicBool = AtomicBool::new(false);

/// A file being written in the directory where it is to appear. It is made there, and not in the store, so that it
/// gets the group, default ACL and label that the directory gives.
struct Temporary {
    file: File,
    directory: PathBuf,
    /// Its name, removed on drop. Where possible it has none until it is whole, so that a process killed
    /// while it writes leaves nothing; only between naming and renaming, two system calls apart, is there a name.
    path: Option<PathBuf>,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

fn hidden(directory: &Path) -> PathBuf {
    directory.join(format!(".gg-{:016x}", random()))
}

impl Temporary {
    fn new(to: &Path) -> io::Result<Self> {
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new(".")).to_owned();
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        if !NAMED_ONLY.load(Ordering::Relaxed) {
            match options.clone().custom_flags(OFlags::TMPFILE.bits() as i32).open(&directory) {
                Ok(file) => return Ok(Self { file, directory, path: None }),
                Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::OPNOTSUPP | Errno::ISDIR)) => {}
                Err(error) => return Err(error),
            }
        }
        let path = hidden(&directory);
        let file = options.create_new(true).open(&path)?;
        Ok(Self { file, directory, path: Some(path) })
    }

    /// Gives the file its final name, over whatever has it.
    fn install(mut self, to: &Path) -> io::Result<()> {
        if self.path.is_none() {
            let descriptor = OsString::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
            let link = |place: &Path| linkat(CWD, &descriptor, CWD, place, AtFlags::SYMLINK_FOLLOW);
            match link(to) {
                Err(Errno::EXIST) => {
                    let path = hidden(&self.directory);
                    link(&path)?;
                    self.path = Some(path);
                }
                linked => return Ok(linked?),
            }
        }
        if let Some(path) = &self.path {
            fs::rename(path, to)?;
        }
        self.path = None;
        Ok(())
    }
}

/// Whether something is there that is neither a file nor a link nor a directory.
fn is_special(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| !(meta.is_file() || meta.is_symlink() || meta.is_dir()))
}

impl Store {
    /// Puts a copy of an object at `to`, with exactly the permission bits `mode`, and the time of modification `mtime` if
    /// one is given. The file appears at once and whole, in place of whatever file or symbolic link is there; a device stays what
    /// it is. Its bytes are checked against the name on the way.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and [`StoreError::Corrupt`] as [`Store::read`]; [`StoreError::Full`],
    /// [`StoreError::ReadOnly`] and their kin for the destination, which is then as it was.
    pub fn copy_out(&self, name: &Name, to: &Path, mode: u32, mtime: Option<SystemTime>) -> Result<Stamp> {
        if is_special(to) {
            let error = io::Error::other("a device, a pipe or a socket is there, which no file is put in place of");
            return Err(at("write", to)(error));
        }
        let temporary = self.filled(name, to)?;
        temporary.file.set_permissions(Permissions::from_mode(mode & 0o7777)).map_err(at("set the mode of", to))?;
        if let Some(mtime) = mtime {
            temporary.file.set_modified(mtime).map_err(at("set the time of", to))?;
        }
        // Naming changes the time of change, so the stamp is taken after it, of the same file.
        let file = temporary.file.try_clone().map_err(at("write", to))?;
        let named = temporary.path.is_some();
        match temporary.install(to) {
            Err(error) if !named && unnameable(&error) => {
                NAMED_ONLY.store(true, Ordering::Relaxed);
                return self.copy_out(name, to, mode, mtime);
            }
            installed => installed.map_err(at("write", to))?,
        }
        Stamp::of_file(&file).map_err(at("read", to))
    }

    /// A temporary file beside `to` with the object's bytes.
    fn filled(&self, name: &Name, to: &Path) -> Result<Temporary> {
        while let Some(origin) = self.origin_of_value(name) {
            if let Ok(file) = File::open(&origin)
                && let Some(temporary) = self.fill(name, file, &origin, to)?
            {
                return Ok(temporary);
            }
            self.origins.drop_file(name, &origin);
        }
        if let Some((file, _, path)) = self.open_file(name)? {
            return self.fill(name, file, &path, to)?.ok_or_else(|| self.corrupt(name));
        }
        if pack::takes(name) {
            let bytes = self.read(name)?;
            let mut temporary = Temporary::new(to).map_err(at("write", to))?;
            temporary.file.write_all(&bytes).map_err(at("write", to))?;
            return Ok(temporary);
        }
        if !self.bring(name) {
            return Err(StoreError::Missing { name: *name });
        }
        let Some((file, _, path)) = self.open_object(name)? else { return Err(StoreError::Missing { name: *name }) };
        self.fill(name, file, &path, to)?.ok_or_else(|| self.corrupt(name))
    }

    /// Writes an object's bytes, which have been checked against its name, to an open file. After an error the file may
    /// have a part of them.
    ///
    /// # Errors
    /// A [`StoreError`] as [`Store::read`]; or what writing the file says.
    pub fn write_to(&self, name: &Name, file: &mut File) -> io::Result<()> {
        if pack::takes(name) {
            return file.write_all(&self.read(name).map_err(io::Error::other)?);
        }
        let source = self.file(name).map_err(io::Error::other)?;
        io::copy(&mut File::open(source)?, file).map(drop)
    }

    /// `None` when the source did not hold what its name says.
    fn fill(&self, name: &Name, mut source: File, path: &Path, to: &Path) -> Result<Option<Temporary>> {
        let mut temporary = Temporary::new(to).map_err(at("write", to))?;
        let found = if self.reflinks.clone(&source, &temporary.file) {
            object::hash(&mut temporary.file, name.length(), name.kind()).map_err(Failure::Read)
        } else {
            let mut hasher = Hasher::new();
            object::pieces(&mut source, name.length(), |piece| {
                hasher.update(piece);
                temporary.file.write_all(piece).map_err(Failure::Write)
            })
            .map(|()| hasher.finish(name.kind()))
        };
        match found {
            Ok(found) => Ok((found == *name).then_some(temporary)),
            // A sector that cannot be read is damage too.
            Err(Failure::Read(error)) if Errno::from_io_error(&error) == Some(Errno::IO) => Ok(None),
            Err(failure) => Err(failure.on(path, to)),
        }
    }
}

/// Whether a file without a name could be made but not named.
fn unnameable(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::OPNOTSUPP | Errno::XDEV | Errno::PERM))
}
