//! Where a step ran, and where its time went.

use super::reason::Earlier;
use super::{Found, words};
use crate::report::{AttemptRecord, End, Record, Served, StepRecord, seconds};
use crate::size;

/// Why it ran where it did, in lines.
pub fn place(found: &Found) -> Vec<String> {
    let (record, step) = (&found.record, found.step());
    let mut lines = Vec::new();
    if let Some(reason) = &step.at_once {
        lines.push(format!("The build waited for it, since {reason}{}.", eager(record)));
    }
    let Some(engine) = &step.engine else { return lines };
    let on = words::on(engine);
    let others: Vec<&str> =
        record.engines.iter().map(|engine| engine.name.as_str()).filter(|name| name != engine).collect();
    let gave_back = step.attempts.iter().find(|attempt| attempt.end == End::Declined && attempt.engine != *engine);
    let down = record.engines.iter().find(|other| other.name != *engine && other.down.is_some());
    lines.push(match (gave_back, down) {
        (Some(attempt), _) => {
            let why = attempt.trouble.as_deref().unwrap_or("it cannot run it");
            format!("It ran {on}, since {} gave it back: {why}.", attempt.engine)
        }
        (None, Some(other)) if others.contains(&other.name.as_str()) => {
            let why = other.down.as_deref().unwrap_or_default();
            format!("It ran {on}; {} was not asked any more: {why}", other.name)
        }
        _ if others.is_empty() => format!("It ran {on}, the only engine of that build."),
        _ => format!("It ran {on}, which was free for it; steps could also run {}.", words::on(others[0])),
    });
    lines
}

/// Why steps of that build were awaited.
fn eager(record: &Record) -> String {
    record.eager_reason.as_ref().filter(|_| !record.lazy).map_or(String::new(), |why| format!(": {why}"))
}

/// Where its time went, in lines.
pub fn time(found: &Found, earlier: Option<&Earlier>) -> Vec<String> {
    let (record, step) = (&found.record, found.step());
    if !matches!(step.served, Served::Executed | Served::Failed) || step.attempts.is_empty() {
        let known = step.served == Served::Cached && step.failure.is_none();
        let text = format!(
            "When it was executed, its program ran for {} ({} of CPU time).",
            seconds(step.wall_us),
            seconds(step.cpu_us)
        );
        return if known { vec![text] } else { Vec::new() };
    }
    let ended = step.ended_us.unwrap_or(step.inferred_us);
    let whole = seconds(ended.saturating_sub(step.inferred_us));
    let memory =
        if step.peak_kib > 0 { format!(", {} of memory", size::show(step.peak_kib << 10)) } else { String::new() };
    let mut lines = vec![format!(
        "From its call to its end it took {whole}; its program ran for {} ({} of CPU time{memory}):",
        seconds(step.wall_us),
        seconds(step.cpu_us)
    )];
    let mut tell = |us: u64, what: &str| {
        if us > 0 {
            lines.push(format!("{:>12}  {what}", seconds(us)));
        }
    };
    let ready = step.ready_us.unwrap_or(step.inferred_us).max(step.inferred_us);
    tell(ready - step.inferred_us, &needed(record, step));
    let mut since = ready;
    for attempt in &step.attempts {
        let jobs = record.engines.iter().find(|engine| engine.name == attempt.engine).map_or(0, |engine| engine.jobs);
        let free = if jobs > 0 {
            format!("until {} was free for it ({jobs} at once)", attempt.engine)
        } else {
            "until an engine was free for it".to_owned()
        };
        tell(attempt.sent_us.saturating_sub(since), &free);
        if step.attempts.len() == 1 {
            phases(attempt, &mut tell);
        } else {
            let what = if attempt.duplicate { "a duplicate, since the first one lagged" } else { "a try" };
            let trouble = attempt.trouble.as_ref().map_or(String::new(), |why| format!(": {why}"));
            let place = words::on_worker(&attempt.engine, attempt.worker);
            let text = format!("{what} {place}, {}{trouble}", attempt.end.name());
            tell(attempt.ended_us.saturating_sub(attempt.sent_us), &text);
            if Some(attempt) == step.decisive() {
                phases(attempt, &mut |us, what| tell(us, &format!("  {what}")));
            }
        }
        since = since.max(attempt.ended_us);
    }
    lines.extend(compared(step, earlier));
    lines
}

/// What it waited for before it could run.
fn needed(record: &Record, step: &StepRecord) -> String {
    let needs = step.needs.iter().filter_map(|&place| record.steps.get(place as usize));
    match needs.filter(|need| need.ended_us > Some(step.inferred_us)).max_by_key(|need| need.ended_us) {
        Some(last) => format!("until all that it needs was there; {} came last", record.shorten(&last.label)),
        None => "until it was known that no cache has its result".to_owned(),
    }
}

fn phases(attempt: &AttemptRecord, tell: &mut dyn FnMut(u64, &str)) {
    let cold = if attempt.cold { ", which was started for it" } else { "" };
    tell(attempt.upload_us, &format!("to upload what it needs{}", bytes(attempt.bytes_up)));
    tell(attempt.queue_us, &format!("until a worker had it{cold}"));
    tell(attempt.fetch_us, "to get its inputs");
    tell(attempt.prepare_us, "to set up its sandbox");
    tell(attempt.run_us, "for its program");
    tell(attempt.store_us, &format!("to store its outputs{}", bytes(attempt.bytes_down)));
    let known = attempt.upload_us
        + attempt.queue_us
        + attempt.fetch_us
        + attempt.prepare_us
        + attempt.run_us
        + attempt.store_us;
    tell((attempt.ended_us.saturating_sub(attempt.sent_us)).saturating_sub(known), "for the answer's way back");
}

fn bytes(count: u64) -> String {
    if count > 0 { format!(" ({})", size::show(count)) } else { String::new() }
}

/// How long its program ran the last time.
fn compared(step: &StepRecord, earlier: Option<&Earlier>) -> Option<String> {
    let earlier = earlier.filter(|earlier| earlier.step().wall_us > 0)?;
    let (then, now) = (earlier.step().wall_us, step.wall_us);
    let by = match (now as f64 / then as f64, then.abs_diff(now) > 20_000) {
        (_, false) => "about as long".to_owned(),
        (times @ 2.0.., _) => format!("this is {times:.1} times as long"),
        _ if now > then => format!("this is {} more", seconds(now - then)),
        _ => format!("this is {} less", seconds(then - now)),
    };
    Some(format!("In {} its program ran for {}; {by}.", words::run(&earlier.record), seconds(then)))
}
