//! Copies of placeholders: `cp` and `install` of files that are not computed yet make further placeholders, and nobody waits.
//!
//! Only what is plain is done here; for anything else the program itself runs, and its sources are computed first.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, FileTimes};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gg_ir::Placeholder;

use super::Session;
use super::deliver::{CommandLine, Delivery};
use super::placeholders::Placeholders;
use super::wire::Message;

/// The programs that copy, by name.
const COPIERS: &[(&str, Copier)] = &[
    ("cp", Copier { flags: "fpPHLdrRa", keeps_times: "pa", mode: false }),
    ("install", Copier { flags: "cp", keeps_times: "p", mode: true }),
    ("ginstall", Copier { flags: "cp", keeps_times: "p", mode: true }),
];

/// What a copier's command line may hold (coreutils manual, "cp invocation", "install invocation").
#[derive(Clone, Copy, Debug)]
struct Copier {
    /// Switches that change nothing for a regular file, or what is listed next.
    flags: &'static str,
    /// Those of them that keep the time of modification.
    keeps_times: &'static str,
    /// `-m MODE`, and 755 without.
    mode: bool,
}

/// One plain call.
#[derive(Debug, PartialEq, Eq)]
struct Copies {
    sources: Vec<PathBuf>,
    target: PathBuf,
    /// The target is said to be a directory, or not to be one.
    into: Option<bool>,
    keeps_times: bool,
    mode: Option<u32>,
}

/// Whether a program of this name copies files.
pub fn is_copier(name: &OsStr) -> bool {
    COPIERS.iter().any(|(known, _)| name == *known)
}

impl Copies {
    /// Takes a command line apart; `None` if there is anything else in it.
    fn parse(name: &OsStr, args: &[impl AsRef<OsStr>], cwd: &Path) -> Option<Self> {
        let (_, copier) = COPIERS.iter().find(|(known, _)| name == *known)?;
        let mut copies = Self {
            sources: Vec::new(),
            target: PathBuf::new(),
            into: None,
            keeps_times: false,
            mode: copier.mode.then_some(0o755),
        };
        let (mut target, mut ended) = (None, false);
        let mut args = args.iter().map(|arg| arg.as_ref().as_bytes());
        while let Some(arg) = args.next() {
            let path = |bytes: &[u8]| cwd.join(OsStr::from_bytes(bytes));
            match arg {
                _ if ended || !arg.starts_with(b"-") || arg == b"-" => copies.sources.push(path(arg)),
                b"--" => ended = true,
                b"-t" => target = Some(path(args.next()?)),
                b"-T" => copies.into = Some(false),
                b"-m" if copier.mode => copies.mode = Some(mode(args.next()?)?),
                _ if arg.starts_with(b"-m") && copier.mode => copies.mode = Some(mode(&arg[2..])?),
                _ if arg[1..].iter().all(|letter| copier.flags.as_bytes().contains(letter)) => {
                    copies.keeps_times |= arg[1..].iter().any(|letter| copier.keeps_times.as_bytes().contains(letter));
                }
                _ => return None,
            }
        }
        match target {
            Some(target) => (copies.target, copies.into) = (target, Some(true)),
            None => copies.target = copies.sources.pop()?,
        }
        (!copies.sources.is_empty()).then_some(copies)
    }

    /// Each source with where it goes; `None` where a program would do something special, or complain.
    fn pairs(&self) -> Option<Vec<(&Path, PathBuf)>> {
        let into = self.target.is_dir();
        if self.into.is_some_and(|said| said != into) || !into && self.sources.len() > 1 {
            return None;
        }
        let place =
            |source: &Path| if into { Some(self.target.join(source.file_name()?)) } else { Some(self.target.clone()) };
        let pairs: Option<Vec<_>> =
            self.sources.iter().map(|source| Some((source.as_path(), place(source)?))).collect();
        let pairs = pairs?;
        let distinct = pairs.iter().enumerate().all(|(at, (_, target))| pairs[..at].iter().all(|(_, it)| it != target));
        (distinct && pairs.iter().all(|(_, target)| is_free(target))).then_some(pairs)
    }
}

fn mode(text: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok().filter(|mode| *mode <= 0o777)
}

/// Whether a path can be given a new file: nothing is there, or a file that has no other name.
fn is_free(target: &Path) -> bool {
    match fs::symlink_metadata(target) {
        Ok(info) => info.is_file() && info.nlink() == 1,
        Err(error) => error.kind() == io::ErrorKind::NotFound && target.parent().is_some_and(Path::is_dir),
    }
}

impl Session {
    /// Copies the placeholders that a call of a copier names, if that is all it does; whether it did.
    pub(super) fn copy(&self, name: &OsStr, message: &Message) -> io::Result<bool> {
        let Some(copies) = Copies::parse(name, &message.argv[1..], &message.cwd) else { return Ok(false) };
        let Some(pairs) = copies.pairs() else { return Ok(false) };
        let mut known: Vec<(Placeholder, fs::Metadata, PathBuf)> = Vec::new();
        for (source, target) in pairs {
            let found = Placeholders::at(source).filter(|placeholder| self.deliveries.knows(&placeholder.thunk));
            let (Some(placeholder), Ok(info)) = (found, fs::symlink_metadata(source)) else { return Ok(false) };
            let target = real(&target)?;
            let is_itself =
                fs::symlink_metadata(&target).is_ok_and(|there| (there.dev(), there.ino()) == (info.dev(), info.ino()));
            if is_itself {
                return Ok(false);
            }
            known.push((placeholder, info, target));
        }
        for (placeholder, info, target) in known {
            let there = fs::symlink_metadata(&target).ok().map(|info| info.permissions().mode() & 0o7777);
            let said = copies.mode.or(there.filter(|_| !copies.keeps_times));
            let own = info.permissions().mode() & 0o7777;
            let mode = said.unwrap_or(if copies.keeps_times { own } else { own & !message.umask });
            let thunk = placeholder.thunk;
            self.placeholders.place_copy(&target, placeholder, mode, said.is_some())?;
            if copies.keeps_times {
                let file = fs::OpenOptions::new().write(true).open(&target)?;
                file.set_times(FileTimes::new().set_modified(info.modified()?))?;
            }
            let command = Arc::new(CommandLine { argv: message.argv.clone(), cwd: message.cwd.clone() });
            let stays = !self.options.wanted.includes(&target, mode & 0o111 != 0);
            // It may have been computed in the meantime: then the copy is delivered at once.
            let (unplaced, restore) = (BTreeMap::new(), BTreeMap::new());
            self.deliveries.expect(thunk, Delivery { unplaced, restore, command, stays });
        }
        Ok(true)
    }
}

/// The path without symbolic links in its directory, which is how placeholders are known.
fn real(path: &Path) -> io::Result<PathBuf> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Ok(fs::canonicalize(parent)?.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<(Vec<String>, String, bool, Option<u32>)> {
        let mut words = line.split(' ');
        let name = OsStr::new(words.next().unwrap());
        let copies = Copies::parse(name, &words.collect::<Vec<_>>(), Path::new("/w"))?;
        let text = |path: &PathBuf| path.display().to_string();
        Some((copies.sources.iter().map(text).collect(), text(&copies.target), copies.keeps_times, copies.mode))
    }

    #[test]
    fn plain_command_lines() {
        let one = |target: &str, times, mode| Some((vec!["/w/a".to_owned()], target.to_owned(), times, mode));
        assert_eq!(parse("cp a b"), one("/w/b", false, None));
        assert_eq!(parse("cp -pf a /x/"), one("/x/", true, None));
        assert_eq!(parse("cp -t d a"), one("/w/d", false, None));
        assert_eq!(parse("install -c -m 644 a b"), one("/w/b", false, Some(0o644)));
        assert_eq!(parse("install -m555 a b"), one("/w/b", false, Some(0o555)));
        assert_eq!(parse("install a -- b"), one("/w/b", false, Some(0o755)));
        for other in [
            "cp -u a b",
            "cp -i a b",
            "cp a",
            "cp --sparse=always a b",
            "install -s a b",
            "install -d a",
            "install -m u+x a b",
            "mv a b",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
