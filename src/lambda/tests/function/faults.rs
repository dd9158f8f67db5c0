//! What goes wrong on purpose.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use gg_worker::wire::{JobResult, Response};

use crate::support::*;

fn quick() -> Vec<u8> {
    WORLD.request(&[&WORLD.script("echo quick")], &[]).encode()
}

/// An invocation that goes well.
fn goes_well(door: &Door) {
    let (result, _) = door.run(&WORLD.script("echo quick"));
    assert!(matches!(result, JobResult::Done { .. }));
}

#[test]
fn a_crash_is_a_function_error_and_the_next_one_is_cold() {
    let door = Door::new(&["--workers", "2", "--fault", "crash=1"]);
    let answer = door.invoke(&quick()).unwrap();
    assert_eq!((answer.status, answer.header("x-amz-function-error")), (200, "Unhandled"));
    assert_eq!(answer.json()["errorType"], "Runtime.ExitError");
    assert!(answer.json()["errorMessage"].as_str().unwrap().ends_with("Runtime exited with error: signal: killed"));
    goes_well(&door);
    let stats = door.stats();
    assert_eq!((&stats["cold_starts"], &stats["crashes"], &stats["workers"]), (&2.into(), &1.into(), &1.into()));
}

#[test]
fn refusals_are_worded_as_the_services() {
    let door = Door::new(&["--workers", "1", "--fault", "throttle=1"]);
    let answer = door.invoke(&quick()).unwrap();
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (429, "TooManyRequestsException"));
    goes_well(&door);
    let door = Door::new(&["--workers", "1", "--fault", "error500=1"]);
    let answer = door.invoke(&quick()).unwrap();
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (500, "ServiceException"));
    goes_well(&door);
}

#[test]
fn a_lost_answer_is_a_closed_connection() {
    let door = Door::new(&["--workers", "1", "--fault", "lost=1"]);
    assert!(door.invoke(&quick()).is_none());
    goes_well(&door);
    // It had run.
    let log = door.log();
    assert_eq!((&log[0]["status"], &log[0]["faults"]), (&0.into(), &serde_json::json!(["lost"])));
    assert_eq!(log[1]["cold"], false);
}

#[test]
fn a_reset_connection_has_asked_nobody() {
    let door = Door::new(&["--workers", "1", "--fault", "reset=1"]);
    let mut stream = TcpStream::connect(&door.address).unwrap();
    write!(stream, "POST {INVOKE} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    goes_well(&door);
    let log = door.log();
    assert_eq!((&log[0]["faults"], &log[0]["place"]), (&serde_json::json!(["reset"]), &serde_json::Value::Null));
    assert_eq!(log[1]["cold"], true);
}

#[test]
fn a_corrupted_answer_is_never_believed() {
    let door = Door::new(&["--workers", "1", "--fault", "corrupt-reply=5"]);
    for _ in 0..5 {
        let answer = door.invoke(&quick()).unwrap();
        assert_eq!(answer.status, 200);
        assert!(Response::decode(&answer.body).is_err());
    }
    goes_well(&door);
}

#[test]
fn late_answers_and_slow_workers_take_their_time() {
    let door = Door::new(&["--workers", "1", "--fault", "delay=1x0.8"]);
    let began = Instant::now();
    goes_well(&door);
    assert!(began.elapsed().as_millis() >= 800);
    let step = WORLD.script("sleep 0.2");
    let slow = Door::new(&["--workers", "1", "--fault", "slow=1x5"]);
    goes_well(&slow);
    let began = Instant::now();
    slow.run(&step);
    assert!(began.elapsed().as_millis() >= 1000, "{:?}", began.elapsed());
}

#[test]
fn a_time_limit_ends_the_worker() {
    let door = Door::new(&["--workers", "1", "--timeout", "4", "--fault", "delay=1x30"]);
    let answer = door.invoke(&quick()).unwrap();
    assert_eq!((answer.status, answer.header("x-amz-function-error")), (200, "Unhandled"));
    assert_eq!(answer.json()["errorType"], "Sandbox.Timedout");
    assert!(answer.json()["errorMessage"].as_str().unwrap().contains("Task timed out after 4.00 seconds"));
    assert_eq!(door.stats()["workers"], 0);
}

#[test]
fn faults_can_be_changed() {
    let door = Door::new(&["--workers", "1"]);
    goes_well(&door);
    let change = |text: &str| http(&door.address, "POST", "/_gg/faults", &[], text.as_bytes()).unwrap().status;
    assert_eq!((change("throttle=1"), change("smoke=1")), (200, 400));
    assert_eq!(door.invoke(&quick()).unwrap().status, 429);
    assert_eq!(change(""), 200);
    goes_well(&door);
    let killed = http(&door.address, "POST", "/_gg/kill", &[], b"").unwrap();
    assert_eq!(killed.json()["killed"], 1);
    let (_, response) = door.run(&WORLD.script("echo quick"));
    assert!(response.report.cold);
}
