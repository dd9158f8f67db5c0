//! Where things lie in the store's directory.
//!
//! ```text
//! version             "gg store 1"
//! objects/xx/NAME     objects; xx is the first byte of the digest in hexadecimal
//! packs/              small objects, many in one file, see `pack`
//! reductions/xx/NAME  what the thunk NAME evaluated to, and a checksum
//! failures/xx/NAME    how the thunk NAME failed, where that was the answer, and a checksum
//! tmp/                files being written, renamed into place when they are whole
//! trash/              objects that a garbage collection is about to delete
//! quarantine/         damaged files, with the time of their discovery
//! origins/log         files and directories of the system that stand in for objects
//! leases/             one locked file for each running build
//! farm/, trees/       directories that the worker makes out of objects and keeps
//! stamps              which content a file has
//! gc.lock             held by the one garbage collection that runs
//! ```

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gg_ir::Name;
use rustix::fs::{Access, AtFlags, CWD};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::error::{Result, StoreError, at};

const VERSION: &str = "gg store 1\n";

/// Every directory of a store.
pub(crate) const DIRECTORIES: [&str; 11] =
    ["objects", "packs", "reductions", "failures", "tmp", "trash", "quarantine", "origins", "leases", "farm", "trees"];

/// The paths of one store.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    /// Sets this process's temporary files apart from those of one with the same number elsewhere or earlier.
    nonce: u64,
    count: AtomicU64,
}

/// A number that nobody can guess.
pub(crate) fn random() -> u64 {
    let mut bytes = [0; 8];
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(_) => u64::from_ne_bytes(bytes),
        // Only where the system call is forbidden. Names are created exclusively, so a collision is an error, not a mix-up.
        Err(_) => crate::stamp::now_ns() as u64 ^ u64::from(std::process::id()) << 40,
    }
}

pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl Layout {
    /// Opens the store in a directory, and makes what is missing of it.
    pub fn open(dir: &Path) -> Result<Self> {
        let action = "open the store";
        make_dir(dir).map_err(at(action, dir))?;
        // Absolute, since the store outlives changes of the working directory.
        let root = dir.canonicalize().map_err(at(action, dir))?;
        rustix::fs::accessat(CWD, &root, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
            .map_err(at(action, &root))?;
        let layout = Self { root, nonce: random(), count: AtomicU64::new(0) };
        if !layout.check_version()? {
            layout.create()?;
        }
        for name in DIRECTORIES {
            let path = layout.root.join(name);
            if !path.is_dir() {
                make_dir(&path).map_err(at("create", &path))?;
            }
        }
        Ok(layout)
    }

    /// Whether there is a store of this version; an error when there is one of another.
    fn check_version(&self) -> Result<bool> {
        let path = self.root.join("version");
        match fs::read(&path) {
            Ok(text) if text == VERSION.as_bytes() => Ok(true),
            Ok(text) => {
                let found = String::from_utf8_lossy(&text[..text.len().min(40)]).trim_end().to_owned();
                Err(StoreError::Version { dir: self.root.clone(), found })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(at("read", &path)(error)),
        }
    }

    /// Writes the version file, before anything else is made in the directory.
    fn create(&self) -> Result<()> {
        // A directory with other people's `objects` (a git repository, say) must not become a store and be cleaned.
        if let Some(entry) = DIRECTORIES.into_iter().find(|name| self.root.join(name).exists()) {
            // Unless another process has just made it one.
            return match self.check_version()? {
                true => Ok(()),
                false => Err(StoreError::NotAStore { dir: self.root.clone(), entry: entry.to_owned() }),
            };
        }
        let temporary = self.root.join(format!(".version-{:016x}", self.nonce));
        let path = self.root.join("version");
        fs::write(&temporary, VERSION).and_then(|()| fs::rename(&temporary, &path)).map_err(|error| {
            let _ = fs::remove_file(&temporary);
            at("create", &path)(error)
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn dir(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn spread(&self, directory: &str, name: &Name) -> PathBuf {
        let text = format!("{directory}/{:02x}/{name}", name.digest()[0]);
        self.root.join(text)
    }

    pub fn object(&self, name: &Name) -> PathBuf {
        self.spread("objects", name)
    }

    /// A file of a pack.
    pub fn pack(&self, file: &str) -> PathBuf {
        self.root.join("packs").join(file)
    }

    pub fn reduction(&self, thunk: &Name) -> PathBuf {
        self.spread("reductions", thunk)
    }

    pub fn failure(&self, thunk: &Name) -> PathBuf {
        self.spread("failures", thunk)
    }

    pub fn trash(&self, name: &str) -> PathBuf {
        self.root.join("trash").join(name)
    }

    /// A name in `tmp` that no other call of any process gets. It starts with the process's number.
    pub fn temporary(&self) -> PathBuf {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        self.root.join(format!("tmp/{}-{:016x}-{count:x}", std::process::id(), self.nonce))
    }

    /// Moves a temporary file to its place, whose directory is made when it is missing.
    pub fn install(&self, temporary: &Path, place: &Path) -> io::Result<()> {
        match fs::rename(temporary, place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dir(place.parent().unwrap_or(&self.root))?;
                fs::rename(temporary, place)
            }
            done => done,
        }
    }

    /// A place in the quarantine for something of this name.
    fn kept(&self, name: &str) -> PathBuf {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let seconds = crate::stamp::now_ns() / 1_000_000_000;
        self.root.join(format!("quarantine/{name}.{seconds}-{:08x}-{count:x}", self.nonce as u32))
    }

    /// Keeps bytes in the quarantine that were found in an object's place; where they are now.
    pub fn quarantine_bytes(&self, name: &Name, found: &[u8]) -> Result<PathBuf> {
        let kept = self.kept(&name.to_string());
        let write = || match fs::write(&kept, found) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_dir(&self.dir("quarantine"))?;
                fs::write(&kept, found)
            }
            written => written,
        };
        write().map_err(at("keep what was found damaged in", &kept))?;
        Ok(kept)
    }

    /// Moves something damaged to the quarantine; where it is now.
    pub fn quarantine(&self, path: &Path) -> Result<PathBuf> {
        let kept = self.kept(&path.file_name().unwrap_or_default().to_string_lossy());
        match self.install(path, &kept) {
            // Gone already: another thread or process has found the same damage.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(kept),
            Err(error) => Err(at("quarantine the damaged", path)(error)),
            Ok(()) => Ok(kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Layout::open(dir.path()).unwrap();
        Layout::open(dir.path()).unwrap();
        fs::write(dir.path().join("version"), "gg store 9\n").unwrap();
        let error = Layout::open(dir.path()).unwrap_err();
        assert!(matches!(&error, StoreError::Version { found, .. } if found == "gg store 9"), "{error}");
        assert!(error.to_string().contains("GG_DIR"));
    }

    #[test]
    fn a_git_directory_is_no_store() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("objects")).unwrap();
        let error = Layout::open(dir.path()).unwrap_err();
        assert!(matches!(&error, StoreError::NotAStore { entry, .. } if entry == "objects"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(Layout::open(&path).unwrap_err().to_string().contains("file"));
    }

    #[test]
    fn many_open_the_same_new_store() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let path = dir.path().join(round.to_string());
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..4).map(|_| scope.spawn(|| Layout::open(&path).map(|_| ()))).collect();
                all.into_iter().for_each(|one| one.join().unwrap().unwrap());
            });
        }
    }
}
