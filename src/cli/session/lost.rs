//! Files that were promised and never came: the outputs of steps that failed after make had gone on. A call that reads one is not
//! run: with make alone it would not have been reached, and its complaint of a missing file would be a second failure.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use gg_models::Reason;

/// The options of compilers, linkers and the like that name what is written, not what is read.
const OUTPUT: &[u8] = b"-o";

/// What libraries are called that `-l` finds.
const LIBRARIES: [&str; 2] = ["a", "so"];

/// Where such files were to be.
#[derive(Debug, Default)]
pub struct Lost {
    /// Whether there is any: most builds have none.
    any: AtomicBool,
    paths: Mutex<HashSet<PathBuf>>,
}

impl Lost {
    /// What was to be at `path` will not come.
    pub fn enter(&self, path: &Path) {
        self.paths().insert(path.to_path_buf());
        self.any.store(true, Ordering::Release);
    }

    /// Something else is to be at `path`.
    pub fn promised_again(&self, path: &Path) {
        if self.any.load(Ordering::Acquire) {
            self.paths().remove(path);
        }
    }

    /// The first lost file that a command line names as something that it reads, or that `reason` names, and that is nowhere.
    pub fn read_by<'a>(
        &self,
        argv: impl Iterator<Item = &'a OsStr>,
        cwd: &Path,
        reason: Option<&Reason>,
    ) -> Option<PathBuf> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        if let Some(Reason::MissingInput(path)) = reason
            && let Some(lost) = self.at(path.as_os_str(), cwd)
        {
            return Some(lost);
        }
        let mut argv = argv.skip(1);
        while let Some(word) = argv.next() {
            if word.as_bytes() == OUTPUT {
                argv.next();
            } else if let Some(lost) = self.at(word, cwd) {
                return Some(lost);
            }
        }
        None
    }

    /// The lost file that a word of a command line means, if it means one.
    fn at(&self, word: &OsStr, cwd: &Path) -> Option<PathBuf> {
        if let Some(library) = word.as_bytes().strip_prefix(b"-l") {
            let library = OsStr::from_bytes(library).to_str()?;
            let names = LIBRARIES.map(|suffix| format!("lib{library}.{suffix}"));
            let mut lost = self.paths().clone().into_iter();
            return lost.find(|path| names.iter().any(|name| path.ends_with(name)) && is_nowhere(path));
        }
        let path = cwd.join(word);
        let name = path.file_name()?;
        let real = path.parent().and_then(|folder| folder.canonicalize().ok()).map(|folder| folder.join(name));
        let known = |path: &PathBuf| self.paths().contains(path) && is_nowhere(path);
        [Some(path.clone()), real].into_iter().flatten().find(known)
    }

    fn paths(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_nowhere(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_reads() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("sub")).unwrap();
        std::os::unix::fs::symlink("sub", root.join("link")).unwrap();
        let lost = Lost::default();
        let read = |line: &str| {
            let path = lost.read_by(line.split(' ').map(OsStr::new), &root, None);
            path.map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(read("cc a.o -o app"), None);
        for path in ["a.o", "sub/b.o", "libx.a", "app"] {
            lost.enter(&root.join(path));
        }
        assert_eq!(read("cc c.o a.o -o app").as_deref(), Some("a.o"));
        assert_eq!(read("cc c.o link/b.o -o app").as_deref(), Some("sub/b.o"));
        assert_eq!(read("cc c.o -L. -lx -o app").as_deref(), Some("libx.a"));
        assert_eq!(read("cc c.o -ly -o app"), None);
        let missing = Reason::MissingInput(root.join("a.o"));
        assert_eq!(
            lost.read_by([OsStr::new("cc"), OsStr::new("@rsp")].into_iter(), &root, Some(&missing)),
            Some(root.join("a.o"))
        );
        // It was written by something else, or is promised by another step.
        fs::write(root.join("a.o"), "").unwrap();
        assert_eq!(read("cc c.o a.o"), None);
        fs::remove_file(root.join("a.o")).unwrap();
        lost.promised_again(&root.join("a.o"));
        assert_eq!(read("cc c.o a.o"), None);
    }
}
