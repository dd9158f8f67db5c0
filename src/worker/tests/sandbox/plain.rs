//! Without namespaces: in the real tree.

use std::fs;
use std::time::{Duration, Instant};

use gg_ir::{AbsPath, Input};
use gg_worker::{Cancel, SandboxChoice, SandboxKind, WorkerError};

use crate::support::*;

/// A script in a real directory, without the tree at the root.
fn step<'a>(bench: &'a Bench, dir: &std::path::Path, text: &str) -> Step<'a> {
    let mut step = bench.script(text).cwd(dir);
    step.thunk.inputs.remove(&AbsPath::root());
    step
}

#[test]
fn runs_in_place_on_inputs_that_are_what_they_should_be() {
    let bench = Bench::with(1, SandboxChoice::Plain);
    assert_eq!(bench.pool.kind(), (SandboxKind::Plain, None));
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("in"), "input\n").unwrap();
    fs::write(at("out"), "from an earlier run").unwrap();
    let good = step(&bench, dir.path(), "cat in > out; chmod 755 out; echo said")
        .file(at("in"), "input\n")
        .output("o", at("out"));
    let reduction = good.done();
    assert_eq!(
        (good.bytes(&reduction.outputs[&tag("o")]), reduction.outputs[&tag("o")].mode),
        (b"input\n".to_vec(), 0o755)
    );
    assert_eq!(reduction.stdout, b"said\n");

    // An output that this run does not write is not taken from the earlier one.
    let nothing = step(&bench, dir.path(), ":").output("o", at("out"));
    assert_eq!(nothing.failed().missing_outputs, [tag("o")]);

    let differs = step(&bench, dir.path(), "cat in").file(at("in"), "other\n");
    assert!(matches!(differs.error(), WorkerError::InputDiffers { path } if path.as_path() == at("in")));
    let store = bench.store.clone();
    bench.pool.on_materialise(Box::new(move |path, value, mode| {
        store.copy_out(value, path.as_path(), mode, None).map(drop).map_err(std::io::Error::other)
    }));
    assert_eq!(differs.says(), "other\n");
    let link = step(&bench, dir.path(), ":").input(at("in"), Input::Symlink("x".into()));
    assert!(matches!(link.error(), WorkerError::InputDiffers { .. }));
}

#[test]
fn the_deadline_and_cancelling_kill_what_was_left_behind_too() {
    let bench = Bench::with(1, SandboxChoice::Plain);
    let dir = tempfile::tempdir().unwrap();
    let text = |mark: &str| format!("setsid sh -c 'sleep {mark}1; :' & (setsid sleep {mark}2 &); sleep {mark}3; :");
    let late = step(&bench, dir.path(), &text("98771")).timeout(Duration::from_millis(400));
    assert!(matches!(late.error(), WorkerError::TimedOut { .. }));
    eventually("all gone", || processes_with("98771").is_empty());

    let cancel = Cancel::new().unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| step(&bench, dir.path(), &text("98772")).try_run(&cancel));
        eventually("running", || processes_with("98772").len() >= 4);
        let thrown = Instant::now();
        cancel.cancel();
        assert!(matches!(run.join().unwrap(), Err(WorkerError::Cancelled)));
        assert!(thrown.elapsed() < Duration::from_secs(1));
    });
    eventually("all gone", || processes_with("98772").is_empty());

    // What a program that ended leaves running is ended too.
    step(&bench, dir.path(), "setsid sleep 98773 & :").done();
    eventually("all gone", || processes_with("98773").is_empty());
}
