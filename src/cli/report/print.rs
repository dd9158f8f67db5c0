//! The summary of a run on a terminal.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::record::{EngineRecord, Record, Served};

impl Record {
    /// How many steps there are of each kind, by where they are from.
    pub fn by_kind(&self) -> BTreeMap<&str, BTreeMap<Served, u64>> {
        let mut table: BTreeMap<&str, BTreeMap<Served, u64>> = BTreeMap::new();
        for step in &self.steps {
            *table.entry(&step.kind).or_default().entry(step.served).or_default() += 1;
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
            let count = |from: Served| served.get(&from).copied().unwrap_or(0);
            let all: u64 = served.values().sum();
            let mine = self.steps.iter().filter(|step| step.kind == kind);
            let (cpu, bytes) = mine.fold((0, 0), |(cpu, bytes), step| {
                (cpu + if step.served == Served::Executed { step.cpu_us } else { 0 }, bytes + step.output_bytes)
            });
            let other = all - count(Served::Executed) - count(Served::Cached);
            writeln!(
                out,
                "{kind:<14}{:>10}{:>10}{other:>10}{:>12.2}{bytes:>14}",
                count(Served::Executed),
                count(Served::Cached),
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

impl EngineRecord {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.counts.is_empty() && self.down.is_none() {
            return Ok(());
        }
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
