//! The service that the front door stands for.

use std::time::{Duration, Instant};

use crate::support::*;

#[test]
fn functions_are_known_by_their_names() {
    let door = Door::new(&["--workers", "1", "--function", "gg-large=4096"]);
    let status = |name: &str, what: &str| door.get(&format!("/2015-03-31/functions/{name}{what}"));
    let found = status("gg-worker", "/configuration");
    assert_eq!((found.status, &found.json()["MemorySize"]), (200, &2048.into()));
    let arn = found.json()["FunctionArn"].as_str().unwrap().replace(':', "%3A");
    assert_eq!(status(&arn, "").json()["Configuration"]["FunctionName"], "gg-worker");
    assert_eq!(status("gg-large:$LATEST", "/configuration").json()["MemorySize"], 4096);
    let missing = status("nobody", "");
    assert_eq!((missing.status, missing.header("x-amzn-errortype")), (404, "ResourceNotFoundException"));
}

#[test]
fn another_function_has_other_workers() {
    let door = Door::new(&["--workers", "1", "--function", "gg-large=4096"]);
    let body = WORLD.request(&[&WORLD.script("true")], &[]).encode();
    for (name, memory) in [("gg-worker", 2048), ("gg-large", 4096), ("gg-worker", 2048)] {
        let target = format!("/2015-03-31/functions/{name}/invocations");
        let answer = http(&door.address, "POST", &target, &[], &body).unwrap();
        let response = gg_worker::wire::Response::decode(&answer.body).unwrap();
        assert_eq!((response.report.memory_mib, response.report.cold), (memory, true));
    }
}

#[test]
fn kinds_of_invocations() {
    let door = Door::new(&["--workers", "1"]);
    let body = WORLD.request(&[&WORLD.script("echo event")], &[]).encode();
    let with = |name: &str, value: &str| http(&door.address, "POST", INVOKE, &[(name, value)], &body).unwrap();
    assert_eq!(with("x-amz-invocation-type", "DryRun").status, 204);
    let answer = with("x-amz-log-type", "Tail");
    assert_eq!((answer.status, answer.header("x-amz-executed-version")), (200, "$LATEST"));
    assert!(!answer.header("x-amz-log-result").is_empty());
    assert_eq!(with("x-amz-invocation-type", "Event").status, 202);
    let began = Instant::now();
    while door.stats()["invocations"] != 2 {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_too_large_or_no_json() {
    let door = Door::new(&["--workers", "1"]);
    let body = format!("\"{}\"", "a".repeat(6_291_455));
    let answer = door.invoke(body.as_bytes()).unwrap();
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (413, "RequestTooLargeException"));
    let answer = door.invoke(b"{").unwrap();
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (400, "InvalidRequestContentException"));
    // The worker itself refuses what it does not understand.
    let answer = door.invoke(b"[]").unwrap();
    let response = gg_worker::wire::Response::decode(&answer.body).unwrap();
    assert!(matches!(response.refused, Some(gg_worker::wire::Refusal::Malformed { .. })));
    let answer = door.invoke(br#"{"version": 99}"#).unwrap();
    let response = gg_worker::wire::Response::decode(&answer.body).unwrap();
    assert!(matches!(response.refused, Some(gg_worker::wire::Refusal::Version { request: 99, .. })));
}

#[test]
fn more_than_there_are_workers_for_is_throttled() {
    let door = Door::new(&["--workers", "2"]);
    let body = WORLD.request(&[&WORLD.script("sleep 2")], &[]).encode();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..5).map(|_| scope.spawn(|| door.invoke(&body).unwrap().status)).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let count = |status| statuses.iter().filter(|&&found| found == status).count();
    assert_eq!((count(200), count(429)), (2, 3), "{statuses:?}");
    assert_eq!(door.stats()["most_in_flight"], 2);
}

#[test]
fn workers_can_be_pretended() {
    let door = Door::new(&["--workers", "3", "--pretend", "1"]);
    let body = WORLD.request(&[&WORLD.script("exit 1")], &[]).encode();
    let began = Instant::now();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| door.invoke(&body).unwrap())).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert!(began.elapsed() >= Duration::from_secs(1));
    let (answered, throttled): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((answered.len(), throttled.len()), (3, 1));
    for answer in answered {
        let response = gg_worker::wire::Response::decode(&answer.body).unwrap();
        assert!(matches!(response.results[..], [gg_worker::wire::JobResult::Done { .. }]), "{response:?}");
    }
    assert_eq!((&door.stats()["workers"], &door.stats()["cold_starts"]), (&0.into(), &0.into()));
}

#[test]
fn cold_starts_take_longer_where_that_is_wanted() {
    let door = Door::new(&["--workers", "1", "--cold-start", "700"]);
    let began = Instant::now();
    door.run(&WORLD.script("true"));
    assert!(began.elapsed() >= Duration::from_millis(700));
}
