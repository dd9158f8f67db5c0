//! Recorded graphs, models and shapes: what `gg simulate` reads.

#![no_main]

use gg_force::simulator::{Model, Recording, Scheduling, Shape, simulate, synthetic};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let model = Model::parse(text);
    let shape = Shape::parse(text);
    let policy = text.lines().next().unwrap_or_default().parse::<Scheduling>();
    // Lines alone are seldom found behind the first one.
    for text in [text.to_owned(), format!("gg-recording 1\n{text}")] {
        let Ok(recording) = Recording::parse(&text) else { continue };
        let written = recording.to_string();
        assert_eq!(Recording::parse(&written).expect("what was written"), recording);
        if recording.steps().len() <= 20 {
            let policy = policy.clone().unwrap_or_default();
            let result = simulate(&recording, &Model::default(), 3, policy, 1);
            let sum: f64 = result.chain.iter().map(|share| share.seconds).sum();
            assert!((sum - result.makespan_s).abs() <= 1e-3 * (1.0 + result.makespan_s));
        }
    }
    let small = shape.ok().filter(|shape| shape.compiles + shape.archives + shape.programs <= 50);
    let graph = synthetic(&small.unwrap_or(Shape { compiles: 3, archives: 2, programs: 1, ..Shape::default() }), 1);
    if let Ok(model) = model {
        simulate(&graph, &model, 3, Scheduling::default(), 1);
    }
});
