//! Locales out of an archive: the C library has the archive's path built in, so a program whose files lie elsewhere cannot
//! reach it; directories of locales it can (`LOCPATH`, locale(7)).
//!
//! The format is the C library's own, `locale/locarchive.h`, unchanged since 2002: a head, a hash table of names, and for each
//! locale where the file of each category lies in the archive.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use crate::request::Request;

const DIRECTORY: &str = "usr/lib/locale";
const ARCHIVE: &str = "locale-archive";
const MAGIC: u32 = 0xde02_0109;

/// The files of a locale by the number of their category (`locale.h`); the sixth, `LC_ALL`, is none.
const CATEGORIES: [&str; 13] = [
    "LC_CTYPE",
    "LC_NUMERIC",
    "LC_TIME",
    "LC_COLLATE",
    "LC_MONETARY",
    "LC_MESSAGES/SYS_LC_MESSAGES",
    "",
    "LC_PAPER",
    "LC_NAME",
    "LC_ADDRESS",
    "LC_TELEPHONE",
    "LC_MEASUREMENT",
    "LC_IDENTIFICATION",
];

/// Lays out, in `place`, the locales that the request's environment names, if the sandbox at `root` has an archive of them,
/// with links to the directories that it has beside it.
pub(super) fn lay_out(request: &Request<'_>, root: &Path, place: &Path) -> io::Result<()> {
    let names = wanted(request);
    if names.is_empty() {
        return Ok(());
    }
    let directory = root.join(DIRECTORY);
    let Ok(archive) = File::open(directory.join(ARCHIVE)) else { return Ok(()) };
    fs::create_dir(place)?;
    for entry in fs::read_dir(&directory)? {
        let name = entry?.file_name();
        if name != ARCHIVE {
            symlink(directory.join(&name), place.join(&name))?;
        }
    }
    let archive = Archive { file: archive };
    for name in names {
        let here = place.join(&name);
        // Of several spellings one is there; what is damaged is as good as not there, as for the C library.
        if let Ok(Some(record)) = archive.find(name.as_bytes()) {
            // The archive goes before the directory.
            let _ = fs::remove_file(&here);
            archive.extract(record, &here)?;
        }
    }
    Ok(())
}

/// The names, in the spellings of archives.
fn wanted(request: &Request<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for entry in &request.env {
        let Some(at) = entry.as_bytes().iter().position(|&byte| byte == b'=') else { continue };
        let (variable, value) = (&entry.as_bytes()[..at], &entry.as_bytes()[at + 1..]);
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let plain = value.is_empty() || matches!(value, "C" | "POSIX") || value.contains('/');
        if plain || variable != b"LANG" && !variable.starts_with(b"LC_") {
            continue;
        }
        out.push(value.to_owned());
        if let Some((language, rest)) = value.split_once('.') {
            let (codeset, modifier) = rest.split_at(rest.find('@').unwrap_or(rest.len()));
            let codeset: String = codeset.chars().filter(char::is_ascii_alphanumeric).collect();
            let digits = codeset.chars().all(|c| c.is_ascii_digit());
            let codeset = codeset.to_ascii_lowercase();
            out.push(format!("{language}.{}{codeset}{modifier}", if digits { "iso" } else { "" }));
        }
    }
    out.sort();
    out.dedup();
    out
}

struct Archive {
    file: File,
}

impl Archive {
    fn numbers<const N: usize>(&self, offset: u64) -> io::Result<[u32; N]> {
        let mut out = [0; N];
        for (number, at) in out.iter_mut().zip((offset..).step_by(4)) {
            let mut bytes = [0; 4];
            self.file.read_exact_at(&mut bytes, at)?;
            *number = u32::from_ne_bytes(bytes);
        }
        Ok(out)
    }

    /// Where the record of the locale of this name is.
    fn find(&self, name: &[u8]) -> io::Result<Option<u64>> {
        let [magic, _, table, _, size] = self.numbers(0)?;
        if magic != MAGIC {
            return Ok(None);
        }
        // All of them, at once: they are few, and the hash is nobody else's business.
        let mut entries = vec![0; (size.min(1 << 16) as usize) * 12];
        self.file.read_exact_at(&mut entries, table.into())?;
        for entry in entries.chunks_exact(12) {
            let number = |at: usize| entry[at..].first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
            let (text, record) = (number(4), number(8));
            if record == 0 {
                continue;
            }
            let mut found = vec![0; name.len() + 1];
            let read = self.file.read_exact_at(&mut found, text.into());
            if read.is_ok() && found.strip_suffix(&[0]) == Some(name) {
                return Ok(Some(record.into()));
            }
        }
        Ok(None)
    }

    fn extract(&self, record: u64, place: &Path) -> io::Result<()> {
        fs::create_dir_all(place.join("LC_MESSAGES"))?;
        for (category, at) in CATEGORIES.into_iter().zip((record + 4..).step_by(8)) {
            let [offset, length] = self.numbers(at)?;
            if category.is_empty() || length == 0 {
                continue;
            }
            if length > 64 << 20 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut bytes = vec![0; length as usize];
            self.file.read_exact_at(&mut bytes, offset.into())?;
            fs::write(place.join(category), bytes)?;
        }
        Ok(())
    }
}
