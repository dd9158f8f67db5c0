//! What loaders say when a library is not there.

use std::path::Path;

/// The shared library that a loader did not find, by its file name, where this text says so as the GNU C library's or musl's
/// loader does.
pub fn missing_library(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().find(|line| {
        line.contains("error while loading shared libraries: ") || line.contains("Error loading shared library ")
    })?;
    let rest = line.split_once("libraries: ").or_else(|| line.split_once("shared library "))?.1;
    let library = rest.split([':', ' ']).next().filter(|name| !name.is_empty())?;
    Some(Path::new(library).file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_loaders_miss() {
        let said = |text: &str| missing_library(text.as_bytes());
        let glibc =
            "a.out: error while loading shared libraries: libx.so.1: cannot open shared object file: No such file";
        assert_eq!(said(glibc).as_deref(), Some("libx.so.1"));
        let musl = "Error loading shared library libx.so.1: No such file or directory (needed by /bin/a)";
        assert_eq!(said(musl).as_deref(), Some("libx.so.1"));
        assert_eq!(said("libx.so.1: something else"), None);
    }
}
