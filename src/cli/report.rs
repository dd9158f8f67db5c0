//! What a build did, kept for `gg report`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The report of one build.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Where it ran.
    #[serde(serialize_with = "lossily")]
    pub root: PathBuf,
    /// The command.
    pub command: Vec<String>,
    /// When it began, seconds since 1970.
    pub started: u64,
    /// How long it took, milliseconds.
    pub wall_ms: u64,
    /// Its exit status; none while it runs, or when it was killed.
    pub status: Option<i32>,
    /// Whether steps were answered before they had run.
    pub lazy: bool,
    /// Why not, where they could not be.
    pub eager_reason: Option<String>,
    /// How steps were isolated.
    pub sandbox: String,
    /// The steps that became thunks.
    pub steps: Vec<StepEntry>,
    /// The calls that ran here and now.
    pub here: Vec<HereEntry>,
    /// Tools that were called by an absolute path, past the stand-ins, and how often.
    pub bypassed: BTreeMap<String, u64>,
    /// What engines far away did.
    #[serde(default)]
    pub engines: Vec<EngineEntry>,
    /// Things that a person may want to know.
    pub notices: Vec<String>,
}

/// What an engine far away did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EngineEntry {
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

/// One step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepEntry {
    /// The thunk.
    pub thunk: String,
    /// The kind of step: compile, link, ...
    pub kind: String,
    /// The tool's name.
    pub tool: String,
    /// What it makes.
    pub label: String,
    /// Where it is from: `executed`, `cached`, `failed`, `not run`, `pending`.
    pub served: String,
    /// The engine that ran it.
    pub engine: Option<String>,
    /// The program's own wall-clock time, microseconds.
    pub wall_us: u64,
    /// Its CPU time, microseconds.
    pub cpu_us: u64,
    /// Bytes of all outputs.
    pub output_bytes: u64,
    /// The caller needed the result at once, for this reason.
    pub at_once: Option<String>,
}

/// One call that ran here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HereEntry {
    /// The tool's name.
    pub tool: String,
    /// The command line.
    pub command: String,
    /// Why.
    pub reason: String,
    /// The directory.
    #[serde(serialize_with = "lossily")]
    pub directory: PathBuf,
}

/// JSON is text, paths are bytes: a path that is no text is shown as nearly as can be.
fn lossily<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl Report {
    /// Where the report of builds in `root` is kept.
    pub fn path(directory: &Path, root: &Path) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        let name = gg_ir::Name::of_value(root.as_os_str().as_bytes()).to_string();
        directory.join("reports").join(format!("{}.json", &name[1..23]))
    }

    /// Writes the report, in place of the last one of the same directory.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn save(&self, directory: &Path) -> io::Result<()> {
        let path = Self::path(directory, &self.root);
        let folder = directory.join("reports");
        fs::create_dir_all(&folder)?;
        let temporary = folder.join(format!(".{}", std::process::id()));
        fs::write(&temporary, serde_json::to_vec(self)?)?;
        fs::rename(&temporary, path)
    }

    /// The report of the last build in `root`, or in the nearest directory above it that has one; else the newest of all.
    ///
    /// # Errors
    /// `NotFound` when there is none; else whatever the file system says.
    pub fn load(directory: &Path, root: &Path) -> io::Result<Self> {
        for place in root.ancestors() {
            match fs::read(Self::path(directory, place)) {
                Ok(bytes) => return Ok(serde_json::from_slice(&bytes)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let newest = fs::read_dir(directory.join("reports"))?
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
            .max_by_key(|entry| entry.metadata().and_then(|info| info.modified()).ok())
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(serde_json::from_slice(&fs::read(newest.path())?)?)
    }

    /// How many steps there are of each kind, by where they are from.
    pub fn by_kind(&self) -> BTreeMap<&str, BTreeMap<&str, u64>> {
        let mut table: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for step in &self.steps {
            *table.entry(&step.kind).or_default().entry(&step.served).or_default() += 1;
        }
        table
    }

    /// How many calls ran here, by reason and tool.
    pub fn by_reason(&self) -> BTreeMap<(&str, &str), u64> {
        let mut table = BTreeMap::new();
        for call in &self.here {
            *table.entry((call.tool.as_str(), call.reason.as_str())).or_default() += 1;
        }
        table
    }

    /// Writes the report for a person.
    ///
    /// # Errors
    /// Whatever `out` says.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "build      {}", self.command.join(" "))?;
        writeln!(out, "directory  {}", self.root.display())?;
        let status = self.status.map_or("did not end".to_owned(), |status| format!("exit status {status}"));
        writeln!(out, "result     {status} after {:.2} s", self.wall_ms as f64 / 1e3)?;
        let when = if self.lazy { "answered at once, forced meanwhile" } else { "each awaited" };
        writeln!(out, "steps      {when}; sandbox: {}", self.sandbox)?;
        if let Some(reason) = &self.eager_reason {
            writeln!(out, "           awaited since {reason}")?;
        }
        writeln!(out)?;
        writeln!(
            out,
            "{:<14}{:>10}{:>10}{:>10}{:>12}{:>14}",
            "step", "executed", "cached", "other", "CPU s", "output bytes"
        )?;
        for (kind, served) in self.by_kind() {
            let count = |name: &str| served.get(name).copied().unwrap_or(0);
            let all: u64 = served.values().sum();
            let mine = self.steps.iter().filter(|step| step.kind == kind);
            let (cpu, bytes) = mine.fold((0, 0), |(cpu, bytes), step| {
                (cpu + if step.served == "executed" { step.cpu_us } else { 0 }, bytes + step.output_bytes)
            });
            let other = all - count("executed") - count("cached");
            writeln!(
                out,
                "{kind:<14}{:>10}{:>10}{other:>10}{:>12.2}{bytes:>14}",
                count("executed"),
                count("cached"),
                cpu as f64 / 1e6
            )?;
        }
        if !self.here.is_empty() {
            writeln!(out, "\nrun here and now: {} calls", self.here.len())?;
            for ((tool, reason), count) in self.by_reason() {
                writeln!(out, "{count:>6}  {tool} {reason}")?;
            }
        }
        if !self.bypassed.is_empty() {
            writeln!(out, "\ncalled by an absolute path, and so not seen by gg:")?;
            for (tool, count) in &self.bypassed {
                writeln!(out, "{count:>6}  {tool}")?;
            }
        }
        self.engines.iter().try_for_each(|engine| engine.print(out))?;
        if !self.notices.is_empty() {
            writeln!(out)?;
            for notice in &self.notices {
                writeln!(out, "note: {notice}")?;
            }
        }
        Ok(())
    }
}

impl EngineEntry {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let count = |name: &str| self.counts.get(name).copied().unwrap_or(0);
        let mib = |name: &str| count(name) as f64 / (1 << 20) as f64;
        writeln!(out, "\nengine {} (at most {} at once)", self.name, self.jobs)?;
        writeln!(
            out,
            "  {} requests, {} answers, {} cold; {:.1} s billed, {:.1} GiB s; about ${:.4}",
            count("requests"),
            count("answers"),
            count("cold"),
            count("billed_ms") as f64 / 1e3,
            count("mib_ms") as f64 / 1024.0 / 1e3,
            self.dollars
        )?;
        let seconds = |name: &str| count(name) as f64 / 1e6;
        writeln!(
            out,
            "  on functions: fetch {:.1} s, materialise {:.1} s, run {:.1} s, store {:.1} s; {} store requests, {:.1} MiB down, {:.1} MiB up",
            seconds("fetch_us"),
            seconds("materialise_us"),
            seconds("run_us"),
            seconds("store_us"),
            count("worker_store_requests"),
            mib("worker_bytes_down"),
            mib("worker_bytes_up")
        )?;
        writeln!(
            out,
            "  from here: {:.1} MiB to the store, {:.1} MiB from it; {:.1} MiB of requests, {:.1} MiB of answers",
            mib("store_bytes_up"),
            mib("store_bytes_down"),
            mib("bytes_sent"),
            mib("bytes_received")
        )?;
        let trouble: Vec<String> = [
            ("throttled", "refused as too many"),
            ("failed", "failed by the service"),
            ("crashed", "functions that died"),
            ("lost", "lost connections"),
            ("corrupt", "damaged answers or objects"),
            ("duplicated", "sent twice since they lagged"),
            ("duplicates_won", "where the second was first"),
            ("uploaded_again", "uploads repeated"),
            ("given_back", "steps given to another engine"),
        ]
        .iter()
        .filter(|(name, _)| count(name) > 0)
        .map(|(name, text)| format!("{} {text}", count(name)))
        .collect();
        if !trouble.is_empty() {
            writeln!(out, "  overcome: {}", trouble.join(", "))?;
        }
        if let Some(down) = &self.down {
            writeln!(out, "  {down}")?;
        }
        Ok(())
    }
}
