//! What gg asks of a worker far away, and what it answers: JSON, as cloud functions take it.
//!
//! Bytes are base64 in the text, names and references their usual text. What has a canonical encoding (thunks,
//! reductions) travels as that, so that both ends agree on it to the byte. Nothing in here is believed: whoever reads
//! checks bytes against names, and a message that is not understood is a [`WireError`], never a panic.
//!
//! A message begins with [`VERSION`]; a reader looks at that first, so that two versions of gg that do not understand one
//! another say so instead of guessing.

use gg_ir::{Cost, Name, Reduction, Reference, Thunk};
pub use gg_store::remote::Sources;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Failure;

mod text;

/// The version of these messages. It changes when an older reader would misunderstand.
pub const VERSION: u32 = 3;

/// The most bytes of a request and of an answer: 6 MB for a synchronous call (AWS Lambda Developer Guide, "Lambda
/// quotas": invocation payload), as its service counts them, 6 x 1024 x 1024.
pub const MESSAGE_LIMIT: usize = 6 << 20;

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// They are no JSON of this form.
    #[error("the {what} is malformed: {source}")]
    Malformed {
        /// Request or answer.
        what: &'static str,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// They are not what was sent.
    #[error("the {what} was damaged on its way")]
    Damaged {
        /// Request or answer.
        what: &'static str,
    },
    /// They come from another version of gg.
    #[error("the {what} is of version {found}, and this gg speaks version {VERSION}: deploy the worker of this gg")]
    Version {
        /// Request or answer.
        what: &'static str,
        /// The other side's version.
        found: u32,
    },
}

/// Some steps to run, and where what they need is to be had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// The remote store's URI, without credentials.
    pub store: String,
    /// Objects, as a pack.
    #[serde(with = "text::bytes")]
    pub inline: Vec<u8>,
    /// Where the other objects lie in the store.
    pub sources: Sources,
    /// What to run. One job may use outputs of an earlier one.
    pub jobs: Vec<RemoteJob>,
    /// The most bytes of the answer's [`Response::inline`]; larger outputs go to the store.
    pub inline_limit: u64,
    /// Outputs of so many bytes or more go to the store, also where they are in the answer: a later step may need them, and
    /// whoever asks may have a slow line. Without, none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_from: Option<u64>,
    /// Whether the worker writes reductions to the store.
    pub record: bool,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoteJob {
    /// Whom the reduction is for.
    #[serde(with = "text::display")]
    pub name: Name,
    /// What to run, which need not be the object of that name.
    #[serde(with = "text::thunk")]
    pub thunk: Thunk,
    /// The value of each input that is an output of another thunk, those of earlier jobs of this request left out.
    #[serde(with = "text::pairs")]
    pub resolved: Vec<(Reference, Name)>,
    /// How long the program may run, milliseconds.
    pub timeout_ms: u64,
    /// Whether its standard output and error are terminals for it.
    pub terminal: bool,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// [`VERSION`].
    pub version: u32,
    /// Why nothing was run at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
    /// One for each job, in the same order; none when all was refused.
    pub results: Vec<JobResult>,
    /// Outputs, as a pack.
    #[serde(with = "text::bytes")]
    pub inline: Vec<u8>,
    /// Outputs that are now in the store, each as an object of its own; some of them may be inline as well.
    #[serde(with = "text::displays")]
    pub stored: Vec<Name>,
    /// What it took.
    pub report: WorkerReport,
}

/// Why a worker runs nothing of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Refusal {
    /// The request is of a version that it does not speak.
    #[error("the worker speaks version {worker} of the protocol, gg version {request}: deploy the worker of this gg")]
    Version {
        /// What it speaks.
        worker: u32,
        /// What it was asked in.
        request: u32,
    },
    /// The request, or the pack in it, is not understood.
    #[error("the worker does not understand the request: {text}")]
    Malformed {
        /// What is wrong.
        text: String,
    },
    /// Its configuration allows another store only, or none could be opened.
    #[error("the worker cannot use the store: {text}")]
    Store {
        /// Why.
        text: String,
        /// Whether trying again may help.
        again: bool,
    },
    /// It cannot work at all: no scratch space, no worker processes.
    #[error("the worker cannot work: {text}")]
    Broken {
        /// Why.
        text: String,
    },
}

/// How one job ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum JobResult {
    /// The program succeeded. Each output is inline in the answer, or in the store as an object of its own.
    Done {
        /// What it evaluated to.
        #[serde(with = "text::reduction")]
        reduction: Reduction,
    },
    /// The program failed. What it wrote all the same is where outputs are.
    Failed {
        /// How.
        #[serde(with = "text::failure")]
        failure: Failure,
    },
    /// Objects are not where they were said to be.
    Missing {
        /// The objects.
        #[serde(with = "text::displays")]
        names: Vec<Name>,
        /// Packs that are gone.
        packs: Vec<String>,
    },
    /// Something in the store is not what its name says, and has to be uploaded again.
    Corrupt {
        /// The objects, where it is known which.
        #[serde(with = "text::displays")]
        names: Vec<Name>,
        /// What in the store is damaged.
        keys: Vec<String>,
        /// What was found, for a person.
        text: String,
    },
    /// The result is too long for an answer: it is an object, in the answer's pack or in the store; [`JobResult::decode`] reads
    /// its bytes.
    Elsewhere {
        /// The object.
        #[serde(with = "text::display")]
        name: Name,
    },
    /// The program was ended for taking too long.
    TimedOut {
        /// After so many milliseconds.
        after_ms: u64,
        /// Whether it was the function's own deadline, rather than the job's.
        deadline: bool,
    },
    /// Memory, or the scratch space, did not suffice.
    OutOfMemory {
        /// What was being done.
        text: String,
        /// What the worker has, MiB.
        memory_mib: u64,
    },
    /// This worker's sandbox cannot run the program.
    Unfit {
        /// Why.
        reason: String,
    },
    /// The worker failed, and nothing is known of the program.
    Broken {
        /// How, for a person.
        text: String,
        /// Whether the same may work when it is tried again.
        again: bool,
    },
    /// It was not begun: an earlier job whose output it needs did not succeed, or the function's deadline was near.
    NotRun {
        /// Why.
        reason: String,
    },
}

/// What a request took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerReport {
    /// The worker's own identity, the same in all its answers while its process lives.
    pub worker: String,
    /// Whether this was its first request.
    pub cold: bool,
    /// How many requests it has had, this one included.
    pub runs: u64,
    /// How long each phase took.
    pub phases: Phases,
    /// Requests to the store.
    pub requests: u64,
    /// Bytes from the store.
    pub bytes_down: u64,
    /// Bytes to the store.
    pub bytes_up: u64,
    /// The memory that the function has, MiB; 0 when it is not known.
    pub memory_mib: u64,
    /// The largest resident set of one process of the jobs, KiB.
    pub peak_kib: u64,
    /// What the scratch space holds now, bytes.
    pub scratch: u64,
    /// The kind of sandbox: `namespace`, `relocated`, `plain`.
    pub sandbox: String,
    /// The worker program's version.
    pub version: String,
    /// The processor that it runs on, as Rust calls it: `x86_64`, `aarch64`.
    pub architecture: String,
}

/// How long each phase of a request took, in microseconds of wall-clock time. Phases of jobs that ran side by side add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phases {
    /// Reading the request, and getting what was missing.
    pub fetch: u64,
    /// Setting sandboxes up, and taking outputs out of them.
    pub materialise: u64,
    /// The programs themselves.
    pub run: u64,
    /// Bringing outputs to the store and into the answer.
    pub store: u64,
    /// All of it, from the request's arrival to the answer.
    pub total: u64,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &'static str) -> Result<T, WireError> {
    // The body of another version may well have another form: the version is what is worth telling then.
    let malformed = |source| WireError::Malformed { what, source };
    let Versioned { version: found } = serde_json::from_slice(bytes).map_err(malformed)?;
    if found != VERSION {
        return Err(WireError::Version { what, found });
    }
    let sealed: Sealed<'_> = serde_json::from_slice(bytes).map_err(malformed)?;
    let body = sealed.body.get();
    if Name::of_value(body.as_bytes()) != sealed.digest {
        return Err(WireError::Damaged { what });
    }
    serde_json::from_str(body).map_err(malformed)
}

/// A message with what tells damage: names of objects in it would be believed otherwise.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    version: u32,
    /// The body's name, as that of a value.
    #[serde(with = "text::display")]
    digest: Name,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// The bytes of a message.
fn encode(message: &impl Serialize) -> Vec<u8> {
    // All keys are strings and nothing in these types refuses to be written, so there is no error to come.
    let Ok(body) = serde_json::value::to_raw_value(message) else { return Vec::new() };
    let sealed = Sealed { version: VERSION, digest: Name::of_value(body.get().as_bytes()), body: &body };
    serde_json::to_vec(&sealed).unwrap_or_default()
}

impl Request {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a message's bytes.
    ///
    /// # Errors
    /// [`WireError`] for everything that is no request of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        decode(bytes, "request")
    }
}

impl Response {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a message's bytes.
    ///
    /// # Errors
    /// [`WireError`] for everything that is no answer of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        decode(bytes, "answer")
    }

    /// An answer that refuses.
    pub fn refusal(refusal: Refusal, report: WorkerReport) -> Self {
        Self { version: VERSION, refused: Some(refusal), results: vec![], inline: vec![], stored: vec![], report }
    }
}

/// How many bytes of JSON so many bytes take as base64.
pub fn base64_length(bytes: u64) -> u64 {
    bytes.div_ceil(3) * 4
}

impl JobResult {
    /// What the program cost, where one ran to its end.
    pub fn cost(&self) -> Option<Cost> {
        match self {
            JobResult::Done { reduction } => Some(reduction.cost),
            JobResult::Failed { failure } => Some(failure.cost),
            _ => None,
        }
    }

    /// The bytes of a result by itself; see [`JobResult::Elsewhere`].
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] for everything that is no result of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        decode(bytes, "result")
    }
}

#[cfg(test)]
mod tests;
