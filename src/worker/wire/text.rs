//! How what is no JSON is written in JSON, for serde's `with`.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, as base64 (RFC 4648, section 4, padded).
pub(crate) mod bytes {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}

/// What is written and read as text.
pub(crate) mod display {
    use super::*;

    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// One of several.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "T: Display", deserialize = "T: FromStr<Err: Display>"))]
struct Text<T>(#[serde(with = "display")] T);

/// Several that are written and read as text.
pub(crate) mod displays {
    use super::*;

    pub fn serialize<T: Display, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(Text))
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        let read = Vec::<Text<T>>::deserialize(deserializer)?;
        Ok(read.into_iter().map(|Text(value)| value).collect())
    }
}

/// References and the values that they stand for.
pub(crate) mod pairs {
    use gg_ir::{Name, Reference};

    use super::*;

    pub fn serialize<S: Serializer>(pairs: &[(Reference, Name)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(pairs.iter().map(|(from, to)| (Text(from), Text(to))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Reference, Name)>, D::Error> {
        let read = Vec::<(Text<Reference>, Text<Name>)>::deserialize(deserializer)?;
        Ok(read.into_iter().map(|(Text(from), Text(to))| (from, to)).collect())
    }
}

/// A thunk, as its canonical bytes in a zstd frame: half of them are paths, which have much in common.
pub(crate) mod thunk {
    use std::cell::RefCell;
    use std::io::{self, Read};

    use gg_ir::Thunk;
    use zstd::bulk::Compressor;

    use super::*;

    const LEVEL: i32 = 9;
    /// Longer thunks are nobody's: a link of 100,000 objects takes a tenth of it.
    const LIMIT: u64 = 128 << 20;

    pub fn serialize<S: Serializer>(thunk: &Thunk, serializer: S) -> Result<S::Ok, S::Error> {
        let frame = pack(&thunk.encode()).map_err(serde::ser::Error::custom)?;
        bytes::serialize(&frame, serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Thunk, D::Error> {
        let encoded = unpack(&bytes::deserialize(deserializer)?).map_err(D::Error::custom)?;
        Thunk::decode(&encoded).map_err(D::Error::custom)
    }

    /// One call for all, so that zstd knows the length beforehand: for a stream without an end it clears tables of more than a
    /// megabyte, which took half of what a request took. Each thread keeps what it works with.
    fn pack(encoded: &[u8]) -> io::Result<Vec<u8>> {
        thread_local!(static KEPT: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) });
        KEPT.with_borrow_mut(|kept| {
            let compressor = match kept {
                Some(compressor) => compressor,
                None => kept.insert(Compressor::new(LEVEL)?),
            };
            compressor.compress(encoded)
        })
    }

    fn unpack(frame: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoded = Vec::new();
        zstd::Decoder::with_buffer(frame)?.take(LIMIT).read_to_end(&mut encoded)?;
        Ok(encoded)
    }
}

/// A reduction, as its canonical bytes.
pub(crate) mod reduction {
    use gg_ir::Reduction;

    use super::*;

    pub fn serialize<S: Serializer>(reduction: &Reduction, serializer: S) -> Result<S::Ok, S::Error> {
        bytes::serialize(&reduction.encode(), serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reduction, D::Error> {
        Reduction::decode(&bytes::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A failure: what a reduction has too as one, and the rest.
pub(crate) mod failure {
    use gg_ir::{Kind, Name, Reduction, Tag};

    use super::*;
    use crate::{Failure, Status};

    #[derive(Serialize, Deserialize)]
    struct Written {
        #[serde(skip_serializing_if = "Option::is_none")]
        exited: Option<i32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        signalled: Option<i32>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        over_time: bool,
        missing_outputs: Vec<String>,
        #[serde(with = "super::reduction")]
        wrote: Reduction,
    }

    pub fn serialize<S: Serializer>(failure: &Failure, serializer: S) -> Result<S::Ok, S::Error> {
        let (exited, signalled, over_time) = match failure.status {
            Status::Exited(code) => (Some(code), None, false),
            Status::Signalled(signal) => (None, Some(signal), false),
            Status::OverTime => (None, None, true),
        };
        let wrote = Reduction {
            // A failure is nobody's: whoever reads it knows what was asked.
            thunk: Name::of(Kind::Thunk, b""),
            outputs: failure.outputs.clone(),
            undeclared: failure.undeclared.clone(),
            stdout: failure.stdout.clone(),
            stderr: failure.stderr.clone(),
            cost: failure.cost,
        };
        let missing_outputs = failure.missing_outputs.iter().map(Tag::to_string).collect();
        Written { exited, signalled, over_time, missing_outputs, wrote }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Failure, D::Error> {
        let Written { exited, signalled, over_time, missing_outputs, wrote } = Written::deserialize(deserializer)?;
        let status = match (exited, signalled, over_time) {
            (Some(code), None, false) => Status::Exited(code),
            (None, Some(signal), false) => Status::Signalled(signal),
            (None, None, true) => Status::OverTime,
            _ => return Err(D::Error::custom("a failure has an exit status, a signal, or took too long")),
        };
        let missing_outputs = missing_outputs.into_iter().map(Tag::new).collect::<Result<_, _>>();
        let Reduction { thunk: _, outputs, undeclared, stdout, stderr, cost } = wrote;
        Ok(Failure {
            status,
            stdout,
            stderr,
            cost,
            missing_outputs: missing_outputs.map_err(D::Error::custom)?,
            outputs,
            undeclared,
        })
    }
}
