//! Where a system keeps what its packages install.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const DIRECTORIES: &[&str] = &["/usr", "/lib", "/lib64", "/lib32", "/libx32", "/bin", "/sbin", "/etc"];

/// Where people install what they build: it may change while a build runs.
const PEOPLES_OWN: &[&str] = &["/usr/src", "/usr/local", "/opt"];

/// Whether packages install what is at this path: its content need not be copied, since it does not change while gg runs.
pub fn holds(path: &Path) -> bool {
    let lies_in = |directory: &&str| match path.as_os_str().as_bytes().strip_prefix(directory.as_bytes()) {
        Some(rest) => rest.first().is_none_or(|&byte| byte == b'/'),
        None => false,
    };
    DIRECTORIES.iter().any(lies_in) && !PEOPLES_OWN.iter().any(lies_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packages_install() {
        for (path, held) in [
            ("/usr/include/stdio.h", true),
            ("/lib64/ld.so", true),
            ("/usr", true),
            ("/usr/local/bin/x", false),
            ("/usr/src/x.c", false),
            ("/usrlocal/x", false),
            ("/home/u/usr/x", false),
        ] {
            assert_eq!(holds(Path::new(path)), held, "{path}");
        }
    }
}
