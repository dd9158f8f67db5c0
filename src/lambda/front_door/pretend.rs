//! A test double for workers: it takes its time, and answers as if every program had written its name to each output.
//!
//! With it the front door can have as many workers as somebody wants to measure what lies between the user and them, on a
//! machine that could not run a tenth of them. Nothing is run, nothing is fetched, nothing is believed of what it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use gg_ir::{Cost, Kind, Made, Name, Reduction, Reference};
use gg_store::remote::pack;
use gg_worker::wire::{JobResult, Refusal, RemoteJob, Request, Response, VERSION, WorkerReport};

/// Waits, and answers a request. A request without jobs (somebody asks only who is there) is not waited for.
pub async fn answer(payload: &[u8], time: Duration) -> Bytes {
    let request = Request::decode(payload);
    if !request.as_ref().is_ok_and(|request| request.jobs.is_empty()) {
        tokio::time::sleep(time).await;
    }
    let report = WorkerReport {
        worker: "pretended".to_owned(),
        sandbox: "none".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        ..WorkerReport::default()
    };
    let response = match request {
        Err(error) => Response::refusal(Refusal::Malformed { text: error.to_string() }, report),
        Ok(request) => {
            let contents: Vec<(Name, String)> = request.jobs.iter().map(content).collect();
            let results = request.jobs.iter().zip(&contents).map(|(job, (name, _))| done(job, *name, time)).collect();
            let inline = pack::write(contents.iter().map(|(name, text)| (name, text.as_bytes())));
            Response { version: VERSION, refused: None, results, inline, stored: Vec::new(), report }
        }
    };
    response.encode().into()
}

/// What a job's outputs hold: the name of its thunk.
fn content(job: &RemoteJob) -> (Name, String) {
    let text = format!("{}\n", job.name);
    (Name::of(Kind::Value, text.as_bytes()), text)
}

fn done(job: &RemoteJob, content: Name, time: Duration) -> JobResult {
    let made = Made { object: Reference::Value(content), mode: 0o644 };
    let outputs = job.thunk.outputs.iter().filter(|(_, output)| !output.optional);
    let reduction = Reduction {
        thunk: job.name,
        outputs: outputs.map(|(tag, _)| (tag.clone(), made.clone())).collect(),
        undeclared: BTreeMap::new(),
        stdout: Vec::new(),
        stderr: Vec::new(),
        cost: Cost { wall_us: time.as_micros() as u64, ..Cost::default() },
    };
    JobResult::Done { reduction }
}
