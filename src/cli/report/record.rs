//! One run of a build. The form is documented in `docs/report.md`, for programs that read it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The version of this form: another one when a reader of the old one would misunderstand.
pub const VERSION: u32 = 1;

/// What one run of a build did. Times are microseconds since its beginning, unless a name says otherwise.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// Its number among the runs in this directory; 0 for one that is not kept there.
    pub run: u64,
    /// The version of gg.
    pub gg: String,
    /// Where it ran.
    #[serde(serialize_with = "lossily")]
    pub root: PathBuf,
    /// The command.
    pub command: Vec<String>,
    /// When it began, seconds since 1970.
    pub started: u64,
    /// How long it took, milliseconds.
    pub wall_ms: u64,
    /// When the build command itself had ended, and only steps were left to be forced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_ended_us: Option<u64>,
    /// Its exit status; none when it did not end.
    pub status: Option<i32>,
    /// Whether steps were answered before they had run.
    pub lazy: bool,
    /// Why not, where they could not be.
    pub eager_reason: Option<String>,
    /// How steps were isolated.
    pub sandbox: String,
    /// Whether its thunks were stated by hand or by a program, and not by a build.
    #[serde(skip_serializing_if = "is_default")]
    pub stated: bool,
    /// Whether it was imagined by `gg simulate`.
    #[serde(skip_serializing_if = "is_default")]
    pub simulated: bool,
    /// The steps that became thunks, in the order in which they were inferred.
    pub steps: Vec<StepRecord>,
    /// The calls that ran here and now.
    pub here: Vec<HereRecord>,
    /// Tools that were called by an absolute path, past the stand-ins, and how often.
    pub bypassed: BTreeMap<String, u64>,
    /// The engines, and what those far away did.
    pub engines: Vec<EngineRecord>,
    /// Things that a person may want to know.
    pub notices: Vec<String>,
}

/// Where a step's result is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Served {
    /// It was run.
    Executed,
    /// The reduction was known, or how it fails.
    Cached,
    /// It was run, or should have been, and failed.
    Failed,
    /// Something that it needs failed, or the build was ended.
    #[serde(rename = "not run")]
    NotRun,
    /// Nobody has wanted its result yet.
    #[default]
    Pending,
}

impl Served {
    /// What to call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Cached => "cached",
            Self::Failed => "failed",
            Self::NotRun => "not run",
            Self::Pending => "pending",
        }
    }
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepRecord {
    /// The thunk.
    pub thunk: String,
    /// The kind of step: compile, link, ...
    pub kind: String,
    /// The tool's name.
    pub tool: String,
    /// The first file that it makes; where there is none, its command line.
    pub label: String,
    /// The files that it makes.
    #[serde(skip_serializing_if = "is_default")]
    pub outputs: Vec<String>,
    /// The directory that it was called in.
    #[serde(skip_serializing_if = "is_default")]
    pub directory: String,
    /// The command line as it was given: a shell in that directory runs it as it stands.
    #[serde(skip_serializing_if = "is_default")]
    pub command: String,
    /// The steps whose outputs it needed: places in [`Record::steps`].
    #[serde(skip_serializing_if = "is_default")]
    pub needs: Vec<u32>,
    /// Where its result is from.
    pub served: Served,
    /// The engine that ran it.
    pub engine: Option<String>,
    /// The exit status of its program, 128 and more for a signal; none when it is not known to have run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// Why it has no result, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What its program wrote to standard output, where it failed; long ones are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// What it wrote to standard error, where it failed; long ones are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// The caller needed the result at once, for this reason.
    pub at_once: Option<String>,
    /// When the call had become a thunk.
    pub inferred_us: u64,
    /// When it could first have been given to an engine: all that it needs was there, and no cache knew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_us: Option<u64>,
    /// When it had a result, or was known to have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<u64>,
    /// The program's own wall-clock time, now or when it was run.
    pub wall_us: u64,
    /// Its CPU time.
    pub cpu_us: u64,
    /// The largest resident set of one of its processes, KiB; 0 when it is not known.
    pub peak_kib: u64,
    /// Bytes of all outputs.
    pub output_bytes: u64,
    /// Each try on a worker, in the order in which they ended.
    #[serde(skip_serializing_if = "is_default")]
    pub attempts: Vec<AttemptRecord>,
}

impl StepRecord {
    /// The try whose result counts.
    pub fn decisive(&self) -> Option<&AttemptRecord> {
        self.attempts.iter().rev().find(|attempt| matches!(attempt.end, End::Done | End::Failed))
    }
}

/// How a try ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The program succeeded.
    #[default]
    Done,
    /// The program failed.
    Failed,
    /// A duplicate of it, or the one that it is a duplicate of, was answered first.
    Beaten,
    /// An object that it needs was lost.
    Lost,
    /// The engine or what is behind it failed.
    Broken,
    /// The engine gave it back.
    Declined,
    /// It was cancelled.
    Cancelled,
}

impl End {
    /// What to call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Beaten => "beaten",
            Self::Lost => "lost",
            Self::Broken => "broken",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One try of a step on a worker. The phases follow one another from `sent_us` on; what is left until `ended_us` is the
/// answer's way back. What took no time is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptRecord {
    /// The engine.
    pub engine: String,
    /// Which of its workers, from 0; none where nobody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<u32>,
    /// When it began.
    pub sent_us: u64,
    /// When it ended.
    pub ended_us: u64,
    /// What it needs went to the store.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_us: u64,
    /// It waited for a worker, which may have been started for it, and was on its way there.
    #[serde(skip_serializing_if = "is_default")]
    pub queue_us: u64,
    /// The worker got the inputs.
    #[serde(skip_serializing_if = "is_default")]
    pub fetch_us: u64,
    /// The worker set up the sandbox.
    #[serde(skip_serializing_if = "is_default")]
    pub prepare_us: u64,
    /// The program ran.
    #[serde(skip_serializing_if = "is_default")]
    pub run_us: u64,
    /// The worker brought the outputs to the store.
    #[serde(skip_serializing_if = "is_default")]
    pub store_us: u64,
    /// How it ended.
    pub end: End,
    /// What went wrong, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// It was sent since an earlier one lagged.
    #[serde(skip_serializing_if = "is_default")]
    pub duplicate: bool,
    /// The worker was started for it.
    #[serde(skip_serializing_if = "is_default")]
    pub cold: bool,
    /// Bytes to the worker.
    #[serde(skip_serializing_if = "is_default")]
    pub bytes_up: u64,
    /// Bytes from the worker.
    #[serde(skip_serializing_if = "is_default")]
    pub bytes_down: u64,
}

/// One call that ran here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HereRecord {
    /// The tool's name.
    pub tool: String,
    /// The command line, as a shell takes it.
    pub command: String,
    /// Why.
    pub reason: String,
    /// The directory.
    #[serde(serialize_with = "lossily")]
    pub directory: PathBuf,
    /// When it was told to run.
    pub began_us: u64,
    /// When it ended, where that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<u64>,
}

/// An engine, and what it did if it is one far away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineRecord {
    /// Its name.
    pub name: String,
    /// How many steps it was allowed at once.
    pub jobs: usize,
    /// What it counted; what did not happen is left out.
    pub counts: BTreeMap<String, u64>,
    /// What it cost by the table of prices, in US dollars.
    pub dollars: f64,
    /// Why it was not asked any more, if so.
    pub down: Option<String>,
}

/// JSON is text, paths are bytes: a path that is no text is shown as nearly as can be.
fn lossily<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Record {
    /// A path without the directory of the build, for a person.
    pub fn shorten<'a>(&self, path: &'a str) -> &'a str {
        let rest = path.strip_prefix(&*self.root.to_string_lossy()).and_then(|rest| rest.strip_prefix('/'));
        rest.filter(|rest| !rest.is_empty()).unwrap_or(path)
    }

    /// The last step that makes this file (an absolute path): its place in [`Record::steps`].
    pub fn maker(&self, path: &Path) -> Option<usize> {
        let path = path.to_string_lossy();
        self.steps.iter().rposition(|step| step.label == path || step.outputs.iter().any(|output| *output == path))
    }
}
