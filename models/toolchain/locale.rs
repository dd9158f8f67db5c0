//! Messages and character sets of a language other than plain English.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Parts;

/// The variables that name a locale for messages or characters, the strongest first (locale(7)).
const VARIABLES: &[&str] = &["LC_ALL", "LC_MESSAGES", "LC_CTYPE", "LANG"];

/// Locales that the C library has built in.
const BUILT_IN: &[&str] = &["C", "POSIX"];

/// Plain English in UTF-8: a small directory of its own, in no archive and with no messages.
const PLAIN: &[&str] = &["C.UTF-8", "C.utf8"];

/// The message catalogues of compilers and binutils; Debian's carry a version.
pub(super) const CATALOGUES: &[&str] = &[
    "gcc",
    "gcc-",
    "cpplib",
    "cpplib-",
    "binutils",
    "ld",
    "gas",
    "bfd",
    "opcodes",
    "gold",
    "gprof",
    "libc",
    "libstdc++",
];

/// Where locales and message catalogues are.
const LOCALES: &str = "/usr/lib/locale";
const MESSAGES: &str = "/usr/share/locale";

/// The messages of the C library, which any program may print.
pub(super) const LIBC: &[&str] = &["libc"];

/// Adds the locales that the environment names, with these message catalogues.
pub(super) fn capture(parts: &mut Parts, messages: &[&str]) {
    let mut names: Vec<String> = Vec::new();
    for variable in VARIABLES {
        names.extend(parts.var(variable).and_then(OsStr::to_str).map(str::to_owned));
    }
    names.extend(
        parts.var("LANGUAGE").and_then(OsStr::to_str).into_iter().flat_map(|list| list.split(':')).map(str::to_owned),
    );
    names.retain(|name| !name.is_empty() && !BUILT_IN.contains(&name.as_str()) && !name.contains('/'));
    if names.iter().any(|name| PLAIN.contains(&name.as_str())) {
        names.retain(|name| !PLAIN.contains(&name.as_str()));
        PLAIN.iter().for_each(|name| parts.tree(&Path::new(LOCALES).join(name)));
    }
    if names.is_empty() {
        return;
    }
    parts.file(&Path::new(LOCALES).join("locale-archive"));
    parts.file(&Path::new(MESSAGES).join("locale.alias"));
    for name in names {
        for directory in spellings(&name) {
            parts.tree(&Path::new(LOCALES).join(&directory));
            catalogues(&Path::new(MESSAGES).join(&directory).join("LC_MESSAGES"), messages, parts);
        }
    }
}

/// The directory names that the C library tries: `de_DE.UTF-8`, `de_DE.utf8`, `de_DE`, `de`.
fn spellings(name: &str) -> Vec<String> {
    let (plain, modifier) = name.split_once('@').map_or((name, None), |(plain, modifier)| (plain, Some(modifier)));
    let (territory, codeset) = plain.split_once('.').map_or((plain, None), |(start, set)| (start, Some(set)));
    let language = territory.split('_').next().unwrap_or(territory);
    let mut out = vec![name.to_owned(), plain.to_owned()];
    if let Some(codeset) = codeset {
        let short: String = codeset.chars().filter(char::is_ascii_alphanumeric).collect();
        out.push(format!("{territory}.{}", short.to_lowercase()));
    }
    out.extend(modifier.into_iter().flat_map(|it| [format!("{territory}@{it}"), format!("{language}@{it}")]));
    out.extend([territory.to_owned(), language.to_owned()]);
    out.sort();
    out.dedup();
    out
}

fn catalogues(directory: &Path, messages: &[&str], parts: &mut Parts) {
    for name in parts.world.list(directory).unwrap_or_default() {
        let Some(stem) = name.as_bytes().strip_suffix(b".mo").and_then(|it| std::str::from_utf8(it).ok()) else {
            continue;
        };
        let unversioned = stem.trim_end_matches(|it: char| it.is_ascii_digit() || it == '.');
        if messages.contains(&unversioned) || parts.messages.iter().any(|it| it == stem) {
            parts.file(&directory.join(&name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(spellings("de_DE.UTF-8"), ["de", "de_DE", "de_DE.UTF-8", "de_DE.utf8"]);
        assert_eq!(spellings("sr_RS@latin"), ["sr", "sr@latin", "sr_RS", "sr_RS@latin"]);
    }
}
