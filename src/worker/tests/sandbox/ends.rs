//! How a run can end, and that nothing is left of it.

use std::time::{Duration, Instant};

use gg_worker::{Cancel, Outcome, SandboxChoice, Status, WorkerError};

use crate::support::*;

#[test]
fn exit_statuses_and_signals() {
    let bench = Bench::new();
    let failure = bench.script("echo out; echo err >&2; exit 7").failed();
    assert_eq!(
        (failure.status, &failure.stdout[..], &failure.stderr[..]),
        (Status::Exited(7), &b"out\n"[..], &b"err\n"[..])
    );
    for signal in [6, 9, 11, 15] {
        let failure = bench.script(&format!("kill -{signal} $$")).failed();
        assert_eq!(failure.status, Status::Signalled(signal));
        assert_eq!(failure.status.code(), 128 + signal);
    }
    // Signals that gg's processes ignore are not ignored by programs.
    for signal in [2, 3, 13] {
        assert_eq!(bench.script(&format!("kill -{signal} $$; sleep 5")).failed().status, Status::Signalled(signal));
    }
}

#[test]
fn what_cannot_be_started() {
    let bench = Bench::new();
    let start = |executable: &str| {
        let mut step = bench
            .script(":")
            .file_mode("/p/no-loader", "#!/no/such/interpreter\n", 0o755)
            .file_mode("/p/no-mode", "#!/bin/sh\n", 0o644)
            .file_mode("/p/no-format", "\u{1}garbage", 0o755);
        step.thunk.function.executable = path(executable);
        match step.error() {
            WorkerError::CannotStart { path, source, hint } => {
                assert_eq!(path, self::path(executable));
                (source.raw_os_error().unwrap(), hint)
            }
            other => panic!("{other}"),
        }
    };
    assert_eq!(start("/p/missing").0, libc::ENOENT);
    let (errno, hint) = start("/p/no-loader");
    assert!(errno == libc::ENOENT && hint.contains("interpreter"));
    assert_eq!(start("/p/no-mode").0, libc::EACCES);
    assert_eq!(start("/p/no-format").0, libc::ENOEXEC);

    let mut step = bench.script(":");
    step.thunk.function.args.push("x".repeat(200_000).into());
    assert!(
        matches!(step.error(), WorkerError::CannotStart { source, .. } if source.raw_os_error() == Some(libc::E2BIG))
    );
    // A long command line as such is welcome.
    let mut step = bench.script("echo $#");
    step.thunk.function.args.extend((0..10_000).map(|n| format!("argument-{n}").into()));
    assert_eq!(step.says(), "9999\n");
}

/// A script that leaves processes in sessions of their own, then waits.
fn spreading(mark: &str) -> String {
    format!("setsid sh -c 'sleep {mark}1 & sleep {mark}2' & (setsid sleep {mark}3 &) ; sleep {mark}4")
}

#[test]
fn the_deadline_kills_everything() {
    let bench = Bench::new();
    let began = Instant::now();
    let step = bench.script(&spreading("98761")).timeout(Duration::from_millis(400));
    assert!(matches!(step.error(), WorkerError::TimedOut { after } if after == Duration::from_millis(400)));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(processes_with("98761").is_empty());
    assert_eq!(bench.script("echo fine").says(), "fine\n");
}

#[test]
fn what_is_left_running_is_killed() {
    let bench = Bench::new();
    let began = Instant::now();
    bench.script("setsid sleep 98762 & echo x > o").output("o", "/p/o").done();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(processes_with("98762").is_empty());
}

#[test]
fn cancelling_kills_everything_at_once() {
    let bench = Bench::new();
    let cancel = Cancel::new().unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| bench.script(&spreading("98763")).try_run(&cancel).map(|_| Instant::now()));
        eventually("running", || processes_with("98763").len() >= 4);
        let thrown = Instant::now();
        cancel.cancel();
        assert!(matches!(run.join().unwrap(), Err(WorkerError::Cancelled)));
        assert!(thrown.elapsed() < Duration::from_millis(1000), "{:?}", thrown.elapsed());
    });
    assert!(processes_with("98763").is_empty());
    // A switch that was thrown stays so; the process that was cancelled serves the next.
    assert!(matches!(bench.script(":").try_run(&cancel), Err(WorkerError::Cancelled)));
    assert_eq!(bench.script("echo fine").says(), "fine\n");
}

#[test]
fn a_killed_worker_process_is_replaced() {
    let bench = Bench::with(1, SandboxChoice::Namespace);
    let [worker] = bench.pool.idle_processes()[..] else { panic!("one process") };
    std::thread::scope(|scope| {
        let run = scope.spawn(|| bench.script(&spreading("98764")).error());
        eventually("running", || processes_with("98764").len() >= 4);
        unsafe { libc::kill(worker as i32, libc::SIGKILL) };
        let error = run.join().unwrap();
        assert!(matches!(error, WorkerError::Died { signal: Some(libc::SIGKILL), .. }), "{error}");
        assert!(error.is_transient());
    });
    eventually("all gone", || processes_with("98764").is_empty());
    assert_eq!(bench.script("echo fine").says(), "fine\n");

    // One that dies while it waits is noticed by the next job, which may then be run again.
    let [worker] = bench.pool.idle_processes()[..] else { panic!("one process") };
    unsafe { libc::kill(worker as i32, libc::SIGKILL) };
    let step = bench.script("echo fine");
    match step.try_run(&Cancel::new().unwrap()) {
        Ok(outcome) => assert!(matches!(outcome, Outcome::Done(_))),
        Err(error) => assert!(error.is_transient()),
    }
    assert_eq!(step.says(), "fine\n");
}

#[test]
fn thirty_jobs_on_two_processes() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..30)
            .map(|number| {
                let bench = &bench;
                scope.spawn(move || bench.script("cat n").file("/p/n", number.to_string()).says())
            })
            .collect();
        for (number, run) in runs.into_iter().enumerate() {
            assert_eq!(run.join().unwrap(), number.to_string());
        }
    });
    assert_eq!(bench.pool.idle_processes().len(), 2);
    bench.pool.shutdown();
    assert_eq!(bench.pool.idle_processes().len(), 0);
    assert!(matches!(bench.script(":").error(), WorkerError::Cancelled));
}

#[test]
fn standard_input_is_empty_and_streams_are_terminals_on_request() {
    let bench = Bench::new();
    let script = "cat; [ -t 0 ] && echo in; [ -t 1 ] && echo out; [ -t 2 ] && echo err; :";
    assert_eq!(bench.script(script).says(), "");
    let mut step = bench.script(script);
    step.terminal = true;
    assert_eq!(step.says(), "out\nerr\n");
}

#[test]
fn the_cost_counts_descendants() {
    let bench = Bench::new();
    let cost =
        bench.script("sh -c 'sh -c \"n=0; while [ \\$n -lt 300000 ]; do n=\\$((n+1)); done\"'; sleep 0.1").done().cost;
    assert!(cost.cpu_us > 20_000 && cost.wall_us > 100_000 + cost.cpu_us / 2, "{cost:?}");
    assert!((500..1_000_000).contains(&cost.peak_kib), "{cost:?}");
}

#[test]
fn a_coordinator_that_is_killed_leaves_nothing_running() {
    const MARK: &str = "GG_TEST_COORDINATOR";
    if std::env::var_os(MARK).is_some() {
        Bench::new().script(&spreading("98765")).done();
    }
    let dir = tempfile::tempdir().unwrap();
    let mut coordinator = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ends::a_coordinator_that_is_killed_leaves_nothing_running"])
        .env(MARK, "1")
        .env("TMPDIR", dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    eventually("running", || processes_with("98765").len() >= 4);
    coordinator.kill().unwrap();
    coordinator.wait().unwrap();
    eventually("all gone", || processes_with("98765").is_empty());
    eventually("its worker processes too", || {
        processes_with("__worker").iter().all(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            !status.contains("\nPPid:\t1\n")
        })
    });
}

#[test]
fn the_memory_limit_is_the_programs_own_trouble() {
    let bench = Bench::limited(1, SandboxChoice::Namespace, Some(100 << 20));
    let step = bench.script("dd if=/dev/zero of=/dev/null bs=300M count=1");
    let failure = step.failed();
    assert!(String::from_utf8_lossy(&failure.stderr).contains("memory exhausted"), "{failure:?}");
    assert_eq!(bench.script("echo fine").says(), "fine\n");
}
