//! Names and words with `*` for anything and `?` for one character.

/// Whether `word` fits `pattern`.
pub(crate) fn fits(pattern: &str, word: &[u8]) -> bool {
    matches(pattern.as_bytes(), word, |a, b| a == b)
}

/// Whether `word` fits one of `patterns`.
pub(crate) fn fits_one(patterns: &[String], word: &[u8]) -> bool {
    patterns.iter().any(|pattern| fits(pattern, word))
}

/// Whether `line` fits one of `patterns`, in whatever case its letters are.
pub(crate) fn line_fits(patterns: &[String], line: &[u8]) -> bool {
    patterns.iter().any(|pattern| matches(pattern.as_bytes(), line, |a, b| a.eq_ignore_ascii_case(&b)))
}

fn matches(pattern: &[u8], word: &[u8], same: fn(u8, u8) -> bool) -> bool {
    // Where to go on, should what follows the last `*` not fit: the `*`, and what it has taken.
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < word.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&byte) if byte == b'?' || same(byte, word[read]) => (at, read) = (at + 1, read + 1),
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (at, read) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// Whether `content` begins as `pattern` says, where each character is one byte and `?` any.
pub(crate) fn begins(pattern: &str, content: &[u8]) -> bool {
    let wanted: Vec<char> = pattern.chars().collect();
    content.len() >= wanted.len()
        && wanted.iter().zip(content).all(|(&want, &byte)| want == '?' || u32::from(want) == u32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("dwp", "dwp", true),
            ("*-dwp", "x86_64-linux-gnu-dwp", true),
            ("*-dwp", "dwp", false),
            ("dwp*", "dwp-14", true),
            ("a*b*c", "a__b_c", true),
            ("a*b*c", "a__c", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("*a*ab", "aaaaab", true),
        ] {
            assert_eq!(fits(pattern, name.as_bytes()), expected, "{pattern} {name}");
        }
        assert!(line_fits(&["%option*prefix*".into()], b"%OPTION noyywrap Prefix=\"a\""));
    }

    #[test]
    fn beginnings() {
        assert!(begins("\u{89}PNG", b"\x89PNG\r\n"));
        assert!(begins("????ftyp", b"\0\0\0\x20ftypisom"));
        assert!(!begins("GIF8", b"GIF"));
    }
}
