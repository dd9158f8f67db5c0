//! What a person sees while a build runs: the output of steps, whole and one at a time, notices, and a status line.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// The terminal, or whatever stands for it.
#[derive(Debug)]
pub struct Console {
    /// Standard error is a terminal.
    terminal: bool,
    status: Mutex<Status>,
}

#[derive(Debug, Default)]
struct Status {
    enabled: bool,
    shown: bool,
}

const CLEAR_LINE: &[u8] = b"\r\x1b[K";

impl Console {
    /// The console; `status` asks for a status line where there is a terminal.
    pub fn new(status: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { terminal, status: Mutex::new(Status { enabled: status && terminal, shown: false }) }
    }

    /// Whether standard error is a terminal, so that steps may colour what they say.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Shows what a step wrote, all of it at once.
    pub fn output(&self, stdout: &[u8], stderr: &[u8]) {
        if stdout.is_empty() && stderr.is_empty() {
            return;
        }
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        self.clear(&mut status);
        // A closed standard output is the caller's wish.
        let _ = write_plainly(&mut io::stdout(), stdout, io::stdout().is_terminal());
        let _ = write_plainly(&mut io::stderr(), stderr, self.terminal);
    }

    /// Shows a message of gg's own.
    pub fn notice(&self, text: &str) {
        self.output(b"", format!("gg: {text}\n").as_bytes());
    }

    /// Shows how far the build is, where a person is looking.
    pub fn status(&self, text: &str) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if !status.enabled {
            return;
        }
        let _ = io::stderr().write_all(&[CLEAR_LINE, text.as_bytes()].concat());
        status.shown = true;
    }

    /// Takes the status line away.
    pub fn end(&self) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        self.clear(&mut status);
        status.enabled = false;
    }

    fn clear(&self, status: &mut Status) {
        if status.shown {
            let _ = io::stderr().write_all(CLEAR_LINE);
            status.shown = false;
        }
    }
}

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
