//! What the name of a tool says about it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::World;

/// Whose option table and file names hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// GCC.
    Gcc,
    /// Clang with its GCC-like driver.
    Clang,
}

/// A compiler driver by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Compiler {
    /// Whose options it takes.
    pub family: Family,
    /// It takes `.c` for C++ and links the C++ library (`g++`, `clang++`).
    pub cxx: bool,
}

/// Names of drivers without target and version: name, family where the name says it, C++.
const NAMES: &[(&[u8], Option<Family>, bool)] = &[
    (b"gcc", Some(Family::Gcc), false),
    (b"g++", Some(Family::Gcc), true),
    (b"clang", Some(Family::Clang), false),
    (b"clang++", Some(Family::Clang), true),
    // Its own language is foreign, the rest is GCC's.
    (b"gfortran", Some(Family::Gcc), false),
    // Which compiler these are, only the file behind them says.
    (b"cc", None, false),
    (b"c++", None, true),
    (b"c89", None, false),
    (b"c99", None, false),
];

/// A tool's name without a version at its end (`-12`, `-14.0`) and without the target triple before `tool`, if it is one
/// of `tools`: `x86_64-linux-gnu-gcc-12` is `gcc`.
pub fn bare<'a>(name: &'a OsStr, tools: impl IntoIterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let name = name.as_bytes();
    let unversioned = match name.iter().rposition(|&byte| byte == b'-') {
        Some(dash) if is_version(&name[dash + 1..]) => &name[..dash],
        _ => name,
    };
    tools.into_iter().find(|&tool| {
        unversioned == tool
            || unversioned.strip_suffix(tool).and_then(|head| head.strip_suffix(b"-")).is_some_and(is_target)
    })
}

/// `12`, `14.0`, `4.9.2`
fn is_version(text: &[u8]) -> bool {
    !text.is_empty()
        && text.split(|&byte| byte == b'.').all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// `x86_64-linux-gnu`, `arm-none-eabi`, `avr`; not the `gcc` of `gcc-ar` or the `llvm` of `llvm-ar`, which are other
/// tools.
fn is_target(text: &[u8]) -> bool {
    const OTHER: &[&[u8]] = &[b"gcc", b"g++", b"clang", b"llvm", b"ccache", b"distcc", b"icecc", b"colorgcc", b"eu"];
    let first = text.split(|&byte| byte == b'-').next().unwrap_or_default();
    !first.is_empty()
        && !OTHER.contains(&first)
        && text.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// Whether a tool of this name is a compiler driver.
pub fn is_driver(name: &OsStr) -> bool {
    entry(name).is_some()
}

fn entry(name: &OsStr) -> Option<&'static (&'static [u8], Option<Family>, bool)> {
    let tool = bare(name, NAMES.iter().map(|entry| entry.0))?;
    NAMES.iter().find(|entry| entry.0 == tool)
}

/// The compiler that `tool` is: by its name, or by that of the file behind it where the name is anybody's (`cc`).
pub fn compiler(tool: &Path, world: &dyn World) -> Option<Compiler> {
    let (_, family, cxx) = *entry(tool.file_name()?)?;
    let family = family.or_else(|| {
        let target = world.resolve(tool).ok()?;
        entry(target.file_name()?)?.1
    })?;
    Some(Compiler { family, cxx })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryWorld;

    #[test]
    fn names() {
        let world = MemoryWorld::new();
        let rows: &[(&str, Option<(Family, bool)>)] = &[
            ("gcc", Some((Family::Gcc, false))),
            ("g++", Some((Family::Gcc, true))),
            ("gcc-12", Some((Family::Gcc, false))),
            ("g++-4.9.2", Some((Family::Gcc, true))),
            ("x86_64-linux-gnu-gcc-12", Some((Family::Gcc, false))),
            ("arm-none-eabi-g++", Some((Family::Gcc, true))),
            ("avr-gcc", Some((Family::Gcc, false))),
            ("clang++-14", Some((Family::Clang, true))),
            ("clang", Some((Family::Clang, false))),
            ("gcc-ar", None),
            ("gcc-ar-12", None),
            ("clang-format", None),
            ("clang-format-14", None),
            ("c++filt", None),
            ("mycc", None),
            ("ccache-gcc", None),
            // Nothing stands behind it.
            ("cc", None),
        ];
        for (name, expected) in rows {
            let found = compiler(&Path::new("/usr/bin").join(name), &world);
            assert_eq!(found.map(|it| (it.family, it.cxx)), *expected, "{name}");
        }
        assert!(is_driver(OsStr::new("cc")));
    }
}
