//! What is known about single programs, by the name under which they were executed.
//!
//! Everything here is about doing the right thing sooner or with less work. A program that is not listed gets the
//! default: each trapped access to a placeholder forces it.

use crate::Access;

/// `(name, accesses)`: these accesses of the program do not need the real file.
///
/// Movers and removers look at a file with `lstat` first, and do not care how large it is. Build drivers and shells look
/// for existence and times. `touch` opens for writing and writes nothing.
const SPARED: &[(&str, &[Access])] = &[
    ("[", &[Access::Stat]),
    ("bash", &[Access::Stat]),
    ("chgrp", &[Access::Stat]),
    ("chmod", &[Access::Stat]),
    ("chown", &[Access::Stat]),
    ("cmake", &[Access::Stat]),
    ("dash", &[Access::Stat]),
    ("gmake", &[Access::Stat]),
    ("ksh", &[Access::Stat]),
    ("ln", &[Access::Stat]),
    ("make", &[Access::Stat]),
    ("mkdir", &[Access::Stat]),
    ("mv", &[Access::Stat]),
    ("n2", &[Access::Stat]),
    ("ninja", &[Access::Stat]),
    ("readlink", &[Access::Stat]),
    ("realpath", &[Access::Stat]),
    ("rm", &[Access::Stat]),
    ("rmdir", &[Access::Stat]),
    ("samu", &[Access::Stat]),
    ("sh", &[Access::Stat]),
    ("test", &[Access::Stat]),
    ("touch", &[Access::Stat, Access::Write]),
    ("unlink", &[Access::Stat]),
    ("zsh", &[Access::Stat]),
];

/// Programs that call plain `stat` (not trapped) on their arguments before they open them, and refuse a file whose inode
/// has changed since (GNU cp and install: "skipping file, as it was replaced while being copied") or trust its size
/// (GNU diff). Placeholders among their arguments are produced when they are executed.
const LOOK_FIRST: &[&str] = &["cp", "diff", "diff3", "gcp", "ginstall", "install", "rsync", "sdiff"];

/// Whether this access of the program (its `comm`, at most 15 bytes) needs no real file.
pub(crate) fn spares(program: &[u8], access: Access) -> bool {
    SPARED.iter().any(|(name, accesses)| name.as_bytes() == program && accesses.contains(&access))
}

/// Whether the program's arguments are looked at when it is executed.
pub(crate) fn looks_first(program: &[u8]) -> bool {
    LOOK_FIRST.iter().any(|name| name.as_bytes() == program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        assert!(spares(b"rm", Access::Stat));
        assert!(!spares(b"rm", Access::Read));
        assert!(spares(b"touch", Access::Write));
        assert!(!spares(b"cat", Access::Stat));
        assert!(!spares(b"cp", Access::Stat));
        assert!(looks_first(b"cp"));
        assert!(!looks_first(b"rm"));
        assert!(SPARED.is_sorted_by_key(|(name, _)| *name));
        assert!(SPARED.iter().all(|(name, _)| name.len() <= 15), "comm holds 15 bytes");
    }
}
