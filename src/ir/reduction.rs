//! Reductions: what a thunk evaluated to.

use std::collections::BTreeMap;

use crate::codec::{DecodeError, Reader, Writer};
use crate::{AbsPath, Name, Reference, Tag};

/// What a thunk evaluated to. Only computations that succeeded (exit status 0) have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// The thunk.
    pub thunk: Name,
    /// The outputs that were written, by tag.
    pub outputs: BTreeMap<Tag, Made>,
    /// Files that the thunk did not declare and wrote all the same (dumps, side files), by path.
    pub undeclared: BTreeMap<AbsPath, Made>,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error: warnings, which are shown again whenever the reduction is used.
    pub stderr: Vec<u8>,
    /// What it cost.
    pub cost: Cost,
}

/// One file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its content: a value, or the output of a further thunk.
    pub object: Reference,
    /// Its permission bits.
    pub mode: u32,
}

/// What one run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Wall-clock time of the program itself, microseconds.
    pub wall_us: u64,
    /// User and system time of the program and its children, microseconds.
    pub cpu_us: u64,
    /// The largest resident set of one process, KiB.
    pub peak_kib: u64,
}

const MAGIC: &[u8; 3] = b"ggR";

fn write_made(w: &mut Writer, made: &Made) {
    made.object.write(w);
    w.number(made.mode.into());
}

fn read_made(r: &mut Reader<'_>) -> Result<Made, DecodeError> {
    Ok(Made { object: Reference::read(r)?, mode: r.small()? })
}

impl Reduction {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new(MAGIC);
        self.thunk.write(&mut w);
        w.number(self.outputs.len() as u64);
        for (tag, made) in &self.outputs {
            w.bytes(tag.as_str().as_bytes());
            write_made(&mut w, made);
        }
        w.number(self.undeclared.len() as u64);
        for (path, made) in &self.undeclared {
            w.bytes(path.as_bytes());
            write_made(&mut w, made);
        }
        w.bytes(&self.stdout);
        w.bytes(&self.stderr);
        w.number(self.cost.wall_us);
        w.number(self.cost.cpu_us);
        w.number(self.cost.peak_kib);
        w.finish()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that [`Reduction::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes, MAGIC, "reduction")?;
        let thunk = Name::read(&mut r)?;
        let outputs = r.map(Reader::tag, read_made)?;
        let undeclared = r.map(Reader::path, read_made)?;
        let stdout = r.bytes()?.to_vec();
        let stderr = r.bytes()?.to_vec();
        let cost = Cost { wall_us: r.number()?, cpu_us: r.number()?, peak_kib: r.number()? };
        r.finish()?;
        Ok(Self { thunk, outputs, undeclared, stdout, stderr, cost })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Kind;

    proptest! {
        #[test]
        fn decoding_undoes_encoding(
            tags in prop::collection::btree_map("[a-z]{1,4}", any::<(u32, Vec<u8>)>(), 0..4), stderr: Vec<u8>, wall_us: u64,
        ) {
            let made = |(mode, bytes): (u32, Vec<u8>)| Made { object: Reference::Value(Name::of_value(&bytes)), mode };
            let reduction = Reduction {
                thunk: Name::of(Kind::Thunk, &stderr),
                undeclared: tags.iter().map(|(tag, m)| (AbsPath::new(format!("/{tag}")).unwrap(), made(m.clone()))).collect(),
                outputs: tags.into_iter().map(|(tag, m)| (Tag::new(tag).unwrap(), made(m))).collect(),
                stdout: Vec::new(),
                stderr,
                cost: Cost { wall_us, ..Cost::default() },
            };
            prop_assert_eq!(Reduction::decode(&reduction.encode()), Ok(reduction));
        }

        #[test]
        fn garbage_does_not_panic(mut bytes: Vec<u8>) {
            bytes.splice(0..0, *b"ggR\x01");
            if let Ok(read) = Reduction::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
