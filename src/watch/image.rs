//! What the kernel opens by itself, without a system call to trap, when it executes a file.
//!
//! Sources: `execve(2)` and `fs/binfmt_script.c` for `#!` (at most 256 bytes of the line, blanks around the name are
//! dropped); the System V ABI for `PT_INTERP`.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

/// How many bytes of a script's first line the kernel looks at (`BINPRM_BUF_SIZE`).
const LINE: usize = 256;
/// The program headers follow the ELF header, and linkers put the interpreter's name right behind them.
const HEAD: usize = 4096;
const PT_INTERP: u32 = 3;

/// The program that the kernel will start in place of, or before, the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Interpreter {
    /// Of a script; can be a script itself.
    Script(Vec<u8>),
    /// The dynamic loader of a program; cannot have an interpreter.
    Loader(Vec<u8>),
}

/// The interpreter of an executable, if it has one and can be read.
pub(crate) fn interpreter(file: OwnedFd) -> Option<Interpreter> {
    let mut head = [0u8; HEAD];
    let length = File::from(file).read_at(&mut head, 0).ok()?;
    parse(&head[..length])
}

fn parse(head: &[u8]) -> Option<Interpreter> {
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = &line[..line.len().min(LINE - 2)];
        let line = line.split(|b| *b == b'\n').next()?;
        let mut words = line.split(|b| matches!(b, b' ' | b'\t' | 0)).filter(|w| !w.is_empty());
        return words.next().map(|w| Interpreter::Script(w.to_vec()));
    }
    loader(head).map(Interpreter::Loader)
}

fn loader(head: &[u8]) -> Option<Vec<u8>> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    // (where e_phoff, e_phentsize and e_phnum are; where p_offset and p_filesz are; bytes of an offset)
    let (phoff, entry, count, offset, size, width) = match head.get(4)? {
        1 => (0x1c, 0x2a, 0x2c, 0x04, 0x10, 4),
        2 => (0x20, 0x36, 0x38, 0x08, 0x20, 8),
        _ => return None,
    };
    let table = number(head, phoff, width)?;
    let (entry, count) = (number(head, entry, 2)?, number(head, count, 2)?);
    for i in 0..count {
        let header = table.checked_add(i * entry)?;
        if number(head, header, 4)? == PT_INTERP as usize {
            let start = number(head, header.checked_add(offset)?, width)?;
            let length = number(head, header.checked_add(size)?, width)?;
            let name = head.get(start..start.checked_add(length)?)?;
            return name.split(|b| *b == 0).next().map(<[u8]>::to_vec);
        }
    }
    None
}

/// A little-endian number of `width` bytes.
fn number(head: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = head.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines() {
        let row: &[(&[u8], Option<&[u8]>)] = &[
            (b"#!/bin/sh\necho", Some(b"/bin/sh")),
            (b"#! \t./tool -x y\n", Some(b"./tool")),
            (b"#!/bin/sh", Some(b"/bin/sh")),
            (b"#!\n/bin/sh", None),
            (b"# !/bin/sh\n", None),
            (b"", None),
        ];
        for (head, name) in row {
            assert_eq!(parse(head), name.map(|n| Interpreter::Script(n.to_vec())));
        }
    }

    #[test]
    fn loaders() {
        let me = File::open("/proc/self/exe").unwrap();
        let Some(Interpreter::Loader(name)) = interpreter(me.into()) else { panic!("this test is not dynamic") };
        assert!(name.starts_with(b"/lib"), "{name:?}");
        let mut head = std::fs::read("/proc/self/exe").unwrap();
        head.truncate(HEAD);
        for length in 0..200 {
            parse(&head[..length]);
        }
        head[0x20..0x28].fill(0xff);
        assert_eq!(parse(&head), None);
    }
}
