//! Where objects lie in a remote store, as told to a worker.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gg_ir::Name;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::pack::PackId;

/// Where the objects and trees of a request lie: which packs hold them, and in which of their blocks. What is not
/// mentioned lies by itself, at `objects/NAME`.
///
/// An object takes some 10 bytes in it, a pack 40: objects are told by the first 8 bytes of their digests. That two
/// objects have those in common does no harm, since what arrives is checked against the whole name.
///
/// Serialized as one text: base64 of numbers in LEB128.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    pub(super) packs: BTreeMap<PackId, PackSource>,
}

/// What is needed of one pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PackSource {
    /// Its length in bytes.
    pub size: u64,
    /// The length of its index, without the footer.
    pub index: u64,
    /// Trees that lie in it with all that is below them, and whether they make up most of it.
    pub trees: BTreeMap<u64, bool>,
    /// Blocks, by where they begin.
    pub blocks: BTreeMap<u64, BlockSource>,
}

/// What is needed of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BlockSource {
    /// Its compressed length.
    pub length: u64,
    /// Objects, by where they begin in the decompressed block. Several of no length can begin at the same place.
    pub objects: BTreeSet<(u64, u64)>,
}

/// What objects are told by.
pub(super) fn key(name: &Name) -> u64 {
    name.digest()[..8].iter().fold(0, |key, byte| key << 8 | u64::from(*byte))
}

impl Sources {
    /// Whether everything lies by itself.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    /// The packs mentioned, with their lengths in bytes.
    pub fn packs(&self) -> impl ExactSizeIterator<Item = (PackId, u64)> {
        self.packs.iter().map(|(id, pack)| (*id, pack.size))
    }

    /// Adds what other sources say, for several jobs in one request.
    pub fn extend(&mut self, other: Self) {
        for (id, pack) in other.packs {
            let mine = self.packs.entry(id).or_default();
            (mine.size, mine.index) = (pack.size, pack.index);
            mine.trees.extend(pack.trees);
            for (offset, block) in pack.blocks {
                let known = mine.blocks.entry(offset).or_default();
                known.length = block.length;
                known.objects.extend(block.objects);
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let number = |mut number: u64, out: &mut Vec<u8>| {
            while number >= 0x80 {
                out.push(number as u8 | 0x80);
                number >>= 7;
            }
            out.push(number as u8);
        };
        number(self.packs.len() as u64, &mut out);
        for (id, pack) in &self.packs {
            out.extend_from_slice(&id.0);
            number(pack.size, &mut out);
            number(pack.index, &mut out);
            number(pack.trees.len() as u64, &mut out);
            for (tree, whole) in &pack.trees {
                out.extend_from_slice(&tree.to_be_bytes());
                out.push(u8::from(*whole));
            }
            number(pack.blocks.len() as u64, &mut out);
            for (offset, block) in &pack.blocks {
                number(*offset, &mut out);
                number(block.length, &mut out);
                number(block.objects.len() as u64, &mut out);
                for (at, key) in &block.objects {
                    number(*at, &mut out);
                    out.extend_from_slice(&key.to_be_bytes());
                }
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let mut sources = Self::default();
        for _ in 0..rest.number()? {
            let mut pack = PackSource::default();
            let id = PackId(rest.array()?);
            (pack.size, pack.index) = (rest.number()?, rest.number()?);
            for _ in 0..rest.number()? {
                let tree = u64::from_be_bytes(rest.array()?);
                pack.trees.insert(tree, rest.array::<1>()? == [1]);
            }
            for _ in 0..rest.number()? {
                let offset = rest.number()?;
                let mut block = BlockSource { length: rest.number()?, ..Default::default() };
                let fits = offset.checked_add(block.length).is_some_and(|end| end <= pack.size);
                if !fits {
                    return None;
                }
                for _ in 0..rest.number()? {
                    block.objects.insert((rest.number()?, u64::from_be_bytes(rest.array()?)));
                }
                pack.blocks.insert(offset, block);
            }
            sources.packs.insert(id, pack);
        }
        rest.0.is_empty().then_some(sources)
    }
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

impl Serialize for Sources {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(self.encode()))
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = STANDARD.decode(String::deserialize(from)?).ok();
        bytes.and_then(|bytes| Self::decode(&bytes)).ok_or_else(|| serde::de::Error::custom("malformed sources"))
    }
}
