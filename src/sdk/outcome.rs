//! What a thunk came to.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::error::{Error, Result};
use crate::pipe::Pipe;

/// Bytes that a program wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        gg_recipe::Text::deserialize(deserializer).map(|text| Self(text.0))
    }
}

/// The result of a thunk.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The thunk's name.
    pub thunk: String,
    /// What it wrote, by tag; an optional output that it did not write is not there.
    pub outputs: BTreeMap<String, Value>,
    /// What it wrote to standard output.
    pub stdout: Bytes,
    /// What it wrote to standard error.
    pub stderr: Bytes,
    /// Whether the result was known already.
    pub cached: bool,
    /// The engine that ran it, if one did.
    pub engine: Option<String>,
    /// How long the program ran, whenever it did.
    pub wall: Duration,
    /// Its processor time.
    pub cpu: Duration,
    /// The largest resident set of one process, KiB.
    pub peak_kib: u64,
}

#[derive(Deserialize)]
struct Done {
    thunk: String,
    stdout: Bytes,
    stderr: Bytes,
    cached: bool,
    engine: Option<String>,
    wall_ms: u64,
    cpu_ms: u64,
    peak_kib: u64,
}

#[derive(Deserialize)]
struct Made {
    object: String,
    size: u64,
    mode: String,
}

impl Outcome {
    pub(crate) fn of(event: serde_json::Value, pipe: &Arc<Pipe>) -> Result<Self> {
        let outputs = event.get("outputs").and_then(|outputs| values(outputs, pipe)).unwrap_or_default();
        let done: Done =
            serde_json::from_value(event).map_err(|error| Error::Gone(format!("gg gave a strange answer: {error}")))?;
        Ok(Self {
            thunk: done.thunk,
            outputs,
            stdout: done.stdout,
            stderr: done.stderr,
            cached: done.cached,
            engine: done.engine,
            wall: Duration::from_millis(done.wall_ms),
            cpu: Duration::from_millis(done.cpu_ms),
            peak_kib: done.peak_kib,
        })
    }
}

/// Outputs by their tags, as an answer tells of them.
pub(crate) fn values(outputs: &serde_json::Value, pipe: &Arc<Pipe>) -> Option<BTreeMap<String, Value>> {
    let made: BTreeMap<String, Made> = serde_json::from_value(outputs.clone()).ok()?;
    let value = |made: Made| Value { pipe: Arc::clone(pipe), object: made.object, size: made.size, mode: made.mode };
    Some(made.into_iter().map(|(tag, made)| (tag, value(made))).collect())
}

/// Content that gg keeps; its bytes stay where they are until they are asked for.
#[derive(Clone)]
pub struct Value {
    pub(crate) pipe: Arc<Pipe>,
    pub(crate) object: String,
    pub(crate) size: u64,
    pub(crate) mode: String,
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Value")
            .field("object", &self.object)
            .field("size", &self.size)
            .field("mode", &self.mode)
            .finish()
    }
}

impl Value {
    /// The object's name.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The content; at most 16 MiB, what is longer can be saved.
    ///
    /// # Errors
    /// [`Error::Request`] for what is too long, or not to be had; [`Error::Gone`].
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let answer = self.pipe.ask(json!({"do": "get", "object": self.object}))?;
        if let Some(text) = answer.get("text").and_then(|text| text.as_str()) {
            return Ok(text.as_bytes().to_vec());
        }
        let encoded = answer.get("base64").and_then(|text| text.as_str()).unwrap_or_default();
        STANDARD.decode(encoded).map_err(|error| Error::Gone(format!("gg gave a strange answer: {error}")))
    }

    /// The content as text.
    ///
    /// # Errors
    /// As [`Value::bytes`]; [`Error::Request`] for what is no UTF-8.
    pub fn text(&self) -> Result<String> {
        String::from_utf8(self.bytes()?).map_err(|_| Error::Request(format!("{} is no UTF-8", self.object)))
    }

    /// Puts it at a path, with the permission bits that the program gave it.
    ///
    /// # Errors
    /// [`Error::Request`] when the file cannot be written; [`Error::Gone`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let to = gg_recipe::Text::from(path.as_ref().as_os_str().to_owned());
        self.pipe.ask(json!({"do": "get", "object": self.object, "to": to, "mode": self.mode})).map(drop)
    }
}
