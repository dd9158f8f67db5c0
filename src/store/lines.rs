//! Lines with a checksum: how stamps and origins are written down.
//!
//! A line is 16 hexadecimal digits of FNV-1a over the rest, a space, and fields separated by spaces. A damaged or torn
//! line is skipped and damages no other. FNV is enough against accidents: any single changed byte changes the sum.

use gg_ir::Name;

use crate::stamp::Stamp;

pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// One line being written.
pub(crate) struct Line(Vec<u8>);

impl Line {
    pub fn new() -> Self {
        Self(Vec::with_capacity(192))
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.push(b' ');
        }
    }

    pub fn text(mut self, text: &str) -> Self {
        self.separate();
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub fn name(self, name: &Name) -> Self {
        self.text(&name.to_string())
    }

    pub fn number(self, number: u64) -> Self {
        self.text(&format!("{number:x}"))
    }

    pub fn stamp(self, stamp: &Stamp) -> Self {
        // The times go through their two's complement, so that times before 1970 survive.
        self.number(stamp.device)
            .number(stamp.inode)
            .number(stamp.size)
            .number(stamp.mode.into())
            .number(stamp.mtime_ns as u64)
            .number(stamp.ctime_ns as u64)
    }

    /// Arbitrary bytes, as the last field.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.separate();
        for &byte in bytes {
            match byte {
                b'\n' => self.0.extend_from_slice(b"\\n"),
                b'\\' => self.0.extend_from_slice(b"\\\\"),
                _ => self.0.push(byte),
            }
        }
        self
    }

    pub fn append_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{:016x} ", checksum(&self.0)).as_bytes());
        out.extend_from_slice(&self.0);
        out.push(b'\n');
    }
}

/// The fields of one line being read.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Every undamaged line of a file.
    pub fn lines(file: &'a [u8]) -> impl Iterator<Item = Fields<'a>> {
        file.split(|&byte| byte == b'\n').filter_map(|line| {
            let (sum, rest) = (line.get(..16)?, line.get(17..)?);
            let sum = u64::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
            (line[16] == b' ' && sum == checksum(rest)).then_some(Fields(rest))
        })
    }

    pub fn text(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|&byte| byte == b' ').unwrap_or(self.0.len());
        let (field, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        std::str::from_utf8(field).ok()
    }

    pub fn name(&mut self) -> Option<Name> {
        self.text()?.parse().ok()
    }

    pub fn number(&mut self) -> Option<u64> {
        u64::from_str_radix(self.text()?, 16).ok()
    }

    pub fn stamp(&mut self) -> Option<Stamp> {
        Some(Stamp {
            device: self.number()?,
            inode: self.number()?,
            size: self.number()?,
            mode: self.number()?.try_into().ok()?,
            mtime_ns: self.number()? as i64,
            ctime_ns: self.number()? as i64,
        })
    }

    /// All that is left.
    pub fn bytes(self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut rest = self.0.iter();
        while let Some(&byte) = rest.next() {
            bytes.push(match byte {
                b'\\' => match rest.next()? {
                    b'n' => b'\n',
                    b'\\' => b'\\',
                    _ => return None,
                },
                byte => byte,
            });
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reading_undoes_writing(content: Vec<u8>, path: Vec<u8>, number: u64, mtime_ns: i64, ctime_ns: i64) {
            let stamp = Stamp { device: number, inode: 7, size: 0, mode: 0o100644, mtime_ns, ctime_ns };
            let name = Name::of_value(&content);
            let mut file = b"torn".to_vec();
            file.push(b'\n');
            for _ in 0..2 {
                Line::new().text("f").name(&name).stamp(&stamp).bytes(&path).append_to(&mut file);
            }
            prop_assert_eq!(Fields::lines(&file).count(), 2);
            let mut fields = Fields::lines(&file).next().unwrap();
            prop_assert_eq!(fields.text(), Some("f"));
            prop_assert_eq!(fields.name(), Some(name));
            prop_assert_eq!(fields.stamp(), Some(stamp));
            prop_assert_eq!(fields.bytes(), Some(path));
        }

        #[test]
        fn a_changed_byte_is_noticed(at: prop::sample::Index, byte: u8) {
            let mut file = Vec::new();
            Line::new().name(&Name::of_value(b"x")).bytes(b"/some/path").append_to(&mut file);
            let good = file.clone();
            let at = at.index(file.len() - 1);
            file[at] = byte;
            // An upper-case digit of the checksum is the same number.
            prop_assert!(file.eq_ignore_ascii_case(&good) || Fields::lines(&file).next().is_none());
        }

        #[test]
        fn garbage_does_not_panic(bytes: Vec<u8>) {
            for mut fields in Fields::lines(&bytes) {
                let _ = (fields.name(), fields.stamp(), fields.bytes());
            }
        }
    }
}
