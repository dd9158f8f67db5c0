//! 1,000 thunks that sleep 2 s on 1,000 workers behind the front door, from `gg force` to its end.
//!
//! No machine that runs this suite starts 1,000 workers in 2 s, so the front door pretends them (`gg-front-door --pretend 2`): it
//! takes 1,000 requests at a time, sleeps, and answers as if programs had written something. What is measured is all that gg does
//! of its own: the start, requests with their thunks and inputs, answers with their outputs, files put in place. The store is a
//! directory, and a first step has brought the tool there.
//!
//! Beside it: a loop of 1,000 threads that each send one request of about the same size and wait for the answer.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::Any;
use crate::bench::{Bench, path_with};
use crate::line::{Line, Unit, taken};
use crate::spent::Spent;

const ROW: &str = "sleep";
const THUNKS: usize = 1000;
/// Seconds that each takes.
const SLEEP: &str = "2";
/// Seconds of wall time for all.
const TARGET: f64 = 2.6;
/// A request of gg for a thunk with one small input, bytes.
const REQUEST: usize = 4000;

/// The front door, as long as it is needed.
struct Door {
    child: Child,
    address: String,
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Door {
    fn open(bench: &Bench) -> Any<Self> {
        let ready = bench.scratch().join("ready");
        let mut command = bench.command(bench.program("gg-front-door")?);
        command.args(["--pretend", SLEEP, "--workers", &THUNKS.to_string(), "--ready-file"]).arg(&ready);
        let child = command.stdout(Stdio::null()).spawn().context("cannot start the front door")?;
        let mut door = Self { child, address: String::new() };
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(&ready).unwrap_or_default();
            if let Some(address) = text.trim().strip_prefix("http://") {
                door.address = address.to_owned();
                return Ok(door);
            }
            if door.child.try_wait()?.is_some() || began.elapsed() > Duration::from_secs(10) {
                bail!("the front door did not open; does this gg-front-door know --pretend?");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// One request, with a thread for itself as the loop has it; whether it was answered as it should be.
    fn call(&self) -> Any {
        let body = format!("\"{}\"", "x".repeat(REQUEST));
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "POST /2015-03-31/functions/gg-worker/invocations HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { bail!("the front door answers {answer:?}") }
    }

    /// The loop; seconds.
    fn loop_of_threads(&self) -> Any<f64> {
        let began = Instant::now();
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..THUNKS).map(|_| scope.spawn(|| self.call())).collect();
            calls.into_iter().try_for_each(|call| call.join().unwrap_or_else(|_| bail!("a thread panicked")))
        })?;
        Ok(began.elapsed().as_secs_f64())
    }
}

/// A build of so many copies, by a program that has a model.
fn write_project(bench: &Bench) -> Any<(PathBuf, PathBuf)> {
    let (place, tool) = (bench.scratch().join("sleep"), bench.scratch().join("sleep-tool"));
    fs::create_dir_all(&place)?;
    fs::create_dir_all(&tool)?;
    fs::copy("/bin/cp", tool.join("bench-copy")).context("cannot copy /bin/cp")?;
    drop(bench.gg("gg"));
    let model = "names = [\"bench-copy\"]\npositional = [\"input\", \"output\"]\n";
    fs::write(bench.scratch().join("tools/bench-copy.toml"), model)?;
    let makefile = "all: $(patsubst %.in,%.out,$(wildcard *.in))\n%.out: %.in\n\tbench-copy $< $@\n";
    fs::write(place.join("Makefile"), makefile)?;
    for number in 0..=THUNKS {
        fs::write(place.join(format!("{number}.in")), number.to_string())?;
    }
    Ok((place, tool))
}

fn gg(bench: &Bench, door: &Door, place: &Path, arguments: &[&str]) -> std::process::Command {
    let mut command = bench.gg("gg");
    command.args(arguments).current_dir(place);
    command
        .env("AWS_ACCESS_KEY_ID", "AKIABENCH")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .env("AWS_REGION", "us-east-1")
        .env("GG_ENGINE", format!("lambda:{THUNKS}"))
        .env("GG_FALLBACK", "0")
        .env("GG_FUNCTION", "gg-worker")
        .env("GG_LAMBDA_ENDPOINT", format!("http://{}", door.address))
        .env("GG_STORE", format!("file://{}", bench.scratch().join("far").display()));
    command
}

pub fn measure(bench: &mut Bench) -> Any<Vec<Line>> {
    let (place, tool) = write_project(bench)?;
    fs::create_dir_all(bench.scratch().join("far"))?;
    let door = Door::open(bench)?;
    bench.settle();
    for _ in 0..bench.rounds {
        bench.empty_store()?;
        for number in 0..=THUNKS {
            let _ = fs::remove_file(place.join(format!("{number}.out")));
        }
        let mut infer = gg(bench, &door, &place, &["infer", "--", "make", "-s"]);
        bench.must(infer.env("PATH", path_with(&tool)))?;
        // The tool is in the store then, as it is after anybody's first build.
        let first = format!("{THUNKS}.out");
        bench.must(&mut gg(bench, &door, &place, &["force", &first]))?;
        let wall = door.loop_of_threads()?;
        bench.runs.add(ROW, "threads", Spent { wall, ..Spent::default() });
        let force = gg(bench, &door, &place, &["force"]);
        bench.measure(ROW, "gg force", &force)?;
        if fs::read(place.join("0.out"))?.len() < 40 {
            bail!("a forced file is still what it was");
        }
    }
    let side = |side| bench.runs.side(ROW, side).context("it was never run");
    let (force, threads) = (side("gg force")?, side("threads")?);
    let what =
        format!("{THUNKS} thunks of {SLEEP} s on {THUNKS} workers, which the front door pretends: wall of gg force");
    let beside =
        format!("a thread for each call: {:.2} s wall; the original: 5.7 s; PyWren: 45.9 s", threads.median.wall);
    Ok(vec![Line::new(what, Unit::Seconds, TARGET, force.median.wall).of(taken("gg force", &force), beside)])
}
