//! Time, memory and space.

use gg_worker::wire::JobResult;

use crate::support::*;

#[test]
fn a_step_that_takes_too_long_is_ended() {
    let door = Door::new(&["--workers", "1"]);
    let (result, _) = door.run(&WORLD.script("sleep 60").timeout(0.5));
    assert!(matches!(result, JobResult::TimedOut { deadline: false, .. }), "{result:?}");
    // The worker goes on.
    let (result, response) = door.run(&WORLD.script("true"));
    assert!(matches!(result, JobResult::Done { .. }) && !response.report.cold);
}

#[test]
fn a_step_is_ended_before_the_functions_own_deadline() {
    let door = Door::new(&["--workers", "1", "--timeout", "6"]);
    let step = WORLD.script("sleep 60");
    let response = door.ask(&WORLD.request(&[&step, &WORLD.script("echo").object("/p/o", step.made("o"), 0o644)], &[]));
    assert!(matches!(response.results[0], JobResult::TimedOut { deadline: true, .. }), "{response:?}");
    assert!(matches!(response.results[1], JobResult::NotRun { .. }), "{response:?}");
    // None is begun that cannot end in time.
    let late = Door::new(&["--workers", "1", "--timeout", "3"]);
    let (result, _) = late.run(&step);
    assert!(matches!(result, JobResult::NotRun { .. } | JobResult::TimedOut { deadline: true, .. }), "{result:?}");
}

#[test]
fn a_program_that_takes_too_much_memory_is_told_from_one_that_fails() {
    let door = Door::new(&["--workers", "1", "--memory", "400"]);
    let (result, _) = door.run(&WORLD.script("dd if=/dev/zero of=/dev/null bs=900M count=3"));
    let JobResult::OutOfMemory { memory_mib: 400, text } = result else { panic!("{result:?}\n{}", door.said()) };
    assert!(text.contains("killed"), "{text}");
    let (result, _) = door.run(&WORLD.script("dd if=/dev/zero of=/dev/null bs=1M count=3"));
    assert!(matches!(result, JobResult::Done { .. }), "{result:?}");
}

#[test]
fn old_objects_make_room_for_new_ones() {
    // Room for the shell and one of the outputs, not for several.
    let door = Door::new(&["--workers", "1", "--scratch", "300"]);
    for number in 0..6 {
        let text = format!("head -c 60000000 /dev/urandom > o; echo {number}");
        let (result, response) = door.run(&WORLD.script(&text).output("o", "/p/o"));
        assert!(matches!(result, JobResult::Done { .. }), "{number}: {result:?}");
        assert!(response.report.scratch < 300 << 20, "{:?}", response.report);
    }
}

#[test]
fn a_limit_of_ones_own_holds() {
    let door = Door::new(&["--workers", "1", "--env", "GG_SCRATCH_MB=120"]);
    let mut last = 0;
    for number in 0..6 {
        let text = format!("head -c 40000000 /dev/urandom > o; echo {number}");
        let (result, response) = door.run(&WORLD.script(&text).output("o", "/p/o"));
        assert!(matches!(result, JobResult::Done { .. }), "{number}: {result:?}");
        last = response.report.scratch;
    }
    assert!(last < 200 << 20, "{last}");
}

#[test]
fn an_output_larger_than_the_scratch_space_is_no_failure_of_the_program() {
    let door = Door::new(&["--workers", "1", "--scratch", "200"]);
    let (result, _) = door.run(&WORLD.script("head -c 500000000 /dev/zero > o").output("o", "/p/o"));
    assert!(!matches!(result, JobResult::Done { .. }), "{result:?}");
    let (result, _) = door.run(&WORLD.script("true"));
    assert!(matches!(result, JobResult::Done { .. }), "{result:?}");
}
