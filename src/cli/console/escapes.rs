//! What a step said, for those who have no terminal.

use std::io::{self, Write};

/// Writes to a descriptor that a caller gave, without colours unless it is a terminal: what a step said may come from a
/// run that had one.
///
/// # Errors
/// Whatever the write says.
pub fn write_plainly(to: &mut impl Write, bytes: &[u8], terminal: bool) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    if terminal {
        to.write_all(bytes)?
    } else {
        to.write_all(&without_escapes(bytes))?
    }
    to.flush()
}

/// Text without the escape sequences of ECMA-48 that compilers use: CSI (colours) and OSC (links).
fn without_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        rest = match (first, tail.first()) {
            (0x1b, Some(b'[')) => {
                // Parameters and intermediates, then one final byte.
                let end = tail[1..].iter().position(|b| (0x40..=0x7e).contains(b));
                end.map_or(&[][..], |end| &tail[end + 2..])
            }
            (0x1b, Some(b']')) => {
                // Ended by BEL, or by ESC and a backslash.
                let bell = tail.iter().position(|&b| b == 7).map(|at| at + 1);
                let string = tail.windows(2).position(|pair| pair == b"\x1b\\").map(|at| at + 2);
                let end = [bell, string].into_iter().flatten().min().unwrap_or(tail.len());
                &tail[end..]
            }
            _ => {
                out.push(first);
                tail
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::without_escapes;

    #[test]
    fn colours_and_links_go() {
        let coloured = b"\x1b[01m\x1b[Ka.c:1:\x1b[m\x1b[K w \x1b]8;;http://x\x07-Wall\x1b]8;;\x1b\\!";
        assert_eq!(without_escapes(coloured), b"a.c:1: w -Wall!");
        assert_eq!(without_escapes(b"plain\x1b"), b"plain\x1b");
    }
}
