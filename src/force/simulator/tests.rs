//! The simulator as a whole.

use super::*;

fn step(kind: &str, seconds: u64, needs: &[u32]) -> RecordedStep {
    let micros = seconds * 1_000_000;
    let label = format!("{kind} {seconds} {needs:?}");
    RecordedStep {
        kind: kind.into(),
        label,
        wall_us: micros,
        cpu_us: micros,
        needs: needs.to_vec(),
        ..Default::default()
    }
}

fn recording(steps: Vec<RecordedStep>) -> Recording {
    Recording::new(steps).unwrap()
}

fn scheduled(words: &str) -> Scheduling {
    words.parse().unwrap()
}

fn share(result: &Simulation, phase: Phase) -> f64 {
    result.chain.iter().find(|share| share.phase == phase).map_or(0.0, |share| share.seconds)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-3
}

#[test]
fn an_ideal_service_takes_what_the_graph_takes() {
    let graph = recording(vec![step("a", 3, &[]), step("b", 1, &[]), step("c", 2, &[0, 1]), step("d", 4, &[])]);
    let at = |workers| simulate(&graph, &Model::ideal(), workers, Scheduling::default(), 1);
    let many = at(9);
    assert!(close(many.makespan_s, 5.0) && close(many.ratio, 1.0), "{many:?}");
    assert_eq!((many.invocations, many.failed, many.peak_concurrency, many.chain_steps), (4, 0, 3, 2));
    let one = at(1);
    assert!(close(one.makespan_s, 10.0) && close(one.worker_use, 1.0), "{one:?}");
    assert!(close(share(&one, Phase::Workers) + share(&one, Phase::Compute), 10.0), "{one:?}");
}

#[test]
fn whatever_the_model_the_chain_adds_up_and_every_step_ends() {
    let graph = synthetic(&Shape::of(600), 3);
    let mut model = Model::default();
    model.trouble.failure_rate = 0.05;
    model.trouble.straggler_rate = 0.05;
    model.trouble.throttle_rate = 0.1;
    model.scaling.burst = 20;
    for words in ["critical-path", "fifo,no-duplicates", "batch:4", "chains", "no-history,chains,batch:3"] {
        for workers in [1, 30, 1000] {
            let result = simulate(&graph, &model, workers, scheduled(words), 7);
            let sum: f64 = result.chain.iter().map(|share| share.seconds).sum();
            assert!(close(sum, result.makespan_s), "{words} on {workers}: {sum} of {result:?}");
            assert_eq!(result.failed, 0, "{words} on {workers}");
            assert!(result.outcomes.iter().all(|step| step.done && step.ended_s > step.ready_s));
            assert!(result.makespan_s >= result.critical_path_s, "{words} on {workers}: {result:?}");
            assert!(result.peak_concurrency <= workers as u64 + result.duplicates);
            let needs = graph.steps().iter().zip(&result.outcomes);
            for (step, outcome) in needs {
                for &need in &step.needs {
                    assert!(result.outcomes[need as usize].ended_s <= outcome.ready_s);
                }
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_build() {
    let graph = synthetic(&Shape::of(400), 1);
    let run = |seed| simulate(&graph, &Model::default(), 100, Scheduling::default(), seed);
    let text = |result: &Simulation| format!("{result:?}");
    assert_eq!(text(&run(5)), text(&run(5)));
    assert_ne!(run(5).makespan_s, run(6).makespan_s);
}

#[test]
fn the_longest_path_goes_first_unless_the_first_does() {
    // Ten steps that stand alone and a chain of five, on two workers: eight seconds at best.
    let mut steps: Vec<RecordedStep> = (0..10).map(|_| step("single", 1, &[])).collect();
    steps.push(step("chain", 1, &[]));
    (11..15).for_each(|at| steps.push(step("chain", 1, &[at - 1])));
    let run = |words| simulate(&recording(steps.clone()), &Model::ideal(), 2, scheduled(words), 1).makespan_s;
    assert!(close(run("critical-path"), 8.0), "{}", run("critical-path"));
    assert!(close(run("fifo"), 10.0), "{}", run("fifo"));
}

#[test]
fn without_history_long_steps_are_not_known_for_what_they_are() {
    let mut steps: Vec<RecordedStep> = (0..8).map(|_| step("compile", 1, &[])).collect();
    steps.push(step("compile", 5, &[]));
    let run = |words| simulate(&recording(steps.clone()), &Model::ideal(), 2, scheduled(words), 1).makespan_s;
    assert!(close(run("history"), 7.0), "{}", run("history"));
    assert!(close(run("no-history"), 9.0), "{}", run("no-history"));
}

#[test]
fn a_request_that_lags_is_sent_again() {
    let mut model = Model::ideal();
    (model.trouble.straggler_rate, model.trouble.straggler_factor) = (0.05, 100.0);
    let graph = recording((0..200).map(|at| step(&format!("k{}", at % 2), 2, &[])).collect());
    let run = |words| simulate(&graph, &model, 400, scheduled(words), 4);
    let (with, without) = (run("duplicates"), run("no-duplicates"));
    assert!(close(without.makespan_s, 200.0), "{without:?}");
    assert!(with.makespan_s < 30.0 && with.duplicates_won > 0, "{with:?}");
    assert_eq!((without.duplicates, without.invocations), (0, 200));
    assert!(with.invocations == 200 + with.duplicates);
    // What is sent twice is billed twice.
    assert!(with.billed_s > 200.0 * 2.0);
}

#[test]
fn steps_share_requests_only_where_workers_are_scarce() {
    let mut model = Model::ideal();
    model.function.request_s = 1.0;
    let graph = recording((0..40).map(|_| step("compile", 1, &[])).collect());
    let run = |words, workers| simulate(&graph, &model, workers, scheduled(words), 1);
    let (alone, shared) = (run("batch:1", 10), run("batch:4", 10));
    assert_eq!((alone.invocations, shared.invocations), (40, 10));
    assert!(close(alone.makespan_s, 8.0) && close(shared.makespan_s, 5.0), "{alone:?} {shared:?}");
    assert!(close(share(&shared, Phase::Batch), 3.0), "{shared:?}");
    assert_eq!(run("batch:4", 40).invocations, 40);
    assert_eq!(run("batch:4", 20).invocations, 20);
}

#[test]
fn a_worker_goes_on_to_the_step_that_only_it_makes_ready() {
    let mut model = Model::ideal();
    model.function.request_s = 1.0;
    (model.store.latency_s, model.store.inline_bytes) = (0.5, 0);
    let with_bytes = |mut step: RecordedStep| {
        step.output_bytes = 10;
        step
    };
    // A pair, and two that a third waits for: that one is nobody's alone.
    let graph = recording(
        vec![step("a", 1, &[]), step("strip", 1, &[0]), step("b", 1, &[]), step("c", 1, &[]), step("link", 1, &[2, 3])]
            .into_iter()
            .map(with_bytes)
            .collect(),
    );
    let run = |words| simulate(&graph, &model, 9, scheduled(words), 1);
    let (alone, chained) = (run("critical-path"), run("chains"));
    // Without chains each step is a request of its own, and fetches what it needs.
    assert_eq!((alone.invocations, chained.invocations), (5, 3));
    let ended = |result: &Simulation| [1, 4].map(|step: usize| result.outcomes[step].ended_s);
    assert!(ended(&alone).iter().zip([5.5, 5.5]).all(|(a, b)| close(*a, b)), "{:?}", ended(&alone));
    // The step that ends last makes the link ready, which has been waiting for it alone; the strip needs no fetch either.
    assert!(ended(&chained).iter().zip([4.0, 4.0]).all(|(a, b)| close(*a, b)), "{:?}", ended(&chained));
}

#[test]
fn a_step_whose_requests_keep_dying_fails_with_all_that_need_it() {
    let mut model = Model::default();
    model.trouble.failure_rate = 0.999;
    let graph = recording(vec![step("a", 1, &[]), step("b", 1, &[0]), step("c", 1, &[1])]);
    for words in ["critical-path", "chains", "batch:2"] {
        let result = simulate(&graph, &model, 5, scheduled(words), 1);
        assert_eq!((result.failed, result.invocations, result.retries), (3, 6, 5), "{words}");
    }
}

#[test]
fn what_limits_a_build_is_named() {
    let graph = recording((0..3000).map(|_| step("compile", 2, &[])).collect());
    let with = |change: fn(&mut Model)| {
        let mut model = Model::ideal();
        change(&mut model);
        simulate(&graph, &model, 3000, Scheduling::default(), 1).chain[0].phase
    };
    assert_eq!(with(|_| ()), Phase::Compute);
    assert_eq!(with(|model| model.client.infer_s = 0.01), Phase::Infer);
    assert_eq!(with(|model| (model.scaling.burst, model.scaling.per_10_s) = (100, 1)), Phase::RampUp);
    assert_eq!(with(|model| model.scaling.concurrency = 100), Phase::RampUp);
    assert_eq!(with(|model| model.function.cold_start_s = 9.0), Phase::ColdStart);
    assert_eq!(with(|model| model.function.request_s = 9.0), Phase::Request);
}
