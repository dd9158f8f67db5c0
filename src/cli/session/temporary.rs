//! Names that are made up anew each time, and which of them a path holds.
//!
//! Configuration makes its test programs in directories and files whose names hold a random or a process's number. The same
//! question asked again has other names in it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What follows a fixed beginning.
#[derive(Clone, Copy, Debug)]
enum Made {
    /// So many letters and digits.
    Alphanumeric(usize),
    /// So many hexadecimal digits.
    Hexadecimal(usize),
    /// So many lower-case letters, digits and underlines.
    Lower(usize),
    /// A number.
    Number,
}

/// Beginnings of names, with what is made up, whether that is enough to know a file by that nobody keeps, and who does it.
const NAMES: &[(&str, Made, bool)] = &[
    ("TryCompile-", Made::Alphanumeric(6), true), // CMake since 3.25 (cmCoreTryCompile.cxx): a directory
    ("cmTC_", Made::Hexadecimal(5), true),        // CMake: a target
    ("tmp.", Made::Alphanumeric(10), true),       // mktemp(1)
    (".tmp_", Made::Number, true),                // the Linux kernel's `try-run`
    ("tmp", Made::Lower(8), false),               // Python's tempfile (Meson)
];

/// Endings that say what a file is, and are nobody's invention.
const ENDINGS: &[&str] = &[
    "a", "asm", "c", "C", "cc", "cpp", "cxx", "d", "exe", "h", "hh", "hpp", "i", "ii", "m", "mm", "o", "obj", "out",
    "s", "S", "so",
];

/// A number of so many digits in a name is a process's, or a random one.
const DIGITS: usize = 3;

/// How much earlier than another clock's the kernel's clock for files may be.
const TICK: Duration = Duration::from_millis(20);

/// A made-up name in a path, its fixed beginning included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Temporary<'a> {
    /// The name.
    pub name: &'a [u8],
    /// There is a number in it, so that the next one may have another length.
    pub varies: bool,
}

/// Which names are made up.
#[derive(Debug)]
pub struct Temporaries {
    /// Directories in which files are that nobody keeps, and directories of such files.
    places: Vec<PathBuf>,
    /// What is no temporary file though it lies there: the project, gg's own directory.
    kept: Vec<PathBuf>,
    /// When the session began: a directory that is older is no probe's.
    began: SystemTime,
}

impl Temporaries {
    /// For a session that builds in `root`.
    pub fn new(root: &Path, sessions: &Path) -> Self {
        let named = ["TMPDIR", "TMP", "TEMP"].iter().filter_map(|name| std::env::var_os(name).map(PathBuf::from));
        let places = named.filter(|place| place.is_absolute()).chain(["/tmp".into(), "/var/tmp".into()]);
        let kept = vec![root.to_path_buf(), sessions.to_path_buf()];
        Self { places: places.collect(), kept, began: SystemTime::now() - TICK }
    }

    /// Whether a file is one that nobody keeps. Not by the name of a directory that the project is in.
    pub fn holds(&self, path: &Path) -> bool {
        let is_thrown_away = |path: &Path| {
            let name = path.file_name().and_then(|name| made_up(name.as_bytes()));
            name.is_some_and(|(_, throwaway)| throwaway) && !self.leads_to_kept(path)
        };
        self.inside(path).is_some() || path.ancestors().any(is_thrown_away)
    }

    fn leads_to_kept(&self, path: &Path) -> bool {
        self.kept.iter().any(|kept| kept.starts_with(path))
    }

    /// The name directly below a place for temporary files: of a file, or of a directory that was made since the session began
    /// and is for nobody else, as mkdtemp(3) makes it. Another directory there may be somebody's build.
    fn inside<'a>(&self, path: &'a Path) -> Option<&'a OsStr> {
        self.places.iter().find_map(|place| {
            let mut parts = path.strip_prefix(place).ok()?.iter();
            let (name, more) = (parts.next()?, parts.next().is_some());
            let below = place.join(name);
            if self.leads_to_kept(&below) {
                return None;
            }
            let is_own = || {
                let Ok(info) = fs::symlink_metadata(&below) else { return false };
                let made = info.created().or_else(|_| info.modified());
                info.is_dir() && info.mode() & 0o077 == 0 && made.is_ok_and(|made| made >= self.began)
            };
            (!more || is_own()).then_some(name)
        })
    }

    /// The made-up names in a path.
    pub fn names<'a>(&self, path: &'a Path) -> Vec<Temporary<'a>> {
        let mut names: Vec<Temporary> =
            path.iter().filter_map(|part| made_up(part.as_bytes()).map(|(name, _)| name)).collect();
        if let Some(name) = self.inside(path) {
            let is_directory = path.file_name() != Some(name);
            let name = without_ending(name.as_bytes());
            let is_number = |part: &[u8]| part.len() >= DIGITS && part.iter().all(u8::is_ascii_digit);
            let varies = name.split(|byte| !byte.is_ascii_alphanumeric()).any(is_number);
            if (varies || is_directory) && !names.iter().any(|known| name.starts_with(known.name)) {
                names.push(Temporary { name, varies });
            }
        }
        names
    }
}

/// The made-up name that a part of a path begins with, and whether nobody keeps what it is the name of.
fn made_up(part: &[u8]) -> Option<(Temporary<'_>, bool)> {
    NAMES.iter().find_map(|(beginning, made, throwaway)| {
        let rest = part.strip_prefix(beginning.as_bytes())?;
        let of = |is: fn(&u8) -> bool| rest.iter().take_while(|byte| is(byte)).count();
        let length = match *made {
            Made::Alphanumeric(length) => (of(u8::is_ascii_alphanumeric) == length).then_some(length),
            Made::Hexadecimal(length) => (of(u8::is_ascii_hexdigit) == length).then_some(length),
            Made::Lower(length) => {
                let is = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
                (of(is) == length).then_some(length)
            }
            Made::Number => Some(of(u8::is_ascii_digit)).filter(|length| *length > 0 && *length == rest.len()),
        };
        let varies = matches!(made, Made::Number);
        Some((Temporary { name: &part[..beginning.len() + length?], varies }, *throwaway))
    })
}

fn without_ending(name: &[u8]) -> &[u8] {
    let dot = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0);
    match dot {
        Some(dot) if ENDINGS.iter().any(|ending| ending.as_bytes() == &name[dot + 1..]) => &name[..dot],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_made_up() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path();
        let directory = |name: &str, mode: u32| {
            fs::create_dir(place.join(name)).unwrap();
            fs::set_permissions(place.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        directory("old.a8sD7f6s", 0o700);
        std::thread::sleep(2 * TICK);
        let all = Temporaries {
            places: vec![place.to_path_buf()],
            kept: vec![place.join("mine/tree"), place.join("tmp.OurOurOurO/tree")],
            began: SystemTime::now() - TICK,
        };
        for (name, mode) in [("ffconf.a8sD7f6s", 0o700), ("cgF68CaF", 0o700), ("mine", 0o700), ("build-4711", 0o755)] {
            directory(name, mode);
        }
        let rows: &[(&str, &[&str], bool)] = &[
            ("/p/b/CMakeFiles/CMakeScratch/TryCompile-a0Zz9q/src.c", &["TryCompile-a0Zz9q"], true),
            ("/p/TryCompile-a0Zz9q/CMakeFiles/cmTC_0fa3b.dir/src.c.o", &["TryCompile-a0Zz9q", "cmTC_0fa3b"], true),
            ("/p/b/meson-private/tmp_ab0cd9e/testfile.c", &["tmp_ab0cd9e"], false),
            ("/k/.tmp_4711/tmp", &[".tmp_4711"], true),
            ("/p/tmpdir/x.c", &[], false),
            ("/p/.tmp_a.o", &[], false),
            ("/p/cmTC_0fa3b7.c", &[], false),
            ("TMP/tmp.AbCdEfGhIj/x.c", &["tmp.AbCdEfGhIj"], true),
            ("TMP/ffconf.a8sD7f6s/test.c", &["ffconf.a8sD7f6s"], true),
            ("TMP/cgF68CaF/dummy.o", &["cgF68CaF"], true),
            ("TMP/vpx-conf-1234-45.c", &["vpx-conf-1234-45"], true),
            ("TMP/version.o", &[], true),
            ("TMP/v2-1.o", &[], true),
            // Somebody's build, not a probe's.
            ("TMP/build-4711/a.o", &[], false),
            ("TMP/old.a8sD7f6s/a.o", &[], false),
            ("TMP/mine/tree/conftest.c", &[], false),
            // A project may be where mktemp made room for it, and have probes of its own.
            ("TMP/tmp.OurOurOurO/tree/a.o", &["tmp.OurOurOurO"], false),
            ("TMP/tmp.OurOurOurO/tree/cmTC_0fa3b.dir/a.o", &["tmp.OurOurOurO", "cmTC_0fa3b"], true),
        ];
        for (path, names, throwaway) in rows {
            let path = PathBuf::from(path.replace("TMP", place.to_str().unwrap()));
            let found = all.names(&path);
            let found: Vec<_> = found.iter().map(|it| std::str::from_utf8(it.name).unwrap()).collect();
            let found: Vec<_> = found.into_iter().filter(|name| !place.to_str().unwrap().contains(name)).collect();
            assert_eq!(&found[..], *names, "{}", path.display());
            assert_eq!(all.holds(&path), *throwaway, "{}", path.display());
        }
        let varies = |path: &str| {
            let path = PathBuf::from(path.replace("TMP", place.to_str().unwrap()));
            all.names(&path).last().is_some_and(|it| it.varies)
        };
        assert!(varies("TMP/vpx-conf-1234-45.c") && varies("/k/.tmp_4711/tmp"));
        assert!(!varies("/p/cmTC_12345.dir/x") && !varies("TMP/ffconf.a8sD7f6s/test.c"));
    }
}
