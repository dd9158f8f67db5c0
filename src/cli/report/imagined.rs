//! The record of a build that was simulated.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gg_force::simulator::{Recording, Simulation};
use gg_force::{Attempt, AttemptEnd};

use super::record::{AttemptRecord, EngineRecord, Record, Served, StepRecord, VERSION};

/// The engine's name.
const ENGINE: &str = "simulated";

fn us(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds).unwrap_or_default().as_micros() as u64
}

/// What such a build would have left; `what` is said to have been simulated.
pub fn imagined(what: &str, recording: &Recording, result: &Simulation) -> Record {
    let mut steps: Vec<StepRecord> = recording
        .steps()
        .iter()
        .zip(&result.outcomes)
        .map(|(step, outcome)| StepRecord {
            kind: step.kind.clone(),
            label: step.label.clone(),
            needs: step.needs.clone(),
            served: if outcome.done { Served::Executed } else { Served::Failed },
            failure: (!outcome.done).then(|| "its requests died too often, or those of one that it needs".to_owned()),
            engine: Some(ENGINE.to_owned()),
            status: outcome.done.then_some(0),
            inferred_us: us(outcome.inferred_s),
            ready_us: (outcome.ready_s > 0.0 || outcome.done).then(|| us(outcome.ready_s)),
            ended_us: Some(us(outcome.ended_s)),
            wall_us: us(outcome.computed_s),
            cpu_us: step.cpu_us,
            output_bytes: step.output_bytes,
            ..StepRecord::default()
        })
        .collect();
    let engine = ENGINE.into();
    for call in &result.calls {
        let Some(step) = steps.get_mut(call.step as usize) else { continue };
        let died = call.end == AttemptEnd::Broken;
        step.attempts.push(AttemptRecord::from(&Attempt {
            engine: std::sync::Arc::clone(&engine),
            worker: Some(call.worker),
            sent: call.sent,
            ended: call.ended,
            phases: call.phases,
            end: call.end,
            trouble: died.then(|| "the worker died".into()),
            duplicate: call.duplicate,
            cold: call.cold,
            ..Attempt::default()
        }));
    }
    Record {
        version: VERSION,
        gg: env!("CARGO_PKG_VERSION").to_owned(),
        root: std::env::current_dir().unwrap_or_default(),
        command: vec!["gg".to_owned(), "simulate".to_owned(), what.to_owned()],
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        wall_ms: us(result.makespan_s) / 1000,
        status: Some(i32::from(result.failed > 0)),
        lazy: true,
        sandbox: "simulated".to_owned(),
        simulated: true,
        steps,
        engines: vec![engine_of(result)],
        notices: vec![format!("this build was simulated: {} workers, {}", result.workers, result.scheduling)],
        ..Record::default()
    }
}

fn engine_of(result: &Simulation) -> EngineRecord {
    let counts = [
        ("requests", result.invocations),
        ("answers", result.invocations - result.retries),
        ("cold", result.cold_starts),
        ("throttled", result.throttled),
        ("crashed", result.retries),
        ("duplicated", result.duplicates),
        ("duplicates_won", result.duplicates_won),
        ("billed_ms", (result.billed_s * 1e3) as u64),
        ("mib_ms", (result.gib_s * 1024.0 * 1e3) as u64),
        ("run_us", result.outcomes.iter().map(|step| us(step.computed_s)).sum()),
        ("store_bytes_up", result.bytes_up),
        ("store_bytes_down", result.bytes_down),
    ];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    EngineRecord {
        name: ENGINE.to_owned(),
        jobs: result.workers,
        counts: counts.map(|(name, count)| (name.to_owned(), count)).collect(),
        dollars: result.dollars,
        down: None,
    }
}
