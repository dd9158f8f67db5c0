//! Templates of command lines, as GNU parallel has them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What an item and its number, from 1, are turned into.
type Replacement = fn(&OsStr, usize) -> OsString;

/// What stands in a template, longest first, and what it stands for (GNU parallel manual, "Replacement strings").
const STRINGS: &[(&[u8], Replacement)] = &[
    (b"{//}", |item, _| {
        let parent = Path::new(item).parent().unwrap_or(Path::new("."));
        if parent.as_os_str().is_empty() { ".".into() } else { parent.into() }
    }),
    (b"{/.}", |item, _| without_extension(Path::new(item).file_name().unwrap_or(item))),
    (b"{.}", |item, _| without_extension(item)),
    (b"{/}", |item, _| Path::new(item).file_name().unwrap_or(item).to_owned()),
    (b"{#}", |_, number| number.to_string().into()),
    (b"{}", |item, _| item.to_owned()),
];

/// Whether any string in the template stands for the item.
pub fn names_item(template: &OsStr) -> bool {
    let bytes = template.as_bytes();
    STRINGS.iter().any(|(string, _)| *string != b"{#}" && bytes.windows(string.len()).any(|part| part == *string))
}

/// The template for one item; `number` counts from 1.
pub fn fill(template: &OsStr, item: &OsStr, number: usize) -> OsString {
    let mut out = Vec::new();
    let mut rest = template.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        match STRINGS.iter().find(|(string, _)| rest.starts_with(string)) {
            Some((string, of)) => {
                out.extend_from_slice(of(item, number).as_bytes());
                rest = &rest[string.len()..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(out)
}

/// Without the last `.` of its last part, and what follows it.
fn without_extension(path: &OsStr) -> OsString {
    let bytes = path.as_bytes();
    let name = bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    match bytes[name..].iter().rposition(|&byte| byte == b'.') {
        Some(dot) if dot > 0 => OsStr::from_bytes(&bytes[..name + dot]).to_owned(),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_what() {
        for (template, item, filled) in [
            ("{}", "d/a.b.c", "d/a.b.c"),
            ("{.}.o", "d/a.b.c", "d/a.b.o"),
            ("{/}", "d/a.c", "a.c"),
            ("{//}/x", "d/e/a.c", "d/e/x"),
            ("{//}", "a.c", "."),
            ("{/.}", "d/a.c", "a"),
            ("{.}", "d.e/a", "d.e/a"),
            ("{.}", "d/.profile", "d/.profile"),
            ("{#}:{}{}", "x", "3:xx"),
            ("{x} {", "x", "{x} {"),
            ("{}{/", "a", "a{/"),
        ] {
            assert_eq!(fill(template.as_ref(), item.as_ref(), 3), filled, "{template} {item}");
        }
    }

    #[test]
    fn who_names_the_item() {
        assert!(names_item("a{.}b".as_ref()) && names_item("{}".as_ref()));
        assert!(!names_item("{#}".as_ref()) && !names_item("a".as_ref()) && !names_item("{".as_ref()));
    }
}
