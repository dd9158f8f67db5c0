//! Failures that are kept.

use crate::Name;
use crate::codec::{DecodeError, Reader, Writer};

/// How the program of a thunk failed. Kept only where the failure is the answer that somebody wanted (a configuration
/// probe), so that the same question is not asked of a compiler twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The thunk.
    pub thunk: Name,
    /// The program's exit status, not 0.
    pub status: u32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

const MAGIC: &[u8; 3] = b"ggF";

impl Failed {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new(MAGIC);
        self.thunk.write(&mut w);
        w.number(self.status.into());
        w.bytes(&self.stdout);
        w.bytes(&self.stderr);
        w.finish()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that [`Failed::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes, MAGIC, "failure")?;
        let failed = Self {
            thunk: Name::read(&mut r)?,
            status: r.small()?,
            stdout: r.bytes()?.to_vec(),
            stderr: r.bytes()?.to_vec(),
        };
        r.finish()?;
        Ok(failed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Kind;

    proptest! {
        #[test]
        fn decoding_undoes_encoding(status: u32, stdout: Vec<u8>, stderr: Vec<u8>) {
            let failed = Failed { thunk: Name::of(Kind::Thunk, &stderr), status, stdout, stderr };
            prop_assert_eq!(Failed::decode(&failed.encode()), Ok(failed));
        }

        #[test]
        fn garbage_does_not_panic(mut bytes: Vec<u8>) {
            bytes.splice(0..0, *b"ggF\x01");
            if let Ok(read) = Failed::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
