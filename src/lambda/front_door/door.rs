//! Which worker gets which invocation, and what becomes of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;

use crate::args::Args;
use crate::faults::{self, Misfortune, Plan};
use crate::jail::Jail;
use crate::record::{Line, Record};
use crate::worker::{Ended, Event, Said, Start, Worker, describe};

/// How long a worker may take to start ("Lambda execution environment lifecycle": the init phase is limited to 10 s).
const INIT: Duration = Duration::from_secs(10);
/// The account that functions belong to here.
const ACCOUNT: &str = "123456789012";

/// How an invocation ended, to be told to whoever asked.
#[derive(Debug)]
pub enum Outcome {
    /// With an answer.
    Answered(Bytes),
    /// The function failed; the body tells how.
    FunctionError(Bytes),
    /// As many as may be are running.
    Throttled,
    /// The service failed.
    ServiceError,
    /// No worker can be started.
    BadRuntime(String),
    /// There is to be no answer.
    Lost,
    /// The connection is to be reset.
    Reset,
}

/// The front door's heart.
pub struct Door {
    /// The command line.
    pub args: Args,
    /// What happened.
    pub record: Record,
    plan: Mutex<Plan>,
    numbers: AtomicU64,
    rooms: Mutex<Rooms>,
    said: Said,
}

struct Rooms {
    /// Those without work, the most recently used last.
    idle: Vec<(Instant, Arc<Worker>)>,
    busy: Vec<Arc<Worker>>,
    /// Places that no worker has.
    free: BTreeSet<usize>,
    started: u64,
    closed: bool,
}

/// A worker, or a place for one.
enum Room {
    Warm(Arc<Worker>),
    Empty { place: usize, number: u64 },
    None,
}

/// Gives the worker or the place back however the invocation ends.
struct Stay<'a> {
    door: &'a Door,
    place: usize,
    worker: Option<Arc<Worker>>,
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        let mut rooms = self.door.rooms();
        let Some(worker) = self.worker.take() else {
            rooms.free.insert(self.place);
            return;
        };
        rooms.busy.retain(|other| other.number != worker.number);
        if worker.exit().is_some() || rooms.closed {
            worker.kill();
            rooms.free.insert(self.place);
            let mut counts = self.door.record.counts();
            counts.workers -= 1;
            counts.crashes += 1;
        } else {
            rooms.idle.push((Instant::now(), worker));
        }
    }
}

impl Door {
    /// A door for these workers; none is started yet.
    pub fn new(mut args: Args) -> anyhow::Result<Self> {
        let what = |path: &std::path::Path| format!("{} cannot be used", path.display());
        for path in args.worker.iter_mut().chain(&mut args.binds).chain(&mut args.root) {
            *path = path.canonicalize().with_context(|| what(path))?;
        }
        let said: Said = match &args.worker_log {
            None => Arc::new(|text| {
                let _ = std::io::stderr().write_all(text);
            }),
            Some(path) => {
                let file =
                    Mutex::new(File::options().create(true).append(true).open(path).with_context(|| what(path))?);
                Arc::new(move |text| {
                    let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(text);
                })
            }
        };
        Ok(Self {
            record: Record::new(args.log.as_deref())?,
            plan: Mutex::new(Plan::new(args.seed, args.faults.clone())),
            numbers: AtomicU64::new(0),
            rooms: Mutex::new(Rooms {
                idle: vec![],
                busy: vec![],
                free: (0..args.workers).collect(),
                started: 0,
                closed: false,
            }),
            said,
            args,
        })
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on other things go wrong, counted from the next invocation on.
    pub fn change_faults(&self, faults: Vec<faults::Fault>) {
        *self.plan() = Plan::new(self.args.seed, faults);
        self.numbers.store(0, Ordering::SeqCst);
    }

    /// The function's ARN.
    pub fn arn(&self, function: &str) -> String {
        format!("arn:aws:lambda:{}:{ACCOUNT}:function:{function}", region())
    }

    /// Ends all workers, and begins no more.
    pub fn close(&self) {
        let mut rooms = self.rooms();
        rooms.closed = true;
        rooms.idle.iter().map(|(_, worker)| worker).chain(&rooms.busy).for_each(|worker| worker.kill());
    }

    /// Ends all workers, busy ones too; the next invocations are cold. How many there were.
    pub fn kill_all(&self) -> usize {
        let mut rooms = self.rooms();
        let idle = std::mem::take(&mut rooms.idle);
        for (_, worker) in &idle {
            self.dismiss(&mut rooms, worker);
        }
        rooms.busy.iter().for_each(|worker| worker.kill());
        idle.len() + rooms.busy.len()
    }

    fn dismiss(&self, rooms: &mut Rooms, worker: &Worker) {
        worker.kill();
        rooms.free.insert(worker.place);
        self.record.counts().workers -= 1;
    }

    fn room(&self, function: &str) -> Room {
        let mut rooms = self.rooms();
        if rooms.closed {
            return Room::None;
        }
        // Those that have ended or waited for too long.
        let limit = self.args.idle_limit();
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut rooms.idle)
            .into_iter()
            .partition(|(since, worker)| since.elapsed() < limit && worker.exit().is_none());
        rooms.idle = kept;
        for (_, worker) in gone {
            self.dismiss(&mut rooms, &worker);
        }
        if let Some(at) = rooms.idle.iter().rposition(|(_, worker)| worker.function == function) {
            let (_, worker) = rooms.idle.remove(at);
            rooms.busy.push(worker.clone());
            return Room::Warm(worker);
        }
        if rooms.free.is_empty() && !rooms.idle.is_empty() {
            // Another function's.
            let (_, worker) = rooms.idle.remove(0);
            self.dismiss(&mut rooms, &worker);
        }
        let Some(place) = rooms.free.pop_first() else { return Room::None };
        rooms.started += 1;
        Room::Empty { place, number: rooms.started }
    }

    /// One invocation, from its arrival to what is to be told; and its line in the log, with the HTTP status still open.
    pub async fn invoke(&self, function: &str, memory: u64, payload: Bytes) -> (Outcome, Line, Vec<u8>) {
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        let misfortune = self.plan().of(number);
        let mut line = Line {
            number,
            request_id: crate::http::request_id(),
            function: function.to_owned(),
            faults: misfortune.names(),
            bytes_in: payload.len() as u64,
            ..Line::default()
        };
        if misfortune.throttle {
            return (Outcome::Throttled, line, vec![]);
        }
        if misfortune.error500 {
            return (Outcome::ServiceError, line, vec![]);
        }
        if misfortune.reset {
            return (Outcome::Reset, line, vec![]);
        }
        let (place, warm, number) = match self.room(function) {
            Room::Warm(worker) => (worker.place, Some(worker), 0),
            Room::Empty { place, number } => (place, None, number),
            Room::None => return (Outcome::Throttled, line, vec![]),
        };
        let mut stay = Stay { door: self, place, worker: warm };
        {
            let mut counts = self.record.counts();
            counts.in_flight += 1;
            counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
        }
        let (outcome, said) = self.visit(&mut stay, number, memory, payload, misfortune, &mut line).await;
        self.record.counts().in_flight -= 1;
        (outcome, line, said)
    }

    async fn visit(
        &self,
        stay: &mut Stay<'_>,
        number: u64,
        memory: u64,
        payload: Bytes,
        misfortune: Misfortune,
        line: &mut Line,
    ) -> (Outcome, Vec<u8>) {
        if let Some(time) = self.args.pretend {
            line.place = Some(stay.place);
            let began = Instant::now();
            let answer = crate::pretend::answer(&payload, time).await;
            line.ms = milliseconds(began.elapsed());
            return (Outcome::Answered(answer), vec![]);
        }
        let worker = match &stay.worker {
            Some(worker) => worker.clone(),
            None => {
                match Worker::start(self.start(&line.function, memory, stay.place, number), self.said.clone()).await {
                    Ok(worker) => {
                        let mut counts = self.record.counts();
                        counts.cold_starts += 1;
                        counts.workers += 1;
                        drop(counts);
                        line.cold = true;
                        stay.worker = Some(worker.clone());
                        let mut rooms = self.rooms();
                        rooms.busy.push(worker.clone());
                        if rooms.closed {
                            worker.kill();
                        }
                        worker
                    }
                    Err(error) => return (Outcome::BadRuntime(format!("{error:#}")), vec![]),
                }
            }
        };
        line.place = Some(worker.place);
        line.worker = Some(worker.number);
        let request_id = line.request_id.clone();
        if !worker.ready(INIT).await {
            worker.kill();
            worker.over().await;
            let how = worker.exit().map(describe).unwrap_or_default();
            let text = format!("RequestId: {request_id} Error: Runtime exited before it asked for work: {how}");
            line.error = Some("Runtime.ExitError".to_owned());
            return (Outcome::FunctionError(error("Runtime.ExitError", &text)), worker.said());
        }
        if line.cold {
            line.init_ms = milliseconds(worker.init());
        }
        let began = Instant::now();
        let limit = self.args.time_limit();
        let arn = self.arn(&line.function);
        let event = Event { request_id: request_id.clone(), payload, limit, arn };
        let mut answer = worker.give(event).await;
        let crash = async {
            match misfortune.crash {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = &mut answer => ended.ok(),
            () = crash => None,
            () = tokio::time::sleep(limit) => None,
        };
        let slowness = self.plan().slowness(worker.place);
        if ended.is_some() && misfortune.crash.is_none() {
            let wait = began.elapsed().mul_f64(slowness - 1.0) + misfortune.delay;
            tokio::time::sleep(wait.min(limit.saturating_sub(began.elapsed()))).await;
        }
        line.ms = milliseconds(began.elapsed());
        let failed = |line: &mut Line, kind: &str, text: String| {
            line.error = Some(kind.to_owned());
            Outcome::FunctionError(error(kind, &format!("RequestId: {request_id} Error: {text}")))
        };
        let outcome = if misfortune.crash.is_some() {
            worker.kill();
            worker.over().await;
            failed(line, "Runtime.ExitError", "Runtime exited with error: signal: killed".to_owned())
        } else if began.elapsed() >= limit {
            worker.kill();
            worker.over().await;
            failed(line, "Sandbox.Timedout", format!("Task timed out after {:.2} seconds", limit.as_secs_f64()))
        } else {
            match ended {
                Some(Ended::Answered(_)) if misfortune.lost => Outcome::Lost,
                Some(Ended::Answered(body)) => match misfortune.corrupt {
                    None => Outcome::Answered(body),
                    Some(lot) => {
                        let mut changed = body.to_vec();
                        faults::corrupt(&mut changed, lot);
                        Outcome::Answered(changed.into())
                    }
                },
                Some(Ended::Error(kind, body)) => {
                    line.error = Some(kind);
                    Outcome::FunctionError(body)
                }
                Some(Ended::Exited(status)) => {
                    failed(line, "Runtime.ExitError", format!("Runtime exited with error: {}", describe(status)))
                }
                None => failed(line, "Runtime.Unknown", "Runtime failed".to_owned()),
            }
        };
        let mut said = worker.said();
        let report = format!(
            "REPORT RequestId: {request_id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {memory} MB{}\n",
            line.ms,
            line.ms.ceil(),
            if line.cold { format!("\tInit Duration: {:.2} ms", line.init_ms) } else { String::new() },
        );
        said.extend(report.into_bytes());
        (outcome, said)
    }

    fn start(&self, function: &str, memory: u64, place: usize, number: u64) -> Start {
        let user = if rustix::process::geteuid().is_root() { self.args.user } else { Some(993) };
        Start {
            number,
            place,
            function: function.to_owned(),
            jail: Jail {
                parent: std::process::id(),
                // There is one, unless workers are pretended, and then none is started.
                worker: self.args.worker.clone().unwrap_or_default(),
                root: self.args.root.clone(),
                scratch: self.args.scratch,
                memory,
                // One for each, since limits on processes are counted by user.
                user: user.unwrap_or(100_993 + place as u32),
                namespaces: self.args.namespaces,
                binds: self.args.binds.clone(),
            },
            env: self.environment(function, memory),
            later: Duration::from_millis(self.args.cold_start),
        }
    }

    /// "Defined runtime environment variables", and what the function's role and configuration would give.
    fn environment(&self, function: &str, memory: u64) -> Vec<(String, String)> {
        let region = region();
        let fixed = [
            ("AWS_REGION", region.as_str()),
            ("AWS_DEFAULT_REGION", region.as_str()),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("AWS_LAMBDA_FUNCTION_NAME", function),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory.to_string()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{function}")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
            ("LAMBDA_TASK_ROOT", "/var/task"),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
            ("_HANDLER", "bootstrap"),
            ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
            ("LANG", "en_US.UTF-8"),
            ("TZ", ":UTC"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let taken = std::env::vars().filter(|(name, _)| {
            let exact = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "RUST_BACKTRACE"];
            let front = ["AWS_ENDPOINT_URL", "GG_STORE", "GG_SANDBOX", "GG_SCRATCH", "GG_WORKER"];
            exact.contains(&name.as_str()) || front.iter().any(|front| name.starts_with(front))
        });
        fixed.into_iter().chain(taken).chain(self.args.env.iter().cloned()).collect()
    }
}

fn region() -> String {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned())
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

/// The body that tells of a failed function.
fn error(kind: &str, message: &str) -> Bytes {
    serde_json::json!({ "errorType": kind, "errorMessage": message }).to_string().into()
}
