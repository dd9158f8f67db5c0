//! What stands at which path: files with the symbolic links and directories on the way to them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use gg_ir::AbsPath;

use crate::CaptureError;

/// As many links as Linux follows in one path (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// What are links where `/usr` holds everything (file-hierarchy(7)).
const MERGED: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// What has to stand at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The regular file that the machine has at this path, which is where it has to stand, with its permission bits.
    File(PathBuf),
    /// A regular file with this content, that all may read, and its owner may write.
    Text(Vec<u8>),
    /// A symbolic link with this text.
    Symlink(OsString),
    /// A directory with what is in it.
    Tree(Subtree),
    /// A directory, empty but for what is needed below it.
    Directory,
}

/// A directory of the machine with all that is below, but for some: what `Store::snapshot_without` of `gg-store` takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subtree {
    /// Where the machine has it: at the path where it has to stand, or elsewhere.
    pub directory: PathBuf,
    /// What is left out: a plain name wherever it occurs below, a path that begins with `/` seen from the directory.
    pub without: BTreeSet<PathBuf>,
}

impl Subtree {
    /// Whether the entry at a path, relative to the directory, is left out (and so is what is below it).
    pub fn leaves_out(&self, relative: &Path) -> bool {
        self.without.iter().any(|out| match out.strip_prefix("/") {
            Ok(out) => relative.starts_with(out),
            Err(_) => relative.components().any(|part| part.as_os_str() == out.as_os_str()),
        })
    }

    /// Whether the tree holds a path when it stands at `at`.
    fn holds(&self, at: &Path, path: &Path) -> bool {
        path.strip_prefix(at).is_ok_and(|rest| !self.leaves_out(rest))
    }
}

/// The needs found so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    needs: BTreeMap<PathBuf, Need>,
    /// Where there was nothing.
    pub absent: BTreeSet<PathBuf>,
}

impl Places {
    /// Walks `path` (absolute) as the kernel does, keeps the links and the parents on the way, and says where it ends;
    /// `None` where there is nothing.
    ///
    /// # Errors
    /// Whatever the file system says, but for what does not exist.
    pub fn walk(&mut self, path: &Path) -> Result<Option<(PathBuf, Metadata)>, CaptureError> {
        let failed = |error| CaptureError::Io { path: path.into(), error };
        let mut at = PathBuf::from("/");
        let mut ahead = parts(path);
        let mut meta = fs::symlink_metadata(&at).map_err(failed)?;
        let mut passed: Vec<(PathBuf, Need)> = Vec::new();
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == ".." {
                passed.push((at.clone(), Need::Directory));
                at.pop();
                continue;
            }
            let next = at.join(&part);
            meta = match fs::symlink_metadata(&next) {
                Ok(meta) => meta,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    self.absent.insert(next);
                    return Ok(None);
                }
                Err(error) => return Err(failed(error)),
            };
            if !meta.is_symlink() {
                at = next;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(failed(io::Error::other("too many symbolic links")));
            }
            let target = fs::read_link(&next).map_err(failed)?;
            passed.push((next, Need::Symlink(target.clone().into())));
            if target.is_absolute() {
                at = "/".into();
            }
            ahead.extend(parts(&target));
            meta = fs::symlink_metadata(&at).map_err(failed)?;
        }
        for (path, need) in passed {
            self.put(path, need);
        }
        Ok(Some((at, meta)))
    }

    /// Adds a regular file; where it really is.
    ///
    /// # Errors
    /// [`CaptureError::Missing`] and [`CaptureError::NoFile`], and whatever the file system says.
    pub fn file(&mut self, path: &Path) -> Result<PathBuf, CaptureError> {
        let (real, meta) = self.walk(path)?.ok_or_else(|| CaptureError::Missing { path: path.into() })?;
        if !meta.is_file() {
            return Err(CaptureError::NoFile { path: path.into() });
        }
        self.put(real.clone(), Need::File(real.clone()));
        Ok(real)
    }

    /// Adds what is at a path, file or directory, if there is anything; where it really is.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn optional(&mut self, path: &Path) -> Result<Option<PathBuf>, CaptureError> {
        let Some((real, meta)) = self.walk(path)? else { return Ok(None) };
        let need = match (meta.is_file(), meta.is_dir()) {
            (true, _) => Need::File(real.clone()),
            (_, true) => Need::Directory,
            _ => return Ok(None),
        };
        self.put(real.clone(), need);
        Ok(Some(real))
    }

    /// Adds a whole directory but for some; what was added, if it is a directory.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn tree(&mut self, path: &Path, without: BTreeSet<PathBuf>) -> Result<Option<Subtree>, CaptureError> {
        let Some((real, meta)) = self.walk(path)? else { return Ok(None) };
        if !meta.is_dir() || self.holds(&real) {
            return Ok(None);
        }
        let tree = Subtree { directory: real.clone(), without };
        self.put(real, Need::Tree(tree.clone()));
        Ok(Some(tree))
    }

    /// Adds a file with this content.
    ///
    /// # Errors
    /// As [`Places::walk`].
    pub fn text(&mut self, path: &Path, content: Vec<u8>) -> Result<(), CaptureError> {
        let parent = path.parent().unwrap_or(path);
        let parent = self.walk(parent)?.map_or_else(|| parent.into(), |(real, _)| real);
        self.put(parent.join(path.file_name().unwrap_or_default()), Need::Text(content));
        Ok(())
    }

    /// Lets a link with this text stand where something else does.
    ///
    /// # Errors
    /// As [`Places::walk`].
    pub fn stand_in(&mut self, path: &Path, target: OsString) -> Result<(), CaptureError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        if let Some((real, _)) = self.walk(parent)? {
            self.put(real.join(name), Need::Symlink(target));
        }
        Ok(())
    }

    /// Adds a whole directory at a path that it does not have here, if there is one.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn tree_from(&mut self, path: &Path, directory: &Path) -> Result<(), CaptureError> {
        match fs::metadata(directory) {
            Ok(meta) if meta.is_dir() => {
                let tree = Subtree { directory: directory.into(), without: BTreeSet::new() };
                self.put(path.into(), Need::Tree(tree));
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(CaptureError::Io { path: directory.into(), error }),
        }
    }

    /// Adds the links by which programs that ask for `/bin/sh` are led to `/usr/bin/sh`, where what they lead to is needed.
    ///
    /// # Errors
    /// As [`Places::walk`].
    pub fn merged(&mut self) -> Result<(), CaptureError> {
        for link in MERGED {
            let Ok(target) = fs::read_link(link) else { continue };
            let target = Path::new("/").join(target);
            if self.needs.range(target.clone()..).next().is_some_and(|(path, _)| path.starts_with(&target)) {
                self.walk(Path::new(link))?;
            }
        }
        Ok(())
    }

    /// Whether a path (without links in it) lies in a tree that has been added.
    pub fn holds(&self, path: &Path) -> bool {
        matches!(self.needs.get(path), Some(Need::Tree(_))) || self.is_inside(path)
    }

    /// Whether a tree at a shorter path holds this one.
    fn is_inside(&self, path: &Path) -> bool {
        let mut above = path.ancestors().skip(1);
        above.any(|above| matches!(self.needs.get(above), Some(Need::Tree(tree)) if tree.holds(above, path)))
    }

    fn put(&mut self, path: PathBuf, need: Need) {
        let entry = self.needs.entry(path).or_insert(Need::Directory);
        // That it is a directory is the least that can be said of a path, and a tree the most.
        if need != Need::Directory && !matches!(entry, Need::Tree(_)) {
            *entry = need;
        }
    }

    /// Everything by its path, without what lies in trees, and without directories that others imply.
    ///
    /// # Errors
    /// [`CaptureError::Missing`] for a path that cannot be one in a sandbox, which no existing path is.
    pub fn finish(self) -> Result<BTreeMap<AbsPath, Need>, CaptureError> {
        let mut out: BTreeMap<AbsPath, Need> = BTreeMap::new();
        let mut implied: BTreeSet<&Path> = BTreeSet::new();
        for (path, need) in &self.needs {
            if path.as_os_str() == "/" && *need == Need::Directory || self.is_inside(path) {
                continue;
            }
            implied.extend(path.ancestors().skip(1));
            let key = AbsPath::new(path).map_err(|_| CaptureError::Missing { path: path.clone() })?;
            out.insert(key, need.clone());
        }
        out.retain(|path, need| *need != Need::Directory || !implied.contains(path.as_path()));
        Ok(out)
    }
}

/// The parts of a path, last one first, without `.`.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut parts: Vec<OsString> = parts.collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What was found below a directory, as text.
    fn found(places: Places, root: &Path) -> Vec<String> {
        let needs = places.finish().unwrap();
        let below = needs.iter().filter_map(|(path, need)| Some((path.as_path().strip_prefix(root).ok()?, need)));
        below
            .map(|(path, need)| match need {
                Need::File(_) => format!("{} file", path.display()),
                Need::Text(_) => format!("{} text", path.display()),
                Need::Symlink(target) => format!("{} -> {}", path.display(), target.display()),
                Need::Tree(_) => format!("{} tree", path.display()),
                Need::Directory => format!("{} directory", path.display()),
            })
            .collect()
    }

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/sub")).unwrap();
        fs::write(root.join("real/x"), "").unwrap();
        fs::write(root.join("real/sub/y"), "").unwrap();
        symlink("real/sub", root.join("link")).unwrap();
        (folder, root)
    }

    #[test]
    fn links_and_parents_are_walked_as_the_kernel_does() {
        let (_folder, root) = scratch();
        let mut places = Places::default();
        assert_eq!(places.file(&root.join("link/../x")).unwrap(), root.join("real/x"));
        assert!(places.walk(&root.join("link/none")).unwrap().is_none());
        assert!(places.walk(&root.join("real/x/none")).unwrap().is_none());
        assert_eq!(found(places, &root), ["link -> real/sub", "real/sub directory", "real/x file"]);
    }

    #[test]
    fn a_tree_holds_what_it_does_not_leave_out() {
        let (_folder, root) = scratch();
        fs::create_dir_all(root.join("real/sub/out")).unwrap();
        fs::write(root.join("real/sub/out/z"), "").unwrap();
        let mut places = Places::default();
        places.file(&root.join("real/sub/y")).unwrap();
        places.tree(&root.join("real"), [PathBuf::from("out"), PathBuf::from("/x")].into()).unwrap();
        places.file(&root.join("real/sub/out/z")).unwrap();
        places.file(&root.join("real/x")).unwrap();
        assert_eq!(found(places, &root), ["real tree", "real/sub/out/z file", "real/x file"]);
    }

    #[test]
    fn a_loop_is_an_error() {
        let (_folder, root) = scratch();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        let error = Places::default().file(&root.join("a")).unwrap_err().to_string();
        assert!(error.contains("too many symbolic links"), "{error}");
    }
}
