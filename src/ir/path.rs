//! Paths inside a sandbox.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// An absolute path in one spelling: no `.`, `..`, doubled or trailing slash, no NUL. Any other bytes are welcome.
///
/// Copies share one allocation. Since it cannot climb, joined to a sandbox's root it names something in the sandbox.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AbsPath(Arc<[u8]>);

/// A path that is relative, climbs, or has more than one spelling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an absolute path without '.', '..' and doubled slashes")]
pub struct PathError(String);

impl AbsPath {
    /// Checks a path.
    ///
    /// # Errors
    /// [`PathError`] when the path is not in the one accepted spelling.
    pub fn new(path: impl AsRef<OsStr>) -> Result<Self, PathError> {
        Self::from_bytes(path.as_ref().as_bytes())
    }

    /// Checks a path given as bytes.
    ///
    /// # Errors
    /// As [`AbsPath::new`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        let fits = match bytes {
            b"/" => true,
            [b'/', rest @ ..] => {
                rest.split(|&b| b == b'/').all(|part| !matches!(part, b"" | b"." | b"..") && !part.contains(&0))
            }
            _ => false,
        };
        if fits { Ok(Self(bytes.into())) } else { Err(PathError(String::from_utf8_lossy(bytes).into_owned())) }
    }

    /// The root.
    pub fn root() -> Self {
        Self(Arc::from(*b"/"))
    }

    /// As a path of the standard library.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The names from the root down; none for the root itself.
    pub fn components(&self) -> impl Iterator<Item = &OsStr> {
        self.0.split(|&b| b == b'/').filter(|part| !part.is_empty()).map(OsStr::from_bytes)
    }

    /// The directory that holds it; `None` for the root.
    pub fn parent(&self) -> Option<AbsPath> {
        let parent = self.as_path().parent()?;
        Some(Self(parent.as_os_str().as_bytes().into()))
    }

    /// Its path seen from the root: no leading slash; empty for the root.
    pub fn relative(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0[1..]))
    }
}

impl AsRef<Path> for AbsPath {
    fn as_ref(&self) -> &Path {
        self.as_path()
    }
}

impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_path().display().fmt(f)
    }
}

impl fmt::Debug for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_path().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted() {
        for good in ["/", "/a", "/a/b c", "/a/...", "/\n"] {
            assert!(AbsPath::new(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a", "/a/", "//", "/a//b", "/./a", "/a/..", "/..", "/a\0b"] {
            assert!(AbsPath::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn parts() {
        let path = AbsPath::new("/usr/lib").unwrap();
        assert_eq!(path.components().collect::<Vec<_>>(), ["usr", "lib"]);
        assert_eq!(path.parent().unwrap().parent().unwrap(), AbsPath::root());
        assert_eq!(AbsPath::root().parent(), None);
        assert_eq!(path.relative(), Path::new("usr/lib"));
    }
}
