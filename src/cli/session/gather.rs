//! Collects what must be visible in a sandbox: files with the symlinks and directories on the way to them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use gg_ir::{AbsPath, Input};
use gg_models::scan::hash::QuickMap;
use gg_store::Stamp;

use super::moment::{Seen, Sight, split};

/// As many links as Linux follows in one path (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// What stands at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File,
    /// A regular file whose content is known.
    Sealed(Input),
    /// A directory with all that is in it.
    Tree,
    /// A symbolic link with this text.
    Symlink(OsString),
    /// A directory of which only what is named elsewhere is visible.
    Directory,
}

/// What a path led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A device, a socket, a pipe.
    Other,
    /// Nothing.
    Nothing,
}

impl Found {
    fn of(stamp: &Stamp) -> Self {
        if stamp.is_dir() {
            Self::Directory
        } else if stamp.is_file() {
            Self::File
        } else {
            Self::Other
        }
    }
}

/// The paths gathered so far, each without symlinks in its directories.
pub struct Gather<'s> {
    sight: &'s dyn Sight,
    /// In the order in which they were gathered, with repetitions.
    nodes: Vec<(AbsPath, Node)>,
    /// Directories that are complete already: what lies in them is not gathered again.
    trees: BTreeSet<AbsPath>,
    /// Directories walked through, with what each led to.
    walked: QuickMap<OsString, Walked>,
    /// The places of directories, by their addresses, and how many were gathered whole then.
    places: QuickMap<usize, (Place, usize)>,
    /// How many were whole from the start.
    given: usize,
}

/// What a directory's path is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// It leads to a directory, without any links on the way, and is spelled in the one way.
    pub straight: bool,
    /// The directory is, or is in, one that is gathered whole.
    pub covered: bool,
}

/// What the path of a directory led to.
#[derive(Clone, Debug)]
struct Walked {
    real: PathBuf,
    /// There was no link on the way, nor anything else that could be spelled in another way.
    straight: bool,
    /// It lies in a directory that is gathered whole, as far as there were that many of those.
    covered: bool,
    trees: usize,
}

/// Whether a path lies in one of these directories.
fn is_below(trees: &BTreeSet<AbsPath>, path: &[u8]) -> bool {
    let holds = |tree: &AbsPath| match path.strip_prefix(tree.as_bytes()) {
        Some(rest) => rest.first() == Some(&b'/') || tree.as_bytes() == b"/" && !rest.is_empty(),
        None => false,
    };
    trees.iter().any(holds)
}

impl<'s> Gather<'s> {
    /// Nothing, where everything in these directories is visible anyway.
    pub fn within(trees: BTreeSet<AbsPath>, sight: &'s dyn Sight) -> Self {
        let given = trees.len();
        Self { sight, nodes: Vec::new(), trees, walked: QuickMap::default(), places: QuickMap::default(), given }
    }

    /// Whether all of a directory on the way to `path`, or `path` itself, is gathered as a tree.
    pub fn in_tree(&self, path: &Path) -> bool {
        let path = path.as_os_str().as_bytes();
        self.trees.iter().any(|tree| tree.as_bytes() == path) || is_below(&self.trees, path)
    }

    /// Walks `path` (absolute) as the kernel would, gathers what is on the way, and says where it ends.
    ///
    /// # Errors
    /// Whatever the file system says, but for what does not exist.
    pub fn walk(&mut self, path: &Path) -> io::Result<(PathBuf, Found)> {
        // The directory of a path is mostly that of the last one.
        let Some((parent, name)) = split(path) else { return self.steps("/".into(), parts(path)) };
        if !self.enter(parent)? {
            return Ok((path.into(), Found::Nothing));
        }
        let Walked { real, straight, .. } = &self.walked[parent.as_os_str()];
        if *straight && let Seen::Plain(stamp) = self.sight.see(path)? {
            return Ok((path.into(), Found::of(&stamp)));
        }
        let real = real.clone();
        self.steps(real, [name.to_os_string()].into())
    }

    /// Whether `path` is a regular file in a directory that is gathered whole: then there is nothing to gather.
    ///
    /// # Errors
    /// Whatever the file system says, but for what does not exist.
    pub fn is_covered(&mut self, path: &Path) -> io::Result<bool> {
        let Some((parent, _)) = split(path) else { return Ok(false) };
        let Place { straight, covered } = self.enter_place(parent)?;
        Ok(straight && covered && matches!(self.sight.see(path)?, Seen::Plain(stamp) if stamp.is_file()))
    }

    /// What a directory's path is; the same allocation stands for the same path as long as this lives.
    ///
    /// # Errors
    /// Whatever the file system says, but for what does not exist.
    pub fn place(&mut self, directory: &Arc<Path>) -> io::Result<Place> {
        let (address, trees) = (Arc::as_ptr(directory).cast::<u8>() as usize, self.trees.len());
        if let Some((place, known)) = self.places.get(&address)
            && (place.covered || *known == trees)
        {
            return Ok(*place);
        }
        let place = self.enter_place(directory)?;
        self.places.insert(address, (place, trees));
        Ok(place)
    }

    fn enter_place(&mut self, directory: &Path) -> io::Result<Place> {
        if !self.enter(directory)? {
            return Ok(Place::default());
        }
        let trees = self.trees.len();
        let Walked { straight, covered, trees: known, .. } = &self.walked[directory.as_os_str()];
        let mut place = Place { straight: *straight, covered: *covered };
        if !place.covered && *known != trees {
            place.covered = self.in_tree(directory);
            if let Some(walked) = self.walked.get_mut(directory.as_os_str()) {
                (walked.covered, walked.trees) = (place.covered, trees);
            }
        }
        Ok(place)
    }

    /// Walks to a directory, and keeps where that led; whether it is one.
    fn enter(&mut self, path: &Path) -> io::Result<bool> {
        if self.walked.contains_key(path.as_os_str()) {
            return Ok(true);
        }
        let (real, found) = self.steps("/".into(), parts(path))?;
        if found != Found::Directory {
            return Ok(false);
        }
        let straight = real.as_os_str() == path.as_os_str();
        let (covered, trees) = (self.in_tree(&real), self.trees.len());
        self.walked.insert(path.into(), Walked { real, straight, covered, trees });
        Ok(true)
    }

    fn steps(&mut self, mut at: PathBuf, mut ahead: Vec<OsString>) -> io::Result<(PathBuf, Found)> {
        // `ahead` holds the parts to walk, the next one last.
        let mut links = 0;
        let mut found = Found::Directory;
        while let Some(part) = ahead.pop() {
            if found != Found::Directory {
                return Ok((at, Found::Nothing));
            }
            if part == ".." {
                self.directory(&at);
                at.pop();
                continue;
            }
            let next = at.join(&part);
            let stamp = match self.sight.see(&next)? {
                Seen::Nothing => return Ok((next, Found::Nothing)),
                Seen::Plain(stamp) => Some(stamp),
                Seen::Link(_) => None,
            };
            let Some(stamp) = stamp else {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::from_raw_os_error(libc::ELOOP));
                }
                let target = fs::read_link(&next)?;
                if !self.in_tree(&next) {
                    self.insert(&next, Node::Symlink(target.clone().into_os_string()));
                }
                if target.is_absolute() {
                    at = "/".into();
                }
                ahead.extend(parts(&target));
                continue;
            };
            at = next;
            found = Found::of(&stamp);
        }
        Ok((at, found))
    }

    fn insert(&mut self, path: &Path, node: Node) -> Option<AbsPath> {
        let path = AbsPath::new(path).ok()?;
        self.nodes.push((path.clone(), node));
        Some(path)
    }

    /// Gathers a directory's existence.
    pub fn directory(&mut self, real: &Path) {
        if let Ok(path) = AbsPath::new(real)
            && !self.in_tree(real)
        {
            self.nodes.push((path, Node::Directory));
        }
    }

    /// Gathers a file at a path that [`Gather::walk`] ended at.
    pub fn file(&mut self, real: &Path) {
        if !self.in_tree(real) {
            self.insert(real, Node::File);
        }
    }

    /// Gathers a file in a straight place that is not covered, with its content.
    pub fn sealed(&mut self, path: AbsPath, input: Input) {
        self.nodes.push((path, Node::Sealed(input)));
    }

    /// Gathers a whole directory at a path that [`Gather::walk`] ended at.
    pub fn tree(&mut self, real: &Path) {
        if !self.in_tree(real)
            && let Some(path) = self.insert(real, Node::Tree)
        {
            self.trees.insert(path);
        }
    }

    /// Everything gathered in the order of paths, without what lies in gathered trees, and without directories that others
    /// imply.
    pub fn finish(mut self) -> Vec<(AbsPath, Node)> {
        // Stable: of one path, what was gathered last comes last.
        self.nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.nodes.dedup_by(|(path, node), (before, kept)| {
            let same = path == before;
            // The last counts, but that it is a directory is the least that can be said of a path.
            if same && *node != Node::Directory {
                std::mem::swap(node, kept);
            }
            same
        });
        let mut kept: Vec<(AbsPath, Node)> = Vec::with_capacity(self.nodes.len());
        let grown = self.trees.len() != self.given;
        // Backwards, so that a directory comes after what is in it.
        for (path, node) in self.nodes.into_iter().rev() {
            let bytes = path.as_bytes();
            let implied = node == Node::Directory
                && kept
                    .iter()
                    .rev()
                    .take_while(|(other, _)| other.as_bytes().starts_with(bytes))
                    .any(|(other, _)| bytes == b"/" || other.as_bytes().get(bytes.len()) == Some(&b'/'));
            // What was sealed was not covered when it was gathered.
            let below = || (grown || !matches!(node, Node::Sealed(_))) && is_below(&self.trees, bytes);
            if !implied && !below() && path != AbsPath::root() {
                kept.push((path, node));
            }
        }
        kept.reverse();
        kept
    }
}

/// The parts of a path, last one first, without `.`.
fn parts(path: &Path) -> Vec<OsString> {
    let mut parts: Vec<OsString> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_os_string()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::moment::Disk;
    use super::*;

    fn gather() -> Gather<'static> {
        Gather::within(BTreeSet::new(), &Disk)
    }

    fn relative(root: &Path, nodes: Vec<(AbsPath, Node)>) -> Vec<(String, Node)> {
        let name = |path: &AbsPath| path.as_path().strip_prefix(root).unwrap().display().to_string();
        nodes.iter().map(|(path, node)| (name(path), node.clone())).collect()
    }

    #[test]
    fn links_and_parents_are_walked_as_the_kernel_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/sub")).unwrap();
        fs::write(root.join("real/x.h"), "").unwrap();
        symlink("real/sub", root.join("link")).unwrap();
        let mut gather = gather();
        let (real, found) = gather.walk(&root.join("link/../x.h")).unwrap();
        assert_eq!((real.as_path(), found), (root.join("real/x.h").as_path(), Found::File));
        gather.file(&real);
        assert_eq!(gather.walk(&root.join("real/none.h")).unwrap().1, Found::Nothing);
        assert_eq!(gather.walk(&root.join("real/x.h/y")).unwrap().1, Found::Nothing);
        assert_eq!(
            relative(&root, gather.finish()),
            [
                ("link".into(), Node::Symlink("real/sub".into())),
                ("real/sub".into(), Node::Directory),
                ("real/x.h".into(), Node::File),
            ]
        );
    }

    #[test]
    fn trees_swallow_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("t/u")).unwrap();
        fs::write(root.join("t/u/f"), "").unwrap();
        symlink("u/f", root.join("t/l")).unwrap();
        let mut gather = gather();
        gather.file(&root.join("t/u/f"));
        gather.tree(&root.join("t"));
        gather.walk(&root.join("t/l")).unwrap();
        gather.directory(&root.join("t/u"));
        assert_eq!(relative(&root, gather.finish()), [("t".into(), Node::Tree)]);
    }

    #[test]
    fn a_loop_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b", folder.path().join("a")).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        assert!(gather().walk(&folder.path().join("a")).is_err());
    }
}
