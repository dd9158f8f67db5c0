//! The summary of a run on a terminal.

use std::borrow::Cow;
use std::io::{self, Write};

use super::critical::critical_path;
use super::record::{EngineRecord, Record, Served};
use super::totals::Group;
use crate::size;

/// Characters of a label.
const LONGEST_LABEL: usize = 80;

/// As many steps, tools and folders are listed.
const LISTED: usize = 5;

/// A time for a person, of microseconds.
pub fn seconds(us: u64) -> String {
    format!("{:.2} s", us as f64 / 1e6)
}

/// A moment for a person, in UTC, of seconds since 1970.
pub fn moment(seconds: u64) -> String {
    let (days, second) = ((seconds / 86_400) as i64, seconds % 86_400);
    // From days to a date: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", second / 3600, second / 60 % 60)
}

/// What a step makes, not too long for a line: it may be a command line.
pub fn short(label: &str) -> Cow<'_, str> {
    match label.char_indices().nth(LONGEST_LABEL) {
        Some((at, _)) => format!("{}...", &label[..at]).into(),
        None => label.into(),
    }
}

/// A difference for a person, with its sign.
pub fn signed(by: i64, show: &dyn Fn(u64) -> String) -> String {
    let sign = match by {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", show(by.unsigned_abs()))
}

impl Record {
    /// Writes the summary for a person.
    ///
    /// # Errors
    /// Whatever `out` says.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let run = if self.run > 0 { format!("  (run {})", self.run) } else { String::new() };
        writeln!(out, "build      {}{run}", self.command.join(" "))?;
        writeln!(out, "directory  {}", self.root.display())?;
        let status = self.status.map_or("did not end".to_owned(), |status| format!("exit status {status}"));
        writeln!(out, "result     {status} after {:.2} s", self.wall_ms as f64 / 1e3)?;
        let when = if self.lazy { "answered at once, forced meanwhile" } else { "each awaited" };
        writeln!(out, "steps      {when}; sandbox: {}", self.sandbox)?;
        if let Some(reason) = &self.eager_reason {
            writeln!(out, "           awaited since {reason}")?;
        }
        self.print_kinds(out)?;
        self.print_times(out)?;
        self.print_groups(out)?;
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
        writeln!(out, "\nmore: gg report --html; --trace FILE, --json; --list; --against RUN")
    }

    fn print_kinds(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "\n{:<14}{:>10}{:>10}{:>10}{:>12}{:>14}",
            "step", "executed", "cached", "other", "CPU s", "output bytes"
        )?;
        for (kind, group) in self.group(|step| step.kind.as_str()) {
            let Group { steps, executed, cached, cpu_us, output_bytes, .. } = group;
            let (other, cpu) = (steps - executed - cached, cpu_us as f64 / 1e6);
            writeln!(out, "{kind:<14}{executed:>10}{cached:>10}{other:>10}{cpu:>12.2}{output_bytes:>14}")?;
        }
        Ok(())
    }

    /// Where the time went.
    fn print_times(&self, out: &mut dyn Write) -> io::Result<()> {
        let (tries, path) = (self.tries(), critical_path(&self.steps));
        let cached: Vec<_> = self.steps.iter().filter(|step| step.served == Served::Cached).collect();
        if tries.all > 0 || !cached.is_empty() {
            writeln!(out)?;
        }
        if !cached.is_empty() {
            let saved = cached.iter().map(|step| step.cpu_us).sum();
            let all = self.steps.len();
            writeln!(out, "from the cache  {} of {all} steps, once {} of CPU time", cached.len(), seconds(saved))?;
        }
        if tries.all > 0 {
            let (ran, at_once) = (seconds(tries.run_us), self.parallelism());
            writeln!(out, "parallelism     {at_once:.1}: programs ran for {ran} in {}", seconds(self.wall_ms * 1000))?;
        }
        if let Some(ended) = self.command_ended_us.filter(|ended| self.lazy && tries.all > 0 && *ended > 0) {
            let left = (self.wall_ms * 1000).saturating_sub(ended);
            writeln!(out, "the command     ended after {}; what was left took {}", seconds(ended), seconds(left))?;
        }
        if tries.in_vain + tries.duplicates > 0 {
            let (vain, duplicates, won) = (tries.in_vain, tries.duplicates, tries.duplicates_won);
            writeln!(
                out,
                "tried again     {vain} tries in vain; {duplicates} duplicates of what lagged, {won} were faster"
            )?;
        }
        if tries.bytes_up + tries.bytes_down > 0 {
            let (up, down) = (size::show(tries.bytes_up), size::show(tries.bytes_down));
            writeln!(out, "bytes           {up} to workers, {down} from them")?;
        }
        if !path.steps.is_empty() {
            let count = path.steps.len();
            let steps = if count == 1 { "1 step".to_owned() } else { format!("{count} steps") };
            writeln!(
                out,
                "critical path   {}: {steps}, which no number of workers makes shorter",
                seconds(path.length_us)
            )?;
            let skipped = count.saturating_sub(2 * LISTED);
            for (at, &place) in path.steps.iter().enumerate() {
                match at {
                    at if skipped > 0 && at == LISTED => writeln!(out, "{:>20}  {skipped} more", "...")?,
                    at if skipped > 0 && (LISTED..LISTED + skipped).contains(&at) => {}
                    _ => self.print_step(out, place as usize)?,
                }
            }
        }
        let slowest = self.slowest(LISTED);
        if slowest.len() > 1 {
            writeln!(out, "slowest steps")?;
            slowest.into_iter().try_for_each(|place| self.print_step(out, place))?;
        }
        Ok(())
    }

    fn print_step(&self, out: &mut dyn Write, place: usize) -> io::Result<()> {
        let step = &self.steps[place];
        writeln!(out, "{:>20}  {:<12} {}", seconds(step.took_us()), step.kind, short(self.shorten(&step.label)))
    }

    /// Which tools and folders the time went to.
    fn print_groups(&self, out: &mut dyn Write) -> io::Result<()> {
        let groups =
            [("by tool", self.group(|step| step.tool.as_str())), ("by folder", self.group(|step| self.folder(step)))];
        for (title, groups) in groups {
            let mut groups: Vec<_> = groups.into_iter().filter(|(_, group)| group.run_us > 0).collect();
            if groups.len() < 2 {
                continue;
            }
            groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.run_us));
            writeln!(out, "{title}")?;
            for (name, group) in groups.iter().take(LISTED) {
                let Group { run_us, executed, .. } = group;
                writeln!(out, "{:>20}  {executed:>6} executed  {name}", seconds(*run_us))?;
            }
            if groups.len() > LISTED {
                writeln!(out, "{:>20}  {} more", "...", groups.len() - LISTED)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(moment(0), "1970-01-01 00:00");
        assert_eq!(moment(951_782_399), "2000-02-28 23:59");
        assert_eq!(moment(951_782_400), "2000-02-29 00:00");
        assert_eq!(moment(1_735_689_599), "2024-12-31 23:59");
    }
}
