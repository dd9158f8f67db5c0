//! The names of outputs that no option or operand names.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::description::{Derived, Origin};
use super::given::Given;
use super::pattern::{fits, fits_one};
use crate::Reason;

/// What stands in braces in a name.
const PLACES: &[&str] = &["path", "stem", "file", "file-stem", "below", "below-stem"];

/// Whether a name in a data file can be understood.
pub(super) fn check(template: &str, is_option: impl Fn(&str) -> bool) -> Result<(), &'static str> {
    for part in template.split('{').skip(1) {
        let Some((place, _)) = part.split_once('}') else { return Err("a brace does not close in") };
        if !PLACES.contains(&place) && !is_option(place) {
            return Err("neither a part of a name nor an option stands in braces in");
        }
    }
    Ok(())
}

/// The outputs of a call by one row; `below` says where a file lies in the directories in which names are looked for.
///
/// # Errors
/// Where the row is about the call, but does not say what the output is called.
pub(super) fn names(
    row: &Derived,
    given: &Given<'_>,
    below: &dyn Fn(&OsStr) -> Option<OsString>,
) -> Result<Vec<OsString>, Reason> {
    let is_given = |names: &Vec<String>| names.iter().any(|name| given.without_name(name));
    if !row.with.iter().all(is_given) || row.without.iter().any(|name| given.has(name)) {
        return Ok(Vec::new());
    }
    let origins: Vec<&OsStr> = match &row.origin {
        Origin::First => given.operands.first().map(|name| &**name).into_iter().collect(),
        Origin::Each => given.operands.clone(),
        Origin::Options(names) => names.iter().filter_map(|name| given.value(name)).take(1).collect(),
    };
    let mut out = Vec::new();
    for origin in origins {
        let unknown = || Reason::Malformed(format!("what is written for {}", origin.to_string_lossy()));
        if fits_one(&row.except, origin.as_bytes()) {
            return Err(unknown());
        }
        let template = row.names.iter().find(|(pattern, _)| fits(pattern, origin.as_bytes()));
        let (_, template) = template.ok_or_else(unknown)?;
        out.push(filled(template, origin, given, below).ok_or_else(unknown)?);
    }
    Ok(out)
}

fn filled(
    template: &str,
    origin: &OsStr,
    given: &Given<'_>,
    below: &dyn Fn(&OsStr) -> Option<OsString>,
) -> Option<OsString> {
    let mut parts = template.split('{');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (place, rest) = part.split_once('}')?;
        match place {
            "path" => out.extend(origin.as_bytes()),
            "stem" => out.extend(stem(origin).as_bytes()),
            "file" => out.extend(Path::new(origin).file_name()?.as_bytes()),
            "file-stem" => out.extend(Path::new(origin).file_stem()?.as_bytes()),
            "below" => out.extend(below(origin)?.as_bytes()),
            "below-stem" => out.extend(stem(&below(origin)?).as_bytes()),
            option => out.extend(given.value(option)?.as_bytes()),
        }
        out.extend(rest.as_bytes());
    }
    Some(OsString::from_vec(out))
}

/// A path without its last suffix.
fn stem(path: &OsStr) -> OsString {
    Path::new(path).with_extension("").into_os_string()
}
