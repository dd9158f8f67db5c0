//! Texts by the columns that they take.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for what was left out.
const GAP: &str = "...";

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// `text` without what a terminal would take for a command.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A path in no more than `width` columns: what is left out is in its middle, since its end says most, and a bit of the
/// beginning says where.
pub fn shorten(path: &str, width: usize) -> String {
    if columns(path) <= width {
        return path.to_owned();
    }
    let Some(rest) = width.checked_sub(GAP.len()) else { return GAP[..width].to_owned() };
    let tail = rest - rest / 3;
    let end = suffix(path, tail);
    // What the end could not use.
    let start = prefix(path, rest - columns(end));
    format!("{start}{GAP}{end}")
}

fn prefix(text: &str, width: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > width
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

fn suffix(text: &str, width: usize) -> &str {
    let mut used = 0;
    let begin = text.char_indices().rev().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > width
    });
    &text[begin.map_or(0, |(at, c)| at + c.len_utf8())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_goes() {
        assert_eq!(shorten("src/a.o", 7), "src/a.o");
        assert_eq!(shorten("src/deep/in/the/tree/a.o", 12), "src...ee/a.o");
        assert_eq!(shorten("abcdefgh", 4), "...h");
        assert_eq!(shorten("abcdefgh", 2), "..");
        assert_eq!(shorten("abcdefgh", 0), "");
    }

    #[test]
    fn wide_letters_count_twice() {
        let path = "源代码/主程序/模块.o";
        for width in 0..=columns(path) {
            assert!(columns(&shorten(path, width)) <= width, "{width}");
        }
        assert_eq!(shorten(path, 14), "源代.../模块.o");
        assert_eq!(printable("a\x1b[31m\n"), "a?[31m?");
    }
}
