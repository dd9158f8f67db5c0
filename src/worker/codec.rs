//! The bytes of frames between the pool and its worker processes.
//!
//! Both ends are the same executable, so there is no version and numbers are plain little-endian; what arrives is checked
//! all the same.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Writes fields.
#[derive(Default)]
pub(crate) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub fn small(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: impl AsRef<OsStr>) {
        self.bytes(text.as_ref().as_bytes());
    }

    pub fn list<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.number(items.len() as u64);
        items.for_each(|item| write(self, item));
    }
}

/// Reads what [`Writer`] wrote.
pub(crate) struct Reader<'a>(pub &'a [u8]);

fn short() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed frame between gg and its worker process")
}

impl<'a> Reader<'a> {
    fn raw(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.raw(N)?.try_into().map_err(|_| short())
    }

    pub fn byte(&mut self) -> io::Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn number(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn small(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = usize::try_from(self.number()?).map_err(|_| short())?;
        self.raw(length)
    }

    pub fn text(&mut self) -> io::Result<OsString> {
        Ok(OsString::from_vec(self.bytes()?.to_vec()))
    }

    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> io::Result<T>) -> io::Result<Vec<T>> {
        (0..self.number()?).map(|_| read(self)).collect()
    }

    pub fn invalid<T>(&self) -> io::Result<T> {
        Err(short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut w = Writer::default();
        w.byte(7);
        w.small(u32::MAX);
        w.text("a\nb");
        w.list([1u64, 2].into_iter(), Writer::number);
        let mut r = Reader(&w.0);
        assert_eq!(r.byte().unwrap(), 7);
        assert_eq!(r.small().unwrap(), u32::MAX);
        assert_eq!(r.text().unwrap(), "a\nb");
        assert_eq!(r.list(Reader::number).unwrap(), [1, 2]);
        assert!(r.0.is_empty());
    }

    #[test]
    fn short_frames_are_errors() {
        assert!(Reader(&[1, 2]).number().is_err());
        assert!(Reader(&[255; 8]).bytes().is_err());
        assert!(Reader(&[255; 8]).list(Reader::byte).is_err());
    }
}
