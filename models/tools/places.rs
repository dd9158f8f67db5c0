//! Paths with `*` in their parts.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::pattern::fits;
use crate::World;

/// Every path that is there and fits `pattern` part by part; `..` goes up as it is spelled.
pub(crate) fn matching(pattern: &Path, world: &dyn World) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.components() {
        match part {
            Component::Normal(name) if name.as_bytes().iter().any(|byte| b"*?".contains(byte)) => {
                let pattern = name.to_string_lossy().into_owned();
                let inside = |directory: &PathBuf| {
                    let names = world.list(directory).unwrap_or_default().into_iter();
                    let names = names.filter(|name| fits(&pattern, name.as_bytes()));
                    names.map(|name| directory.join(name)).collect::<Vec<_>>()
                };
                found = found.iter().flat_map(inside).collect();
            }
            Component::Normal(name) => found.iter_mut().for_each(|path| path.push(name)),
            Component::ParentDir => found.iter_mut().for_each(|path| {
                path.pop();
            }),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    found.retain(|path| world.kind(path).is_some());
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryWorld;

    #[test]
    fn globs() {
        let world =
            MemoryWorld::new().with("/a/x-1/c", "").with("/a/x-2/c", "").with("/a/y/c", "").with("/a/x-3/d", "");
        let found = |pattern: &str| {
            let paths = matching(Path::new(pattern), &world);
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("/a/x-*/c"), "/a/x-1/c /a/x-2/c");
        assert_eq!(found("/a/b/../y"), "/a/y");
        assert_eq!(found("/a/z"), "");
    }
}
