//! One file in the place of another, in one step.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gg_ir::Placeholder;

use super::Placeholders;

/// Puts `temporary` in the place of `path` if that is the placeholder `expected`, and removes what was there; else removes
/// `temporary`. Returns whether it did.
pub(super) fn swap(temporary: &Path, path: &Path, expected: &Placeholder) -> io::Result<bool> {
    match exchange(temporary, path) {
        Ok(()) => {
            if Placeholders::at(temporary).as_ref() == Some(expected) {
                fs::remove_file(temporary)?;
                return Ok(true);
            }
            // Somebody else's file had just appeared there: it goes back.
            exchange(temporary, path)?;
            fs::remove_file(temporary)?;
            Ok(false)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::remove_file(temporary)?;
            Ok(false)
        }
        // File systems without the exchange (EINVAL): the plain rename has the small window that the exchange has not.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => fs::rename(temporary, path).map(|()| true),
        Err(error) => Err(error),
    }
}

fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    let text = |path: &Path| std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
    let (a, b) = (text(a)?, text(b)?);
    // SAFETY: both are C strings that outlive the call.
    let status =
        unsafe { libc::renameat2(libc::AT_FDCWD, a.as_ptr(), libc::AT_FDCWD, b.as_ptr(), libc::RENAME_EXCHANGE) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
