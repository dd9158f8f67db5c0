//! The index of a pack.

use gg_ir::{Kind, Name};

use super::{MAGIC, PackError, PackId};

/// The footer's length in bytes.
pub(in crate::remote) const FOOTER: u64 = 8 + 32 + 4;
/// The fewest bytes that an object takes in the index: its kind, its digest and its length.
const LEAST: usize = 34;

/// One zstd frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remote) struct Block {
    /// Where it begins in the pack.
    pub offset: u64,
    /// Its compressed length.
    pub length: u64,
    /// Its objects: the first one's place in the index, and how many.
    first: usize,
    count: usize,
}

/// What is where in a pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::remote) struct Index {
    blocks: Vec<Block>,
    names: Vec<Name>,
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// What is left of an index being read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], PackError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(PackError::Invalid("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, PackError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            number |= bits << shift;
            if bits << shift >> shift != bits {
                break;
            }
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(PackError::Invalid("a number is too large"))
    }

    fn name(&mut self) -> Result<Name, PackError> {
        let kind = match self.take(1)?[0] {
            b'V' => Kind::Value,
            b'T' => Kind::Thunk,
            _ => return Err(PackError::Invalid("the kind of a name")),
        };
        let mut digest = [0; 32];
        digest.copy_from_slice(self.take(32)?);
        Ok(Name::from_parts(kind, digest, self.number()?))
    }
}

impl Index {
    /// Adds a block behind the others.
    pub fn push(&mut self, length: u64, names: &[Name]) {
        let offset = self.end();
        self.blocks.push(Block { offset, length, first: self.names.len(), count: names.len() });
        self.names.extend_from_slice(names);
    }

    /// Where the blocks end, and the index begins.
    pub fn end(&self) -> u64 {
        self.blocks.last().map_or(MAGIC.len() as u64, |block| block.offset + block.length)
    }

    /// The blocks, each with the names of what is in it, in order.
    pub fn blocks(&self) -> impl Iterator<Item = (&Block, &[Name])> {
        self.blocks.iter().map(|block| (block, &self.names[block.first..block.first + block.count]))
    }

    /// One block.
    pub fn block(&self, number: usize) -> (&Block, &[Name]) {
        let block = &self.blocks[number];
        (block, &self.names[block.first..block.first + block.count])
    }

    /// Every object.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.iter()
    }

    /// The index's bytes, without the footer.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.names.len() * 38);
        put_number(&mut out, self.blocks.len() as u64);
        for (block, names) in self.blocks() {
            put_number(&mut out, block.length);
            put_number(&mut out, names.len() as u64);
            for name in names {
                out.push(if name.kind() == Kind::Value { b'V' } else { b'T' });
                out.extend_from_slice(name.digest());
                put_number(&mut out, name.length());
            }
        }
        out
    }

    /// The index and the footer.
    pub fn seal(&self) -> Vec<u8> {
        let mut out = self.encode();
        let (length, sum) = (out.len() as u64, PackId::of(&out));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&sum.0);
        out.extend_from_slice(&MAGIC);
        out
    }

    /// Reads what [`Index::encode`] wrote.
    ///
    /// # Errors
    /// [`PackError::Invalid`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, PackError> {
        let mut rest = Rest(bytes);
        let (mut index, mut names) = (Self::default(), Vec::new());
        for _ in 0..rest.number()? {
            let (length, count) = (rest.number()?, rest.number()?);
            // Before anything is allocated for them.
            if count > (rest.0.len() / LEAST) as u64 {
                return Err(PackError::Invalid("it has fewer names than it says"));
            }
            names.clear();
            let mut raw = 0u64;
            for _ in 0..count {
                let name = rest.name()?;
                raw = raw.checked_add(name.length()).ok_or(PackError::Invalid("a block is too long"))?;
                names.push(name);
            }
            if index.end().checked_add(length).is_none() {
                return Err(PackError::Invalid("a block is too long"));
            }
            index.push(length, &names);
        }
        if rest.0.is_empty() { Ok(index) } else { Err(PackError::Invalid("something follows it")) }
    }

    /// Reads what [`Index::seal`] wrote: the end of a pack of `size` bytes.
    ///
    /// # Errors
    /// [`PackError::Short`], [`PackError::Magic`], [`PackError::Index`], [`PackError::Invalid`].
    pub fn unseal(bytes: &[u8], size: u64) -> Result<Self, PackError> {
        let body = bytes.len().checked_sub(FOOTER as usize).ok_or(PackError::Short)?;
        let (body, footer) = bytes.split_at(body);
        let (length, footer) = footer.split_at(8);
        let (sum, magic) = footer.split_at(32);
        if magic != MAGIC {
            return Err(PackError::Magic);
        }
        let length = length.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let begin = usize::try_from(length).ok().and_then(|length| body.len().checked_sub(length));
        let body = &body[begin.ok_or(PackError::Short)?..];
        if PackId::of(body).0 != sum {
            return Err(PackError::Index);
        }
        let index = Self::decode(body)?;
        if index.end().checked_add(length + FOOTER) == Some(size) { Ok(index) } else { Err(PackError::Short) }
    }

    /// The index of a whole pack.
    ///
    /// # Errors
    /// As [`Index::unseal`].
    pub fn of_pack(bytes: &[u8]) -> Result<Self, PackError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(if MAGIC.starts_with(bytes) { PackError::Short } else { PackError::Magic });
        }
        Self::unseal(&bytes[MAGIC.len()..], bytes.len() as u64)
    }
}
