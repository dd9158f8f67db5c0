//! What the probe says.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Before the records: what else is on standard output comes from the interpreter's start.
const MARK: &[u8] = b"gg-capture\0";

/// One thing that it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub kind: String,
    pub first: OsString,
    pub second: OsString,
}

impl Record {
    pub fn path(&self) -> PathBuf {
        PathBuf::from(&self.first)
    }
}

/// The records; `None` if they are not all there.
pub(crate) fn records(output: &[u8]) -> Option<Vec<Record>> {
    let start = output.windows(MARK.len()).position(|part| part == MARK)? + MARK.len();
    let texts: Vec<&OsStr> =
        output[start..].strip_suffix(b"\0")?.split(|&byte| byte == 0).map(OsStr::from_bytes).collect();
    let (records, []) = texts.as_chunks::<3>() else { return None };
    let record = |[kind, first, second]: &[&OsStr; 3]| Record {
        kind: kind.to_string_lossy().into_owned(),
        first: first.into(),
        second: second.into(),
    };
    Some(records.iter().map(record).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_is_passed_over() {
        let record = |kind: &str, first: &str| Record { kind: kind.into(), first: first.into(), second: "".into() };
        let found = records(b"hello\ngg-capture\0file\0/a b\0\0tree\0/c\0\0");
        assert_eq!(found, Some(vec![record("file", "/a b"), record("tree", "/c")]));
        assert_eq!(records(b"hello\n"), None);
        assert_eq!(records(b"gg-capture\0file\0/a"), None);
        assert_eq!(records(b"gg-capture\0file\0/a\0"), None);
    }
}
