//! Names that are made up anew each time, and which of them a path holds.
//!
//! Configuration makes its test programs in directories and files whose names hold a random or a process's number. The same
//! question asked again has other names in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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

/// Beginnings of names, with what is made up, and who does that.
const NAMES: &[(&str, Made)] = &[
    ("TryCompile-", Made::Alphanumeric(6)), // CMake since 3.25 (cmCoreTryCompile.cxx): a directory
    ("cmTC_", Made::Hexadecimal(5)),        // CMake: a target
    ("tmp", Made::Lower(8)),                // Python's tempfile (Meson)
    ("tmp.", Made::Alphanumeric(10)),       // mktemp(1)
    (".tmp_", Made::Number),                // the Linux kernel's `try-run`
];

/// Endings that say what a file is, and are nobody's invention.
const ENDINGS: &[&str] = &[
    "a", "asm", "c", "C", "cc", "cpp", "cxx", "d", "exe", "h", "hh", "hpp", "i", "ii", "m", "mm", "o", "obj", "out",
    "s", "S", "so",
];

/// Shorter names might stand in a file by chance.
const SHORTEST: usize = 6;

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
    /// Directories in which every name is.
    places: Vec<PathBuf>,
    /// What is no temporary file though it lies there: the project, gg's own directory.
    kept: Vec<PathBuf>,
}

impl Temporaries {
    /// For a session that builds in `root`.
    pub fn new(root: &Path, sessions: &Path) -> Self {
        let named = ["TMPDIR", "TMP", "TEMP"].iter().filter_map(|name| std::env::var_os(name).map(PathBuf::from));
        let places = named.filter(|place| place.is_absolute()).chain(["/tmp".into(), "/var/tmp".into()]);
        Self { places: places.collect(), kept: vec![root.to_path_buf(), sessions.to_path_buf()] }
    }

    /// Whether a path is a temporary file's, or lies in a temporary directory.
    pub fn holds(&self, path: &Path) -> bool {
        self.inside(path).is_some()
    }

    /// The name directly below a place for temporary files, if the project is not there too.
    fn inside<'a>(&self, path: &'a Path) -> Option<&'a OsStr> {
        self.places.iter().find_map(|place| {
            let name = path.strip_prefix(place).ok()?.iter().next()?;
            let below = place.join(name);
            (!self.kept.iter().any(|kept| kept.starts_with(&below))).then_some(name)
        })
    }

    /// The made-up names in a path.
    pub fn names<'a>(&self, path: &'a Path) -> Vec<Temporary<'a>> {
        let mut names: Vec<Temporary> = path.iter().filter_map(|part| made_up(part.as_bytes())).collect();
        if let Some(name) = self.inside(path) {
            let name = without_ending(name.as_bytes());
            if name.len() >= SHORTEST && !names.iter().any(|known| name.starts_with(known.name)) {
                let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
                let varies = name.split(|byte| !byte.is_ascii_alphanumeric()).any(is_number);
                names.push(Temporary { name, varies });
            }
        }
        names
    }
}

/// The made-up name that a part of a path begins with.
fn made_up(part: &[u8]) -> Option<Temporary<'_>> {
    NAMES.iter().find_map(|(beginning, made)| {
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
        Some(Temporary { name: &part[..beginning.len() + length?], varies })
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
    use super::*;

    #[test]
    fn what_is_made_up() {
        let all = Temporaries { places: vec!["/tmp".into()], kept: vec!["/tmp/mine/tree".into()] };
        let rows: &[(&str, &[&str])] = &[
            ("/p/b/CMakeFiles/CMakeScratch/TryCompile-a0Zz9q/src.c", &["TryCompile-a0Zz9q"]),
            ("/p/b/TryCompile-a0Zz9q/CMakeFiles/cmTC_0fa3b.dir/src.c.o", &["TryCompile-a0Zz9q", "cmTC_0fa3b"]),
            ("/p/b/meson-private/tmp_ab0cd9e/testfile.c", &["tmp_ab0cd9e"]),
            ("/tmp/tmp.AbCdEfGhIj/x.c", &["tmp.AbCdEfGhIj"]),
            ("/k/.tmp_4711/tmp", &[".tmp_4711"]),
            ("/tmp/ffconf.a8sD7f6s/test.c", &["ffconf.a8sD7f6s"]),
            ("/tmp/vpx-conf-123-45.c", &["vpx-conf-123-45"]),
            ("/tmp/cgF68CaF/dummy.o", &["cgF68CaF"]),
            ("/tmp/mine/tree/conftest.c", &[]),
            ("/tmp/a.c", &[]),
            ("/p/tmpdir/x.c", &[]),
            ("/p/.tmp_a.o", &[]),
            ("/p/cmTC_0fa3b7.c", &[]),
        ];
        for (path, names) in rows {
            let found = all.names(Path::new(path));
            let found: Vec<_> = found.iter().map(|it| std::str::from_utf8(it.name).unwrap()).collect();
            assert_eq!(&found[..], *names, "{path}");
        }
        let varies = |path: &'static str| all.names(Path::new(path))[0].varies;
        assert!(varies("/tmp/vpx-conf-123-45.c") && varies("/k/.tmp_4711/tmp"));
        assert!(!varies("/p/cmTC_12345.dir/x") && !varies("/tmp/ffconf.a8sD7f6s/test.c"));
        assert!(all.holds(Path::new("/tmp/a.c")) && !all.holds(Path::new("/tmp/mine/tree/a.c")));
    }
}
