//! The same worker, unmodified, behind another's emulator: cargo-lambda's.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use gg_worker::wire::{JobResult, Response};

use crate::support::*;

/// Where `tests/servers install` has put the emulator. That it is not there is a failure, unless GG_TEST_SKIP_SERVERS says
/// otherwise.
fn emulator() -> Option<PathBuf> {
    let servers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers");
    let said = Command::new(servers).args(["path", "cargo-lambda"]).output().unwrap();
    if said.status.success() {
        return Some(String::from_utf8_lossy(&said.stdout).trim().into());
    }
    let reason = String::from_utf8_lossy(&said.stderr);
    assert!(std::env::var_os("GG_TEST_SKIP_SERVERS").is_some(), "{reason}");
    eprintln!("NOT TESTED, since GG_TEST_SKIP_SERVERS is set: {reason}");
    None
}

#[test]
fn several_workers_behind_cargo_lambda() {
    let Some(emulator) = emulator() else { return };
    let dir = tempfile::tempdir().unwrap();
    let package = "[package]\nname = \"gg-worker\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[[bin]]\nname = \"gg-worker\"\npath = \"main.rs\"\n[workspace]\n";
    std::fs::write(dir.path().join("Cargo.toml"), package).unwrap();
    std::fs::write(dir.path().join("main.rs"), "fn main() {}\n").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut watch = Command::new(emulator);
    watch.args(["lambda", "watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1", "--invoke-port"]);
    let output = std::fs::File::create(dir.path().join("log")).unwrap();
    watch.arg(port.to_string()).current_dir(&dir).stdout(output.try_clone().unwrap()).stderr(output);
    let _watch = Running(watch.spawn().unwrap());
    let began = Instant::now();
    while std::net::TcpStream::connect(&address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "the emulator does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    let workers = (0..3).map(|number| {
        let scratch = dir.path().join(format!("scratch{number}"));
        let worker = Command::new(env!("CARGO_BIN_EXE_gg-lambda-worker"))
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{address}/.rt/gg-worker"))
            .env("AWS_LAMBDA_FUNCTION_NAME", "gg-worker")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("GG_SCRATCH", scratch)
            .spawn();
        Running(worker.unwrap())
    });
    let _workers: Vec<Running> = workers.collect();
    let asked: Vec<(Step, Vec<u8>)> = (0..6)
        .map(|number| {
            let step = WORLD.script(&format!("sleep 0.5; echo {number} > o")).output("o", "/p/o");
            let body = WORLD.request(&[&step], &[]).encode();
            (step, body)
        })
        .collect();
    let responses: Vec<Response> = std::thread::scope(|scope| {
        let calls: Vec<_> = asked
            .iter()
            .map(|(_, body)| {
                let address = &address;
                scope.spawn(move || {
                    let headers = [("content-type", "application/json")];
                    let answer = http(address, "POST", INVOKE, &headers, body).unwrap();
                    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                    Response::decode(&answer.body).unwrap()
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let mut workers = std::collections::BTreeSet::new();
    for (number, ((step, _), response)) in asked.iter().zip(&responses).enumerate() {
        let [JobResult::Done { reduction }] = &response.results[..] else { panic!("{response:?}") };
        assert_eq!(reduction.thunk, step.name());
        let text = WORLD.bytes(response, reduction.outputs[&tag("o")].object.name());
        assert_eq!(text, format!("{number}\n").into_bytes());
        workers.insert(response.report.worker.clone());
    }
    assert!(workers.len() > 1, "one worker did it all");
}
