//! One worker: its process, and the Runtime API that it sees, on a port of its own.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::http::{Answer, HangUp, header, json};
use crate::jail::{self, Jail};

/// The most bytes of an answer (its error message, "Lambda quotas": 6 MB and some).
const ANSWER_LIMIT: usize = 6_291_556;
/// How much of what a worker said is kept for `X-Amz-Log-Result`.
const TAIL: usize = 4096;

/// Where goes what workers say.
pub type Said = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// One invocation, on its way to a worker.
#[derive(Debug)]
pub struct Event {
    /// Its id.
    pub request_id: String,
    /// The request's body.
    pub payload: Bytes,
    /// How long it may take.
    pub limit: Duration,
    /// The function's ARN.
    pub arn: String,
}

/// How an invocation ended in the worker.
#[derive(Debug)]
pub enum Ended {
    /// With an answer.
    Answered(Bytes),
    /// With an error that the worker told, or one told of it: type and body.
    Error(String, Bytes),
    /// The process ended.
    Exited(ExitStatus),
}

/// What a worker is started with.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its number.
    pub number: u64,
    /// Its place.
    pub place: usize,
    /// The function.
    pub function: String,
    /// What it is shut in.
    pub jail: Jail,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// How much later it starts.
    pub later: Duration,
}

struct Current {
    request_id: String,
    done: oneshot::Sender<Ended>,
}

/// A worker.
pub struct Worker {
    /// Its number.
    pub number: u64,
    /// Its place.
    pub place: usize,
    /// The function that it is.
    pub function: String,
    /// How long it took to its first question for work.
    init: Mutex<Option<Duration>>,
    started: Instant,
    events: mpsc::Sender<Event>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<Event>>,
    current: Mutex<Option<Current>>,
    ready: watch::Sender<bool>,
    ended: watch::Sender<Option<ExitStatus>>,
    kill: Notify,
    said: Mutex<Vec<u8>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    /// Starts one. It may take its time before it asks for work; see [`Worker::ready`].
    pub async fn start(start: Start, log: Said) -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the Runtime API")?;
        let address = listener.local_addr().context("no address")?;
        tokio::time::sleep(start.later).await;
        let (events, waiting) = mpsc::channel(1);
        let worker = Arc::new(Self {
            number: start.number,
            place: start.place,
            function: start.function,
            init: Mutex::new(None),
            started: Instant::now(),
            events,
            waiting: tokio::sync::Mutex::new(waiting),
            current: Mutex::new(None),
            ready: watch::Sender::new(false),
            ended: watch::Sender::new(None),
            kill: Notify::new(),
            said: Mutex::default(),
        });
        let description = serde_json::to_string(&start.jail).context("cannot describe a jail")?;
        let mut child = tokio::process::Command::new("/proc/self/exe")
            .args([jail::ARGUMENT, &description])
            .env_clear()
            .envs(start.env)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a worker")?;
        if let Some(out) = child.stdout.take() {
            tokio::spawn(worker.clone().listen(BufReader::new(out), log.clone()));
        }
        if let Some(out) = child.stderr.take() {
            tokio::spawn(worker.clone().listen(BufReader::new(out), log));
        }
        let serving = tokio::spawn(crate::http::serve(listener, {
            let worker = worker.clone();
            move |request| worker.clone().runtime_api(request)
        }));
        let watched = worker.clone();
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                () = watched.kill.notified() => {
                    let _ = child.start_kill();
                    child.wait().await
                }
            };
            watched.ended.send_replace(Some(status.unwrap_or_default()));
            watched.answer(None, |_| Ended::Exited(status_of(&watched)));
            serving.abort();
        });
        Ok(worker)
    }

    /// Keeps what the worker says.
    async fn listen(self: Arc<Self>, mut from: impl tokio::io::AsyncBufRead + Unpin, log: Said) {
        let mut text = Vec::new();
        while from.read_until(b'\n', &mut text).await.is_ok_and(|read| read > 0) {
            log(&text);
            let mut said = lock(&self.said);
            said.append(&mut text);
            let much = said.len().saturating_sub(TAIL);
            said.drain(..much);
        }
    }

    /// The end of what it said.
    pub fn said(&self) -> Vec<u8> {
        lock(&self.said).clone()
    }

    /// Waits until it has asked for work; `false` when it has ended, or not asked in time.
    pub async fn ready(&self, limit: Duration) -> bool {
        let (mut ready, mut ended) = (self.ready.subscribe(), self.ended.subscribe());
        tokio::select! {
            ready = ready.wait_for(|ready| *ready) => ready.is_ok(),
            _ = ended.wait_for(Option::is_some) => false,
            () = tokio::time::sleep(limit) => false,
        }
    }

    /// How long it took to its first question for work.
    pub fn init(&self) -> Duration {
        lock(&self.init).unwrap_or_default()
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits for its end.
    pub async fn over(&self) {
        let _ = self.ended.subscribe().wait_for(Option::is_some).await;
    }

    /// Kills it, and what it runs.
    pub fn kill(&self) {
        self.kill.notify_one();
    }

    /// Gives it an invocation. What comes is how that ended; nothing, when the worker is beyond answering.
    pub async fn give(&self, event: Event) -> oneshot::Receiver<Ended> {
        let (done, end) = oneshot::channel();
        *lock(&self.current) = Some(Current { request_id: event.request_id.clone(), done });
        let _ = self.events.send(event).await;
        if let Some(status) = self.exit() {
            self.answer(None, |_| Ended::Exited(status));
        }
        end
    }

    /// Ends the current invocation, if it is this one.
    fn answer(&self, request_id: Option<&str>, how: impl FnOnce(&str) -> Ended) -> bool {
        let current = {
            let mut current = lock(&self.current);
            let fits = |current: &Current| request_id.is_none_or(|id| id == current.request_id);
            if current.as_ref().is_some_and(fits) { current.take() } else { None }
        };
        match current {
            Some(Current { request_id, done }) => done.send(how(&request_id)).is_ok(),
            None => false,
        }
    }

    /// "Using the Lambda runtime API for custom runtimes".
    async fn runtime_api(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, HangUp> {
        let path = request.uri().path().to_owned();
        let Some(path) = path.strip_prefix("/2018-06-01/runtime/") else {
            return Ok(plain(StatusCode::NOT_FOUND, "not found"));
        };
        if (request.method(), path) == (&Method::GET, "invocation/next") {
            return Ok(self.next().await);
        }
        let kind = request.headers().get("lambda-runtime-function-error-type");
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("Unhandled").to_owned();
        let read = Limited::new(request.into_body(), ANSWER_LIMIT).collect().await;
        let large = r#"{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}"#;
        let (id, how) = match path.strip_prefix("invocation/").and_then(|rest| rest.split_once('/')) {
            Some((id, "response")) => match read {
                Ok(body) => (Some(id), Ended::Answered(body.to_bytes())),
                Err(_) => {
                    let body = format!(
                        r#"{{"errorMessage":"Response payload size exceeded maximum allowed payload size ({ANSWER_LIMIT} bytes).","errorType":"Function.ResponseSizeTooLarge"}}"#
                    );
                    self.answer(Some(id), |_| Ended::Error("Function.ResponseSizeTooLarge".to_owned(), body.into()));
                    return Ok(json(StatusCode::PAYLOAD_TOO_LARGE, large));
                }
            },
            Some((id, "error")) => (Some(id), Ended::Error(kind, read.map(|body| body.to_bytes()).unwrap_or_default())),
            None if path == "init/error" => {
                (None, Ended::Error(kind, read.map(|body| body.to_bytes()).unwrap_or_default()))
            }
            _ => return Ok(plain(StatusCode::NOT_FOUND, "not found")),
        };
        if self.answer(id, |_| how) || id.is_none() {
            return Ok(json(StatusCode::ACCEPTED, r#"{"status":"OK"}"#));
        }
        let body = r#"{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}"#;
        Ok(json(StatusCode::BAD_REQUEST, body))
    }

    async fn next(&self) -> Answer {
        lock(&self.init).get_or_insert_with(|| self.started.elapsed());
        self.ready.send_replace(true);
        let event = self.waiting.lock().await.recv().await;
        let Some(event) = event else { return plain(StatusCode::INTERNAL_SERVER_ERROR, "the worker is to end") };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut answer = Response::new(Full::new(event.payload));
        header(&mut answer, "content-type", "application/json");
        header(&mut answer, "lambda-runtime-aws-request-id", &event.request_id);
        header(&mut answer, "lambda-runtime-deadline-ms", &(now + event.limit).as_millis().to_string());
        header(&mut answer, "lambda-runtime-invoked-function-arn", &event.arn);
        let id = event.request_id.replace('-', "");
        let trace = format!(
            "Root=1-{}-{};Parent=0000000000000000;Sampled=0",
            id.get(..8).unwrap_or(""),
            id.get(8..).unwrap_or("")
        );
        header(&mut answer, "lambda-runtime-trace-id", &trace);
        answer
    }
}

fn status_of(worker: &Worker) -> ExitStatus {
    worker.exit().unwrap_or_default()
}

/// How a process ended, in the service's words.
pub fn describe(status: ExitStatus) -> String {
    // The jailer passes a signal on as a status above 128.
    let signal = status.signal().or(status.code().filter(|code| *code > 128).map(|code| code - 128));
    match (signal, status.code()) {
        (Some(libc::SIGKILL), _) => "signal: killed".to_owned(),
        (Some(libc::SIGSEGV), _) => "signal: segmentation fault".to_owned(),
        (Some(signal), _) => format!("signal: {signal}"),
        (None, code) => format!("exit status {}", code.unwrap_or(0)),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}
