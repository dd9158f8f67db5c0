//! A record as a trace, which Perfetto and Chrome show: the JSON of the "Trace Event Format" (Google, 2016).

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::lanes::lanes;
use super::record::{AttemptRecord, Record};

/// One event; times are microseconds.
#[derive(Serialize)]
struct Event<'a> {
    ph: &'a str,
    name: &'a str,
    cat: &'a str,
    pid: usize,
    tid: u32,
    ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<u64>,
    #[serde(skip_serializing_if = "Value::is_null")]
    args: Value,
}

/// When the worker began with it.
fn arrived(attempt: &AttemptRecord) -> u64 {
    attempt.sent_us + attempt.upload_us + attempt.queue_us
}

/// The phases on the worker: name, beginning, length. One that took no time is left out.
fn phases(attempt: &AttemptRecord) -> impl Iterator<Item = (&'static str, u64, u64)> {
    let AttemptRecord { fetch_us, prepare_us, run_us, store_us, .. } = *attempt;
    let mut at = arrived(attempt);
    let all = [("fetch", fetch_us), ("prepare", prepare_us), ("run", run_us), ("store", store_us)];
    all.into_iter().filter(|(_, length)| *length > 0).map(move |(name, length)| {
        let begun = at;
        at += length;
        (name, begun, length)
    })
}

/// Writes the trace.
///
/// # Errors
/// Whatever `out` says.
pub fn write(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    let lanes = lanes(record);
    let mut engines: BTreeMap<&str, usize> = BTreeMap::new();
    for lane in &lanes.all {
        let next = engines.len() + 1;
        engines.entry(&lane.engine).or_insert(next);
    }
    let process = |lane: u32| engines.get(lanes.all[lane as usize].engine.as_str()).copied().unwrap_or_default();
    write!(out, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
    let mut first = true;
    let mut event = |out: &mut dyn Write, event: Event<'_>| {
        out.write_all(if std::mem::take(&mut first) { b"\n" } else { b",\n" })?;
        Ok::<(), io::Error>(serde_json::to_writer(out, &event)?)
    };
    let named = |name: &'static str, pid, tid, said: &str| Event {
        ph: "M",
        name,
        cat: "",
        pid,
        tid,
        ts: 0,
        dur: None,
        args: json!({ "name": said }),
    };
    for (engine, &pid) in &engines {
        event(out, named("process_name", pid, 0, engine))?;
    }
    for (tid, lane) in (0..).zip(&lanes.all) {
        event(out, named("thread_name", process(tid), tid, &format!("{} {}", lane.engine, lane.name)))?;
    }
    let mut places = lanes.of_attempts.iter();
    for step in &record.steps {
        let label = record.shorten(&step.label);
        for (attempt, &tid) in step.attempts.iter().zip(&mut places) {
            let (pid, ts) = (process(tid), arrived(attempt));
            let whole: u64 = phases(attempt).map(|(_, _, length)| length).sum();
            let dur = if whole > 0 { whole } else { attempt.ended_us.saturating_sub(ts) };
            let args = json!({
                "thunk": step.thunk,
                "command": step.command,
                "directory": step.directory,
                "end": attempt.end.name(),
                "trouble": attempt.trouble,
                "duplicate": attempt.duplicate,
                "cold": attempt.cold,
                "inferred_us": step.inferred_us,
                "ready_us": step.ready_us,
                "upload_us": attempt.upload_us,
                "queue_us": attempt.queue_us,
                "cpu_us": step.cpu_us,
                "peak_kib": step.peak_kib,
            });
            event(out, Event { ph: "X", name: label, cat: &step.kind, pid, tid, ts, dur: Some(dur), args })?;
            for (name, ts, length) in phases(attempt) {
                let dur = Some(length);
                event(out, Event { ph: "X", name, cat: "phase", pid, tid, ts, dur, args: Value::Null })?;
            }
        }
    }
    for (call, &tid) in record.here.iter().zip(&lanes.of_here) {
        let dur = Some(call.ended_us.unwrap_or(call.began_us).saturating_sub(call.began_us));
        let args = json!({ "command": call.command, "reason": call.reason });
        let (pid, ts) = (process(tid), call.began_us);
        event(out, Event { ph: "X", name: &call.tool, cat: "here", pid, tid, ts, dur, args })?;
    }
    writeln!(out, "\n]}}")
}
