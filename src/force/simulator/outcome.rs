//! What came out of a simulated build.

use serde::Serialize;

use super::bounds::Bounds;
use super::calls::SimulatedCall;
use super::chain::{realised, tail};
use super::driver::Driver;
use super::model::Model;
use super::phase::{Phase, Spent};
use super::recording::Recording;
use super::scheduling::Scheduling;

/// A simulated build, in figures. Times are seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Simulation {
    /// How many steps were simulated.
    pub steps: usize,
    /// How many of them ended without a result, since requests died too often.
    pub failed: usize,
    /// How many workers were asked for.
    pub workers: usize,
    /// How it was scheduled.
    pub scheduling: String,
    /// The seed of what the model leaves to chance.
    pub seed: u64,
    /// From the build's start to its end: the last step's, and that of the last byte's way to the client.
    pub makespan_s: f64,
    /// All steps one after the other, on the machine that they were recorded on.
    pub work_s: f64,
    /// The longest path of the graph, on that machine.
    pub critical_path_s: f64,
    /// How many steps are on it.
    pub critical_steps: usize,
    /// What no schedule can beat: the critical path, or the work divided by the workers, at the speed of a function.
    pub bound_s: f64,
    /// The makespan over the bound.
    pub ratio: f64,
    /// The share of the workers' time, from the start to the end of the last step, in which steps computed.
    pub worker_use: f64,
    /// The most workers that were busy at once, those included whose answer was not waited for.
    pub peak_concurrency: u64,
    /// Requests to functions that were taken.
    pub invocations: u64,
    /// Workers that were started.
    pub cold_starts: u64,
    /// Requests that were refused as too many.
    pub throttled: u64,
    /// Requests that were sent again since they died.
    pub retries: u64,
    /// Requests that were sent again since they lagged.
    pub duplicates: u64,
    /// Those of them that were answered first.
    pub duplicates_won: u64,
    /// Time of functions that is billed.
    pub billed_s: f64,
    /// The same times the function's memory, GiB.
    pub gib_s: f64,
    /// Bytes from the client to the store, and back, before compression.
    pub bytes_up: u64,
    /// See `bytes_up`.
    pub bytes_down: u64,
    /// What it costs by the model's prices, US dollars.
    pub dollars: f64,
    /// How many steps are on the chain that decided the makespan: each ended last of those that the next one needs.
    pub chain_steps: usize,
    /// Where the time of that chain went; all add up to the makespan.
    pub chain: Vec<Share>,
    /// What each step went through.
    #[serde(skip)]
    pub outcomes: Vec<SimulatedStep>,
    /// Each call for each step, in the order in which they ended, if that was asked for.
    #[serde(skip)]
    pub calls: Vec<SimulatedCall>,
}

/// A part of the makespan.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Share {
    /// What for.
    pub phase: Phase,
    /// How long.
    pub seconds: f64,
    /// The share of the makespan.
    pub share: f64,
}

/// One step of a simulated build. Times are seconds from the build's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimulatedStep {
    /// When it had been inferred.
    pub inferred_s: f64,
    /// When all that it needs was there.
    pub ready_s: f64,
    /// When it had a result.
    pub ended_s: f64,
    /// How long its program ran.
    pub computed_s: f64,
    /// Whether it has a result.
    pub done: bool,
}

/// Builds a recorded graph on so many imagined workers. The same for the same seed.
pub fn simulate(recording: &Recording, model: &Model, workers: usize, scheduling: Scheduling, seed: u64) -> Simulation {
    run(recording, model, workers, (scheduling, seed), false)
}

/// [`simulate`], with [`Simulation::calls`].
pub fn simulate_in_detail(
    recording: &Recording,
    model: &Model,
    workers: usize,
    scheduling: Scheduling,
    seed: u64,
) -> Simulation {
    run(recording, model, workers, (scheduling, seed), true)
}

fn run(
    recording: &Recording,
    model: &Model,
    workers: usize,
    (scheduling, seed): (Scheduling, u64),
    in_detail: bool,
) -> Simulation {
    let workers = workers.max(1);
    let mut driver = Driver::new(recording, model, workers, scheduling, seed);
    if in_detail {
        driver.requests.keep_calls();
    }
    driver.run();
    let calls = driver.requests.take_calls(driver.now);
    let traces = &driver.traces;
    let end = traces.iter().filter_map(|trace| trace.ended).max().unwrap_or_default();
    let (mut spent, chain_steps) = realised(recording, traces);
    let whole = if driver.download_free > end { driver.download_free } else { end };
    spent.add_all(&tail(driver.download_free, end));
    let makespan = whole.as_secs_f64();
    let bounds = Bounds::of(recording);
    let bound = bounds.least_s(workers, model.function.speed);
    let computed = |spent: &Spent| (spent.get(Phase::Compute) + spent.get(Phase::Slow)).as_secs_f64();
    let all_computed: f64 = traces.iter().map(|trace| computed(&trace.spent)).sum();
    let counts = driver.requests.counts;
    let gib_s = counts.billed.as_secs_f64() * model.function.memory_mib as f64 / 1024.0;
    let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 1.0 };
    let mut chain: Vec<Share> = Phase::ALL
        .into_iter()
        .map(|phase| (phase, spent.get(phase).as_secs_f64()))
        .filter(|(_, seconds)| *seconds > 0.0)
        .map(|(phase, seconds)| Share { phase, seconds, share: ratio(seconds, makespan) })
        .collect();
    chain.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Simulation {
        steps: traces.len(),
        failed: traces.iter().filter(|trace| trace.failed).count(),
        workers,
        scheduling: scheduling.to_string(),
        seed,
        makespan_s: makespan,
        work_s: bounds.work.as_secs_f64(),
        critical_path_s: bounds.critical_path.as_secs_f64(),
        critical_steps: bounds.critical_steps,
        bound_s: bound,
        ratio: ratio(makespan, bound),
        worker_use: ratio(all_computed, end.as_secs_f64() * workers as f64),
        peak_concurrency: driver.requests.service.most_busy,
        invocations: counts.requests,
        cold_starts: driver.requests.service.cold,
        throttled: driver.requests.service.refused,
        retries: counts.retries,
        duplicates: counts.duplicates,
        duplicates_won: counts.duplicates_won,
        billed_s: counts.billed.as_secs_f64(),
        gib_s,
        bytes_up: driver.uploaded,
        bytes_down: driver.downloaded,
        dollars: dollars(recording, model, &driver, gib_s),
        chain_steps,
        chain,
        outcomes: traces
            .iter()
            .map(|trace| SimulatedStep {
                inferred_s: trace.arrived.unwrap_or_default().as_secs_f64(),
                ready_s: trace.ready.as_secs_f64(),
                ended_s: trace.ended.unwrap_or_default().as_secs_f64(),
                computed_s: computed(&trace.spent),
                done: !trace.failed,
            })
            .collect(),
        calls,
    }
}

/// Bytes of a pack, in which small objects travel from the client.
const PACK: u64 = 4 << 20;

/// What it costs: requests, billed time, and what goes through the store. A step fetches its inputs that are files of the
/// project as one pack, and what other steps have stored each by itself.
fn dollars(recording: &Recording, model: &Model, driver: &Driver, gib_s: f64) -> f64 {
    let steps = recording.steps();
    let stored = |bytes: u64| bytes >= model.store.inline_bytes;
    let puts = steps.iter().filter(|step| stored(step.output_bytes)).count() as u64 + driver.uploaded.div_ceil(PACK);
    let fetched = |step: &super::RecordedStep| {
        let made = step.needs.iter().filter(|&&need| stored(steps[need as usize].output_bytes)).count() as u64;
        made + u64::from(step.input_bytes > 0) + u64::from(model.client.all_outputs && stored(step.output_bytes))
    };
    let gets: u64 = steps.iter().map(fetched).sum::<u64>() + driver.requests.service.cold;
    let prices = &model.prices;
    let gb_down = driver.downloaded as f64 / model.client.compression / 1e9;
    gib_s * prices.gib_second
        + driver.requests.counts.requests as f64 * prices.request
        + puts as f64 * prices.put
        + gets as f64 * prices.get
        + gb_down * prices.gb_out
}
