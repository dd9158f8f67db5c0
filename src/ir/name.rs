//! Names: what an object is called is what it contains.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::codec::{DecodeError, Reader, Writer};

/// Whether an object needs evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A value: bytes that stand for themselves.
    Value,
    /// A thunk: the description of a computation.
    Thunk,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Kind::Value => 'V',
            Kind::Thunk => 'T',
        }
    }
}

/// The name of an object: its kind, the SHA-256 of its bytes and their number.
///
/// Written as the kind's letter, the digest in 43 characters of URL-safe base64 (RFC 4648, section 5, no padding), and
/// the length in at least 8 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    kind: Kind,
    digest: [u8; 32],
    length: u64,
}

/// Why a text is no name, tag or reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text does not have the form of a name.
    #[error("{0:?} is not an object's name (V or T, 43 base64 characters, 8 or more hexadecimal digits)")]
    Name(String),
    /// The text after `#` is not a tag.
    #[error("{0:?} is not an output's tag (1 to 64 letters, digits, '.', '_', '-', '+')")]
    Tag(String),
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const DIGEST_CHARS: usize = 43;

fn encode_digest(digest: &[u8; 32], out: &mut String) {
    for chunk in digest.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
}

fn decode_digest(text: &[u8]) -> Option<[u8; 32]> {
    let mut digest = [0u8; 32];
    let (mut bits, mut held, mut at) = (0u32, 0, 0);
    for &byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            *digest.get_mut(at)? = (bits >> held) as u8;
            bits &= (1 << held) - 1;
            at += 1;
        }
    }
    // 43 characters hold 258 bits: the last two must be zero, or one digest would have four spellings.
    (at == 32 && bits == 0).then_some(digest)
}

impl Name {
    /// The name of the value with these bytes.
    pub fn of_value(bytes: &[u8]) -> Self {
        Self::of(Kind::Value, bytes)
    }

    /// The name of the object of this kind with these bytes.
    pub fn of(kind: Kind, bytes: &[u8]) -> Self {
        Self { kind, digest: Sha256::digest(bytes).into(), length: bytes.len() as u64 }
    }

    /// A name from its parts.
    pub fn from_parts(kind: Kind, digest: [u8; 32], length: u64) -> Self {
        Self { kind, digest, length }
    }

    /// Value or thunk.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The SHA-256 of the object's bytes.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The number of the object's bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether these are the bytes so named.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        *self == Self::of(self.kind, bytes)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.byte(self.kind.letter() as u8);
        writer.raw(&self.digest);
        writer.number(self.length);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = match reader.byte()? {
            b'V' => Kind::Value,
            b'T' => Kind::Thunk,
            _ => return Err(reader.invalid("kind of a name")),
        };
        let digest = reader.array()?;
        Ok(Self { kind, digest, length: reader.number()? })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(1 + DIGEST_CHARS + 8);
        text.push(self.kind.letter());
        encode_digest(&self.digest, &mut text);
        write!(f, "{text}{:08x}", self.length)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parse = || {
            let (letter, rest) = text.as_bytes().split_first()?;
            let kind = match letter {
                b'V' => Kind::Value,
                b'T' => Kind::Thunk,
                _ => return None,
            };
            let digest = decode_digest(rest.get(..DIGEST_CHARS)?)?;
            let hex = rest.get(DIGEST_CHARS..)?;
            let lower = hex.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
            // More than eight digits only where they are needed, so that one name has one spelling.
            let minimal = hex.len() == 8 || (9..=16).contains(&hex.len()) && hex[0] != b'0';
            if !(lower && minimal) {
                return None;
            }
            let length = u64::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
            Some(Name { kind, digest, length })
        };
        parse().ok_or_else(|| NameError::Name(text.to_owned()))
    }
}

/// Computes a name from bytes that arrive in pieces.
#[derive(Clone, Default)]
pub struct Hasher {
    sha: Sha256,
    length: u64,
}

impl Hasher {
    /// Nothing hashed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The name of all the bytes as an object of this kind.
    pub fn finish(self, kind: Kind) -> Name {
        Name { kind, digest: self.sha.finalize().into(), length: self.length }
    }
}

/// The name of one output within its thunk: 1 to 64 ASCII letters, digits, `.`, `_`, `-`, `+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// Checks and makes a tag.
    ///
    /// # Errors
    /// [`NameError::Tag`] when the text does not have a tag's form.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+'));
        if fits { Ok(Self(text)) } else { Err(NameError::Tag(text)) }
    }

    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an input refers to: a value, or one output of a thunk. Written `NAME` or `NAME#TAG`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// A value.
    Value(Name),
    /// The output `tag` of the thunk `name`.
    Output(Name, Tag),
}

impl Reference {
    /// The object referred to, without the tag.
    pub fn name(&self) -> &Name {
        match self {
            Reference::Value(name) | Reference::Output(name, _) => name,
        }
    }

    /// The thunk that must be evaluated first, if any.
    pub fn thunk(&self) -> Option<&Name> {
        match self {
            Reference::Value(_) => None,
            Reference::Output(name, _) => Some(name),
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        self.name().write(writer);
        if let Reference::Output(_, tag) = self {
            writer.bytes(tag.as_str().as_bytes());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = Name::read(reader)?;
        Ok(match name.kind() {
            Kind::Value => Reference::Value(name),
            Kind::Thunk => Reference::Output(name, reader.tag()?),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Value(name) => name.fmt(f),
            Reference::Output(name, tag) => write!(f, "{name}#{tag}"),
        }
    }
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('#') {
            None => {
                let name: Name = text.parse()?;
                if name.kind() == Kind::Thunk { Err(NameError::Tag(String::new())) } else { Ok(Reference::Value(name)) }
            }
            Some((name, tag)) => {
                let name: Name = name.parse()?;
                if name.kind() == Kind::Value {
                    return Err(NameError::Name(text.to_owned()));
                }
                Ok(Reference::Output(name, Tag::new(tag)?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_empty_value() {
        // SHA-256 of nothing, e3b0c442...b855, in base64.
        let name = Name::of_value(b"").to_string();
        assert_eq!(name, "V47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU00000000");
    }

    #[test]
    fn what_is_no_name() {
        let good = Name::of_value(b"x").to_string();
        for bad in [&good[1..], &good[..good.len() - 1], &format!("{good}0"), &good.replace('V', "W"), "", "V"] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reference_to_a_thunk_needs_a_tag() {
        let thunk = Name::of(Kind::Thunk, b"x").to_string();
        assert!(thunk.parse::<Reference>().is_err());
        assert!(format!("{thunk}#o").parse::<Reference>().is_ok());
        assert!(format!("{thunk}#o/../x").parse::<Reference>().is_err());
        assert!(format!("{}#o", Name::of_value(b"x")).parse::<Reference>().is_err());
    }

    proptest! {
        #[test]
        fn names_survive_text(digest: [u8; 32], length: u64, thunk: bool) {
            let name = Name::from_parts(if thunk { Kind::Thunk } else { Kind::Value }, digest, length);
            prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            if let Ok(name) = text.parse::<Name>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }

        #[test]
        fn pieces_do_not_matter(bytes: Vec<u8>, at: prop::sample::Index) {
            let (left, right) = bytes.split_at(at.index(bytes.len() + 1));
            let mut hasher = Hasher::new();
            hasher.update(left);
            hasher.update(right);
            prop_assert_eq!(hasher.finish(Kind::Value), Name::of_value(&bytes));
        }
    }
}
