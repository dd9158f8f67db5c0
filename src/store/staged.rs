//! Files being written, which become objects.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use gg_ir::Name;
use rustix::io::Errno;

use crate::error::{Result, StoreError, at};
use crate::layout::make_dir;
use crate::object::Mark;
use crate::store::Store;

/// A temporary file on the store's file system, to be written and then adopted. Dropped before that, it is removed.
#[derive(Debug)]
pub struct Staged {
    /// The file, open for reading and writing. Its mode is 0444 less the umask, as an object's is.
    pub file: File,
    /// Where it is.
    pub path: PathBuf,
    adopted: bool,
    /// The lease in which it was begun.
    generation: u64,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.adopted {
            // Nobody needs to know: what stays behind is swept up by the garbage collection.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Store {
    /// Makes an empty temporary file on the store's file system.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn stage(&self) -> Result<Staged> {
        let generation = self.generation.load(Ordering::SeqCst);
        let path = self.layout.temporary();
        let create = || OpenOptions::new().read(true).write(true).create_new(true).mode(0o444).open(&path);
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dir(&self.layout.dir("tmp")).and_then(|()| create())
            }
            created => created,
        };
        let file = file.map_err(at("create", &path))?;
        Ok(Staged { file, path, adopted: false, generation })
    }

    /// Makes a staged file the object `name`. The caller has computed the name from what it wrote; it is checked when
    /// the object is used.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] when the file's length is not the name's; when the file cannot be moved.
    pub fn adopt(&self, staged: Staged, name: &Name) -> Result<()> {
        if self.present(name) { Ok(()) } else { self.install(staged, name) }
    }

    /// As [`Store::adopt`], over whatever is at the object's place.
    pub(crate) fn install(&self, mut staged: Staged, name: &Name) -> Result<()> {
        let found = staged.file.metadata().map_err(at("read", &staged.path))?.len();
        if found != name.length() {
            return Err(StoreError::Mismatch { name: *name, path: staged.path.clone(), found });
        }
        let place = self.layout.object(name);
        let renamed = match self.layout.install(&staged.path, &place) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::ISDIR) => {
                self.layout.quarantine(&place)?;
                self.layout.install(&staged.path, &place)
            }
            renamed => renamed,
        };
        renamed.map_err(at("write", &place))?;
        staged.adopted = true;
        // Written in that lease, so used in it.
        self.touched.insert((Mark::File, *name), staged.generation);
        Ok(())
    }
}
