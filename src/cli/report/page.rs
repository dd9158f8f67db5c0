//! A record as one page that needs nothing else: no network, no library. The script draws from the data in it, which are the
//! record in columns, compressed, since a page of 50,000 steps is to be sent to a colleague.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use base64::Engine;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::compare::compare;
use super::critical::critical_path;
use super::lanes::lanes;
use super::record::{EngineRecord, HereRecord, Record};
use super::totals::Tries;

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPTS: [&str; 3] =
    [include_str!("page/data.js"), include_str!("page/timeline.js"), include_str!("page/tables.js")];

/// What the script finds.
#[derive(Serialize)]
struct Data<'a> {
    run: u64,
    wall: u64,
    command_ended: Option<u64>,
    lanes: Vec<(&'a str, &'a str)>,
    critical: Vec<u32>,
    critical_us: u64,
    here: Vec<(&'a HereRecord, u32)>,
    bypassed: &'a BTreeMap<String, u64>,
    engines: &'a [EngineRecord],
    notices: &'a [String],
    steps: Steps<'a>,
    attempts: Attempts<'a>,
    against: Option<Against<'a>>,
}

/// Few different texts: each once, and which of them each step has.
#[derive(Default, Serialize)]
struct Words<'a> {
    words: Vec<&'a str>,
    of: Vec<u32>,
    #[serde(skip)]
    known: HashMap<&'a str, u32>,
}

impl<'a> Words<'a> {
    fn push(&mut self, word: &'a str) {
        let next = self.words.len() as u32;
        let place = *self.known.entry(word).or_insert(next);
        if place == next {
            self.words.push(word);
        }
        self.of.push(place);
    }
}

/// The steps, in columns. Times are microseconds.
#[derive(Default, Serialize)]
struct Steps<'a> {
    label: Vec<&'a str>,
    thunk: Vec<&'a str>,
    kind: Words<'a>,
    tool: Words<'a>,
    folder: Words<'a>,
    served: Words<'a>,
    engine: Words<'a>,
    directory: Words<'a>,
    at_once: Words<'a>,
    command: Vec<&'a str>,
    inferred: Vec<u64>,
    ready: Vec<Option<u64>>,
    ended: Vec<Option<u64>>,
    took: Vec<u64>,
    wall: Vec<u64>,
    cpu: Vec<u64>,
    peak: Vec<u64>,
    output: Vec<u64>,
    needs: Vec<&'a [u32]>,
    failure: BTreeMap<usize, (&'a str, &'a str)>,
}

/// The tries of all steps, in columns.
#[derive(Default, Serialize)]
struct Attempts<'a> {
    step: Vec<u32>,
    lane: Vec<u32>,
    sent: Vec<u64>,
    ended: Vec<u64>,
    /// The phases one after the other: upload, queue, fetch, prepare, run, store.
    phases: [Vec<u64>; 6],
    end: Words<'a>,
    duplicate: Vec<u8>,
    cold: Vec<u8>,
    up: Vec<u64>,
    down: Vec<u64>,
    trouble: BTreeMap<usize, &'a str>,
}

/// What is different from another run.
#[derive(Serialize)]
struct Against<'a> {
    name: String,
    wall: u64,
    /// What has become of it, its place, its label, its time before and now.
    differences: Vec<(&'static str, Option<u32>, &'a str, u64, u64)>,
}

impl<'a> Data<'a> {
    fn of(record: &'a Record, against: Option<&'a Record>, all: &'a [(String, String)]) -> Self {
        let (path, lanes) = (critical_path(&record.steps), lanes(record));
        let mut steps = Steps::default();
        let mut attempts = Attempts::default();
        let mut places = lanes.of_attempts.into_iter();
        for (place, step) in record.steps.iter().enumerate() {
            steps.label.push(record.shorten(&step.label));
            steps.thunk.push(&step.thunk);
            steps.kind.push(&step.kind);
            steps.tool.push(&step.tool);
            steps.folder.push(record.folder(step));
            steps.served.push(step.served.name());
            steps.engine.push(step.engine.as_deref().unwrap_or_default());
            steps.directory.push(&step.directory);
            steps.at_once.push(step.at_once.as_deref().unwrap_or_default());
            steps.command.push(&step.command);
            steps.inferred.push(step.inferred_us);
            steps.ready.push(step.ready_us);
            steps.ended.push(step.ended_us);
            steps.took.push(step.took_us());
            steps.wall.push(step.wall_us);
            steps.cpu.push(step.cpu_us);
            steps.peak.push(step.peak_kib);
            steps.output.push(step.output_bytes);
            steps.needs.push(&step.needs);
            if let Some(failure) = &step.failure {
                steps.failure.insert(place, (failure, step.stderr.as_deref().unwrap_or_default()));
            }
            for (attempt, lane) in step.attempts.iter().zip(&mut places) {
                attempts.step.push(place as u32);
                attempts.lane.push(lane);
                attempts.sent.push(attempt.sent_us);
                attempts.ended.push(attempt.ended_us);
                let phases = [
                    attempt.upload_us,
                    attempt.queue_us,
                    attempt.fetch_us,
                    attempt.prepare_us,
                    attempt.run_us,
                    attempt.store_us,
                ];
                attempts.phases.iter_mut().zip(phases).for_each(|(column, us)| column.push(us));
                attempts.end.push(attempt.end.name());
                attempts.duplicate.push(attempt.duplicate.into());
                attempts.cold.push(attempt.cold.into());
                attempts.up.push(attempt.bytes_up);
                attempts.down.push(attempt.bytes_down);
                if let Some(trouble) = &attempt.trouble {
                    attempts.trouble.insert(attempts.step.len() - 1, trouble);
                }
            }
        }
        Self {
            run: record.run,
            wall: record.wall_ms * 1000,
            command_ended: record.command_ended_us,
            lanes: all.iter().map(|(engine, name)| (engine.as_str(), name.as_str())).collect(),
            critical: path.steps,
            critical_us: path.length_us,
            here: record.here.iter().zip(lanes.of_here).collect(),
            bypassed: &record.bypassed,
            engines: &record.engines,
            notices: &record.notices,
            steps,
            attempts,
            against: against.map(|before| Against::of(before, record)),
        }
    }
}

impl<'a> Against<'a> {
    fn of(before: &'a Record, after: &'a Record) -> Self {
        let label = |after_place: Option<u32>, before_place: Option<u32>| match (after_place, before_place) {
            (Some(place), _) => after.shorten(&after.steps[place as usize].label),
            (None, Some(place)) => before.shorten(&before.steps[place as usize].label),
            (None, None) => "",
        };
        let differences = compare(before, after)
            .into_iter()
            .map(|it| (it.change.name(), it.after, label(it.after, it.before), it.before_us, it.after_us));
        Self {
            name: if before.run > 0 { format!("run {}", before.run) } else { before.command.join(" ") },
            wall: before.wall_ms * 1000,
            differences: differences.collect(),
        }
    }
}

/// Text as it stands in HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            char => out.push(char),
        }
    }
    out
}

/// What a person without a script sees, too: a list of terms.
fn facts(record: &Record) -> String {
    let (total, tries) = (record.total(), record.tries());
    let seconds = |us: u64| format!("{:.2} s", us as f64 / 1e6);
    let status = record.status.map_or("did not end".to_owned(), |status| format!("exit status {status}"));
    let dollars: f64 = record.engines.iter().map(|engine| engine.dollars).sum();
    let mut facts = vec![
        ("result", status),
        ("time", seconds(record.wall_ms * 1000)),
        ("steps", total.steps.to_string()),
        ("executed", total.executed.to_string()),
        ("from the cache", total.cached.to_string()),
        ("other", (total.steps - total.executed - total.cached).to_string()),
        ("ran here", record.here.len().to_string()),
        ("critical path", seconds(critical_path(&record.steps).length_us)),
        ("parallelism", format!("{:.1}", record.parallelism())),
        ("CPU time", seconds(total.cpu_us)),
    ];
    let Tries { in_vain, duplicates, duplicates_won, bytes_up, bytes_down, .. } = tries;
    if in_vain + duplicates > 0 {
        facts.push(("tries in vain", in_vain.to_string()));
        facts.push(("duplicates", format!("{duplicates}, {duplicates_won} faster")));
    }
    if bytes_up + bytes_down > 0 {
        facts.push(("to workers", crate::size::show(bytes_up)));
        facts.push(("from workers", crate::size::show(bytes_down)));
    }
    if dollars > 0.0 {
        facts.push(("cost", format!("${dollars:.4}")));
    }
    let fact = |(term, what): (&str, String)| format!("<div><dt>{term}</dt><dd>{}</dd></div>", escape(&what));
    facts.into_iter().map(fact).collect()
}

/// Writes the page; with `against`, also what is different from that run.
///
/// # Errors
/// Whatever `out` says.
pub fn write(record: &Record, against: Option<&Record>, out: &mut dyn Write) -> io::Result<()> {
    let lanes: Vec<(String, String)> = lanes(record).all.into_iter().map(|lane| (lane.engine, lane.name)).collect();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    serde_json::to_writer(&mut packed, &Data::of(record, against, &lanes))?;
    let data = base64::engine::general_purpose::STANDARD.encode(packed.finish()?);
    let command = record.command.join(" ");
    let when = format!(
        "{} in {}",
        if record.run > 0 { format!("run {}", record.run) } else { "a run".into() },
        record.root.display()
    );
    let (title, when, facts, script) = (escape(&command), escape(&when), facts(record), SCRIPTS.concat());
    let started = record.started.to_string();
    // The marks are of the page's own text, never of what was put in.
    let mut rest = HTML;
    while let Some((before, after)) = rest.split_once("{{") {
        let (mark, after) = after.split_once("}}").unwrap_or((after, ""));
        out.write_all(before.as_bytes())?;
        let put = match mark {
            "title" => &title,
            "when" => &when,
            "started" => &started,
            "facts" => &facts,
            "style" => STYLE,
            "script" => &script,
            _ => &data,
        };
        out.write_all(put.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::record::StepRecord;
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        let evil = "</script><script>alert(1)</script>{{data}}";
        let step = StepRecord { label: evil.into(), command: evil.into(), ..StepRecord::default() };
        let record = Record {
            command: vec![evil.into()],
            root: evil.into(),
            steps: vec![step],
            notices: vec![evil.into()],
            ..Record::default()
        };
        let mut page = Vec::new();
        write(&record, Some(&record), &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(!page.contains("<script>alert"), "{page}");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("&lt;/script&gt;"));
        // Nothing is fetched.
        for outside in ["src=", "href=\"http", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
