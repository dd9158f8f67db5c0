//! The canonical encoding: one object, one spelling.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::{AbsPath, Tag, VERSION};

/// Why bytes are not the object they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("truncated at byte {at}: {wanted} more bytes wanted")]
    Truncated {
        /// Where the reader stood.
        at: usize,
        /// How many bytes were missing.
        wanted: usize,
    },
    /// The first bytes are not this kind of object's.
    #[error("not a {0}")]
    Magic(&'static str),
    /// An object of another version of gg.
    #[error("written in version {0} of the format; this gg reads version {VERSION}")]
    Version(u8),
    /// A field holds what the writer never writes.
    #[error("invalid {what} before byte {at}")]
    Invalid {
        /// The field.
        what: &'static str,
        /// Where the reader stood after it.
        at: usize,
    },
    /// Bytes are left over.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

/// Writes fields.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub fn new(magic: &[u8; 3]) -> Self {
        let mut bytes = magic.to_vec();
        bytes.push(VERSION);
        Self(bytes)
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Two flags in one byte, the first in the lowest bit.
    pub fn flags(&mut self, first: bool, second: bool) {
        self.byte(u8::from(first) | u8::from(second) << 1);
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    pub fn text(&mut self, text: &OsStr) {
        self.bytes(text.as_bytes());
    }
}

/// Reads what [`Writer`] wrote, and nothing else.
pub(crate) struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], magic: &[u8; 3], what: &'static str) -> Result<Self, DecodeError> {
        let mut reader = Self { all: bytes, at: 0 };
        if !bytes.starts_with(magic) {
            return Err(DecodeError::Magic(what));
        }
        reader.at = magic.len();
        match reader.byte()? {
            VERSION => Ok(reader),
            other => Err(DecodeError::Version(other)),
        }
    }

    pub fn finish(self) -> Result<(), DecodeError> {
        match self.all.len() - self.at {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }

    pub fn invalid(&self, what: &'static str) -> DecodeError {
        DecodeError::Invalid { what, at: self.at }
    }

    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let left = &self.all[self.at..];
        let taken = left
            .get(..length)
            .ok_or(DecodeError::Truncated { at: self.at, wanted: length.saturating_sub(left.len()) })?;
        self.at += length;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N)?);
        Ok(array)
    }

    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn flags(&mut self) -> Result<(bool, bool), DecodeError> {
        match self.byte()? {
            byte @ 0..=3 => Ok((byte & 1 != 0, byte & 2 != 0)),
            _ => Err(self.invalid("set of flags")),
        }
    }

    pub fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 || byte == 0 && shift > 0 {
                break;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.invalid("number"))
    }

    pub fn small(&mut self) -> Result<u32, DecodeError> {
        let number = self.number()?;
        u32::try_from(number).map_err(|_| self.invalid("number"))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.number()?;
        // A length beyond memory is beyond the input too.
        self.raw(usize::try_from(length).unwrap_or(usize::MAX))
    }

    pub fn text(&mut self) -> Result<OsString, DecodeError> {
        Ok(OsString::from_vec(self.bytes()?.to_vec()))
    }

    pub fn tag(&mut self) -> Result<Tag, DecodeError> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.invalid("tag"))?;
        Tag::new(text).map_err(|_| self.invalid("tag"))
    }

    pub fn path(&mut self) -> Result<AbsPath, DecodeError> {
        AbsPath::from_bytes(self.bytes()?).map_err(|_| self.invalid("path"))
    }

    /// Reads a map that must be strictly ascending.
    pub fn map<K: Ord, V>(
        &mut self,
        mut key: impl FnMut(&mut Self) -> Result<K, DecodeError>,
        mut value: impl FnMut(&mut Self) -> Result<V, DecodeError>,
    ) -> Result<std::collections::BTreeMap<K, V>, DecodeError> {
        let mut map = std::collections::BTreeMap::new();
        for _ in 0..self.number()? {
            let next = key(self)?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= next) {
                return Err(self.invalid("order of keys"));
            }
            let held = value(self)?;
            map.insert(next, held);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader(bytes: &[u8]) -> Reader<'_> {
        Reader { all: bytes, at: 0 }
    }

    #[test]
    fn only_the_shortest_number() {
        assert_eq!(reader(&[0x80, 0x01]).number(), Ok(128));
        assert!(reader(&[0x80, 0x00]).number().is_err());
        assert!(reader(&[0xff; 10]).number().is_err());
        assert!(matches!(reader(&[0x80]).number(), Err(DecodeError::Truncated { .. })));
    }

    proptest! {
        #[test]
        fn numbers_survive(number: u64) {
            let mut writer = Writer(Vec::new());
            writer.number(number);
            let bytes = writer.finish();
            prop_assert_eq!(reader(&bytes).number(), Ok(number));
        }
    }
}
