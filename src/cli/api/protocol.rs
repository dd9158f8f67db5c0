//! What is said on either side of the pipe.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gg_ir::{Made, Reduction};
use gg_recipe::{Graph, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::front::{Ended, Failed, FailureKind};

/// The version of the protocol.
pub const VERSION: u64 = 1;

/// One request.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// The first.
    Hello {
        /// The protocol that the caller speaks.
        protocol: u64,
    },
    /// Keeps content.
    Put(Put),
    /// Gives content.
    Get {
        /// The name of a value.
        object: String,
        /// Where to put it; into the answer without.
        #[serde(default)]
        to: Option<Text>,
        /// Its permission bits there, in octal digits.
        #[serde(default)]
        mode: Option<String>,
    },
    /// Finds what a program needs.
    Capture(Capture),
    /// Seals recipes.
    Thunk {
        /// By key.
        thunks: Graph,
    },
    /// Evaluates.
    Force(Force),
    /// Ends a request.
    Cancel {
        /// Which.
        of: Value,
        /// Only these of what it wants.
        #[serde(default)]
        keys: Option<Vec<String>>,
    },
}

/// See [`Request::Put`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The content.
    #[serde(default)]
    pub text: Option<String>,
    /// The content in base64.
    #[serde(default)]
    pub base64: Option<String>,
    /// A file or directory that holds it.
    #[serde(default)]
    pub file: Option<Text>,
}

/// See [`Request::Capture`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// The program.
    pub program: Text,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<Text>,
    /// What it starts.
    #[serde(default)]
    pub programs: Vec<Text>,
    /// What it imports by name.
    #[serde(default)]
    pub packages: Vec<String>,
    /// What it opens besides.
    #[serde(default)]
    pub also: Vec<Text>,
    /// What it will have in its environment, besides what it needs.
    #[serde(default)]
    pub env: Option<BTreeMap<String, Text>>,
}

/// See [`Request::Force`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Force {
    /// Recipes by key.
    #[serde(default)]
    pub thunks: Graph,
    /// Keys, or names of thunks.
    #[serde(default)]
    pub want: Option<Vec<String>>,
}

/// A request that failed, as the answer tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble(pub Value);

impl Trouble {
    /// The caller's fault.
    pub fn request(message: impl std::fmt::Display) -> Self {
        Self(json!({"kind": "request", "message": message.to_string()}))
    }

    /// The machine's or gg's own fault.
    pub fn infrastructure(message: impl std::fmt::Display) -> Self {
        Self(json!({"kind": "infrastructure", "message": message.to_string()}))
    }

    /// Nobody's fault.
    pub fn cancelled() -> Self {
        Self(json!({"kind": "cancelled", "message": "the request was cancelled"}))
    }
}

/// Bytes as a JSON string, or in base64 where they are no UTF-8.
pub fn bytes(content: &[u8]) -> Value {
    match std::str::from_utf8(content) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"base64": STANDARD.encode(content)}),
    }
}

/// How a thunk failed.
pub fn failed(failed: &Failed) -> Value {
    #[derive(Serialize)]
    struct Form<'a> {
        kind: &'a str,
        message: &'a str,
        thunk: String,
        label: &'a str,
        command: &'a [String],
        inputs: &'a [String],
        status: Option<i32>,
        signal: Option<i32>,
        timed_out: bool,
        missing: &'a [String],
        outputs: BTreeMap<&'a str, Value>,
        stdout: Value,
        stderr: Value,
    }
    let kind = match failed.kind {
        FailureKind::Program => "program",
        FailureKind::Dependency => "dependency",
        FailureKind::Infrastructure => "infrastructure",
        FailureKind::Cancelled => "cancelled",
    };
    let form = Form {
        kind,
        message: &failed.message,
        thunk: failed.thunk.to_string(),
        label: &failed.label,
        command: &failed.command,
        inputs: &failed.inputs,
        status: failed.status,
        signal: failed.signal,
        timed_out: failed.timed_out,
        missing: &failed.missing,
        outputs: failed.outputs.iter().map(|(tag, made)| (tag.as_str(), output(made))).collect(),
        stdout: bytes(&failed.stdout),
        stderr: bytes(&failed.stderr),
    };
    json!(form)
}

/// The event that a thunk has ended.
pub fn ended(key: &str, thunk: &str, ended: &Ended) -> Value {
    match &ended.result {
        Ok(reduction) => done(key, thunk, reduction, ended),
        Err(why) => json!({"event": "failed", "key": key, "error": failed(why)}),
    }
}

/// What was written as an output.
fn output(made: &Made) -> Value {
    let name = made.object.name();
    json!({"object": name.to_string(), "size": name.length(), "mode": format!("{:04o}", made.mode)})
}

fn done(key: &str, thunk: &str, reduction: &Reduction, ended: &Ended) -> Value {
    let outputs: BTreeMap<&str, Value> =
        reduction.outputs.iter().map(|(tag, made)| (tag.as_str(), output(made))).collect();
    json!({
        "event": "done", "key": key, "thunk": thunk, "outputs": outputs,
        "stdout": bytes(&reduction.stdout), "stderr": bytes(&reduction.stderr),
        "cached": ended.engine.is_none(), "engine": ended.engine,
        "wall_ms": reduction.cost.wall_us / 1000, "cpu_ms": reduction.cost.cpu_us / 1000, "peak_kib": reduction.cost.peak_kib,
    })
}
