//! Which file a name leads to.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use gg_models::Environment;

use crate::CaptureError;

/// Where programs are when PATH is not set (`confstr(_CS_PATH)`).
const USUAL: &str = "/bin:/usr/bin";

/// A program as it is executed: an absolute path, its own symbolic link not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub path: PathBuf,
    /// It was found in this directory of PATH.
    pub directory: Option<PathBuf>,
}

/// Finds a program as a shell does: by PATH where the name has no slash, else seen from `cwd`.
///
/// # Errors
/// [`CaptureError::NotInPath`], [`CaptureError::Missing`], [`CaptureError::NoFile`], [`CaptureError::NotExecutable`].
pub(crate) fn program(name: &OsStr, cwd: &Path, env: &Environment) -> Result<Found, CaptureError> {
    if name.as_bytes().contains(&b'/') {
        let path = plain(&cwd.join(name));
        let meta = fs::metadata(&path).map_err(|_| CaptureError::Missing { path: path.clone() })?;
        return match (meta.is_file(), meta.permissions().mode() & 0o111) {
            (false, _) => Err(CaptureError::NoFile { path }),
            (_, 0) => Err(CaptureError::NotExecutable { path }),
            _ => Ok(Found { path, directory: None }),
        };
    }
    for directory in search_path(env) {
        // An empty one is the working directory.
        let directory = plain(&cwd.join(directory));
        let path = directory.join(name);
        let fits = |meta: fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o111 != 0;
        if !name.is_empty() && fs::metadata(&path).is_ok_and(fits) {
            return Ok(Found { path, directory: Some(directory) });
        }
    }
    let path = env.get(OsStr::new("PATH")).map_or(USUAL.into(), |list| list.to_string_lossy());
    Err(CaptureError::NotInPath { name: name.into(), path: path.into_owned() })
}

/// The directories of PATH.
pub(crate) fn search_path(env: &Environment) -> Vec<PathBuf> {
    directories(env.get(OsStr::new("PATH")).map_or(OsStr::new(USUAL), OsString::as_os_str)).collect()
}

/// The directories in a list such as PATH.
pub(crate) fn directories(list: &OsStr) -> impl Iterator<Item = PathBuf> {
    list.as_bytes().split(|&byte| byte == b':').map(|part| OsStr::from_bytes(part).into())
}

/// A list such as PATH.
pub(crate) fn list<'a>(directories: impl Iterator<Item = &'a Path>) -> OsString {
    let parts: Vec<&[u8]> = directories.map(|directory| directory.as_os_str().as_bytes()).collect();
    OsString::from_vec(parts.join(&b':'))
}

/// An absolute path in the one spelling: `..` is what the kernel makes of it, while the last part stays what it is.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let climbs = path.components().any(|part| part == Component::ParentDir);
    if climbs && let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
        return fs::canonicalize(parent).map_or_else(|_| path.into(), |parent| parent.join(name));
    }
    if climbs {
        return fs::canonicalize(path).unwrap_or_else(|_| path.into());
    }
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        for name in ["a/tool", "a/b/plain"] {
            fs::write(root.join(name), "#!/bin/sh\n").unwrap();
        }
        fs::set_permissions(root.join("a/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        let env = Environment::from([("PATH".into(), format!("/none::{}/a", root.display()).into())]);
        let find = |name: &str| program(OsStr::new(name), &root.join("a/b"), &env);
        let tool = root.join("a/tool");
        assert_eq!(find("tool").unwrap(), Found { path: tool.clone(), directory: Some(root.join("a")) });
        assert_eq!(find("../tool").unwrap(), Found { path: tool.clone(), directory: None });
        assert_eq!(find(tool.to_str().unwrap()).unwrap().path, tool);
        assert!(matches!(find("./plain"), Err(CaptureError::NotExecutable { .. })));
        assert!(matches!(find("plain"), Err(CaptureError::NotInPath { .. })));
        assert!(matches!(find("./none"), Err(CaptureError::Missing { .. })));
        assert!(matches!(find("../b"), Err(CaptureError::NoFile { .. })));
    }
}
