//! One step on the function: upload what is missing, call, and make sense of the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gg_ir::Name;
use gg_store::StoreError;
use gg_store::remote::{Missing, PackId, RemoteError, pack};
use gg_worker::wire::{JobResult, MESSAGE_LIMIT, Refusal, RemoteJob, Request, Response, VERSION};
use tokio::task::JoinSet;

use super::Desk;
use super::call::{CallEnd, call};
use super::log::Call;
use super::needs::Needs;
use crate::attempt::AttemptEnd;
use crate::engine::{EngineResult, Work};
use crate::limit::backoff;
use crate::pace::CALLS;

/// How the service says that a function was killed, which it does for want of memory.
const KILLED: &str = "signal: killed";
/// How often a request is looked at that may lag.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of outputs that come with the answer; larger ones go through the store alone.
const INLINE_ANSWER: u64 = 256 << 10;
/// Outputs from this size on go to the store as well: a link that needs them does not wait for this machine's line. Below it,
/// the further request to the store costs more than it saves.
const STORED_TOO: u64 = 32 << 10;
/// Sources up to this size ride in the request, where the store does not have them: that saves a request to the store on each
/// side. As text they take a third more, so larger ones do not.
const INLINE_SOURCE: u64 = 8 << 10;
/// How often one step's objects are uploaded again.
const UPLOADS: u32 = 6;

/// What one step has been through.
struct Trials {
    begun: Instant,
    failures: u32,
    uploads: u32,
    throttled: u32,
    /// When the latest request was sent.
    asked: Instant,
    /// Whether the larger function is asked.
    larger: bool,
    /// Whether a worker has had too little memory or time before, without a larger function to go to.
    outgrown: bool,
    /// Why it is tried again.
    trouble: Option<String>,
}

/// What follows an end.
enum Next {
    Result(EngineResult),
    /// Send it again, after the delay.
    Again(Duration),
}

fn declined(text: impl Into<String>) -> Next {
    Next::Result(EngineResult::Declined { text: text.into() })
}

/// Between half and all of the delay, so that not all come back at once.
fn jitter(delay: Duration) -> Duration {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    delay / 2 + delay.mul_f64(f64::from(nanos % 1000) / 2000.0)
}

impl Desk {
    /// Forces one step.
    pub async fn force(self: &Arc<Self>, work: &Work) -> EngineResult {
        let needs = match Needs::of(work) {
            Ok(needs) => needs,
            Err(reference) => {
                let text = format!("the input {reference} was not resolved; this is gg's own fault");
                return EngineResult::Broken { text, again: false };
            }
        };
        let begun = Instant::now();
        let mut trials = Trials {
            begun,
            failures: 0,
            uploads: 0,
            throttled: 0,
            asked: begun,
            larger: false,
            outgrown: false,
            trouble: None,
        };
        loop {
            if let Some(text) = self.down.get() {
                return EngineResult::Declined { text: text.clone() };
            }
            let prepared = Instant::now();
            let request = match self.request(work, &needs).await {
                Ok(request) => request,
                Err(result) => return result,
            };
            let function = match (&self.options.larger, trials.larger) {
                (Some(larger), true) => larger,
                _ => &self.options.function,
            };
            trials.asked = Instant::now();
            let (end, call) = if request.len() > MESSAGE_LIMIT {
                (CallEnd::TooLarge, None)
            } else {
                self.ask(work, function, Arc::new(request)).await
            };
            let next = self.next(work, end, &mut trials).await;
            if let Some(mut call) = call {
                if let Next::Again(_) = next {
                    call.attempt.end = AttemptEnd::Broken;
                    call.attempt.trouble = trials.trouble.take().map(String::into_boxed_str).or(call.attempt.trouble);
                }
                let call = if call.attempt.duplicate { call } else { call.prepared(prepared) };
                call.note(&work.log);
            }
            match next {
                Next::Result(result) => {
                    if matches!(result, EngineResult::Declined { .. }) {
                        self.tallies.count(|tally| tally.given_back += 1);
                    }
                    return result;
                }
                Next::Again(delay) => tokio::time::sleep(delay).await,
            }
        }
    }

    /// The request, with everything that it refers to in the store.
    async fn request(&self, work: &Work, needs: &Needs) -> Result<Vec<u8>, EngineResult> {
        let rides =
            |name: &Name| name.length() <= INLINE_SOURCE && needs.own.contains(name) && !self.inventory.holds(name);
        let (riding, stored): (Vec<Name>, Vec<Name>) = needs.names.iter().partition(|name| rides(name));
        let inline = self.pack_up(riding).await?;
        let sources = self.inventory.ensure(&stored, &needs.trees).await.map_err(|error| self.store_failed(error))?;
        let own = work.thunk.timeout.map(|seconds| Duration::from_secs(seconds.into()));
        let job = RemoteJob {
            name: work.name,
            thunk: (*work.thunk).clone(),
            resolved: work.resolved.iter().map(|(reference, name)| (reference.clone(), *name)).collect(),
            timeout_ms: own.unwrap_or(self.options.timeout).as_millis() as u64,
            terminal: self.options.terminal,
        };
        let request = Request {
            version: VERSION,
            store: self.uri.clone(),
            inline,
            sources,
            jobs: vec![job],
            inline_limit: INLINE_ANSWER,
            store_from: Some(STORED_TOO),
            // The coordinator decides what is believed later; see `shared`.
            record: false,
        };
        Ok(request.encode())
    }

    /// Objects in one pack, to ride in a request; nothing for none.
    async fn pack_up(&self, names: Vec<Name>) -> Result<Vec<u8>, EngineResult> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let store = Arc::clone(&self.store);
        let packed = self.aside(move || pack::write_from(&store, &names)).await;
        packed.ok_or(EngineResult::Cancelled)?.map_err(|error| self.store_failed(error.into()))
    }

    /// Does what takes a while on a thread for such work, of which there are a few; `None` when that cannot be, or panics.
    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _permit = self.packing.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }

    fn store_failed(&self, error: RemoteError) -> EngineResult {
        match error {
            RemoteError::Local(local) => match &*local {
                StoreError::Missing { name } => EngineResult::Missing(*name),
                StoreError::Corrupt { name, .. } => EngineResult::Corrupt(*name),
                other => EngineResult::Broken { text: other.to_string(), again: false },
            },
            RemoteError::Interrupted => EngineResult::Cancelled,
            other => EngineResult::Declined { text: self.goes_down(&other.to_string()) },
        }
    }

    /// From now on nothing is asked of the service; what to tell the person, once.
    pub fn goes_down(&self, text: &str) -> String {
        let why = || {
            let why = format!("AWS Lambda cannot be used any more: {text}");
            if let Some(tell) = self.on_down.get() {
                tell(&why);
            }
            why
        };
        self.down.get_or_init(why).clone()
    }

    /// Calls the function, and again where that lags; the first answer counts. An end that is no answer leaves the word to
    /// the calls that are still under way. Also the call whose end it is; the others are in the step's log.
    async fn ask(&self, work: &Work, function: &str, request: Arc<Vec<u8>>) -> (CallEnd, Option<Call>) {
        let mut calls = JoinSet::new();
        let mut latest = self.send(&mut calls, 0, function, &request);
        let (mut sent, mut before) = (1, latest);
        let mut last = (CallEnd::Lost("the request was not sent".to_owned()), None::<Call>);
        // Those that have not ended.
        let (mut live, length) = (vec![(0, latest)], request.len() as u64);
        loop {
            tokio::select! {
                ended = calls.join_next() => match ended {
                    None => return last,
                    // A panic of ours; what it said is above.
                    Some(Err(error)) => last.0 = CallEnd::Lost(error.to_string()),
                    Some(Ok((number, begun, end))) => {
                        let end = self.ended(work, begun, end);
                        live.retain(|(other, _)| *other != number);
                        if let Some(earlier) = last.1.take() {
                            earlier.note(&work.log);
                        }
                        let ended = Call::ended(begun, number, length, &end, &self.workers);
                        if matches!(end, CallEnd::Answer(..)) {
                            self.tallies.count(|tally| tally.duplicates_won += u64::from(number > 0));
                            for (number, begun) in live {
                                Call::beaten(begun, number, length).note(&work.log);
                            }
                            return (end, Some(ended));
                        }
                        // What was refused has not been tried.
                        if matches!(end, CallEnd::Throttled(_)) {
                            (sent, latest) = (sent - 1, before);
                        }
                        last = (end, Some(ended));
                    }
                },
                () = tokio::time::sleep(LOOK) => {
                    let lags = self.pace.lags_after(&work.kind, work.expected).is_some_and(|after| latest.elapsed() > after);
                    if lags && sent < CALLS && self.under_way.load(Ordering::SeqCst) < self.limit.now() {
                        self.tallies.count(|tally| tally.duplicated += 1);
                        before = std::mem::replace(&mut latest, self.send(&mut calls, sent, function, &request));
                        live.push((sent, latest));
                        sent += 1;
                    }
                }
            }
        }
    }

    /// Sends a request; when.
    fn send(
        &self,
        calls: &mut JoinSet<(usize, Instant, CallEnd)>,
        number: usize,
        function: &str,
        request: &Arc<Vec<u8>>,
    ) -> Instant {
        self.tallies.count(|tally| {
            tally.requests += 1;
            tally.sent += request.len() as u64;
        });
        let (client, function, request) = (self.client.clone(), function.to_owned(), Arc::clone(request));
        let (guard, begun) = (Guard::new(&self.under_way), Instant::now());
        calls.spawn(async move {
            let end = call(&client, &function, request.to_vec()).await;
            drop(guard);
            (number, begun, end)
        });
        begun
    }

    fn ended(&self, work: &Work, begun: Instant, end: CallEnd) -> CallEnd {
        match &end {
            CallEnd::Answer(response, length) => {
                self.pace.took(&work.kind, work.expected, begun.elapsed());
                self.limit.passed();
                self.tallies.count(|tally| {
                    tally.add(&response.report, 0);
                    tally.stored += response.stored.len() as u64;
                    tally.received += length;
                });
            }
            CallEnd::Throttled(_) => {
                self.limit.refused(Instant::now(), self.under_way.load(Ordering::SeqCst));
                self.tallies.count(|tally| tally.throttled += 1);
            }
            CallEnd::Failed(_) => self.tallies.count(|tally| tally.failed += 1),
            CallEnd::Lost(_) => self.tallies.count(|tally| tally.lost += 1),
            CallEnd::Crashed(_) | CallEnd::TooSmall(_) => self.tallies.count(|tally| tally.crashed += 1),
            CallEnd::Corrupt(_) => self.tallies.count(|tally| tally.corrupt += 1),
            CallEnd::TooLarge | CallEnd::Refused(_) => {}
        }
        end
    }

    async fn next(self: &Arc<Self>, work: &Work, end: CallEnd, trials: &mut Trials) -> Next {
        match end {
            CallEnd::Answer(response, _) => {
                self.answered();
                self.take(work, *response, trials).await
            }
            CallEnd::Throttled(text) => {
                trials.throttled += 1;
                // Others get through: it is only a matter of time.
                if self.silent_for(trials.begun) > self.options.patience {
                    return declined(self.goes_down(&format!("it has refused every request for too long: {text}")));
                }
                Next::Again(jitter(backoff(trials.throttled)))
            }
            CallEnd::Failed(text) | CallEnd::Lost(text) => self.failed(&text, trials, true),
            // Killed by the system: for want of memory, where it happens again.
            CallEnd::Crashed(text) if text.contains(KILLED) && trials.failures > 0 && self.options.larger.is_some() => {
                trials.failures += 1;
                self.outgrown(text, trials)
            }
            CallEnd::Crashed(text) | CallEnd::Corrupt(text) => self.failed(&text, trials, false),
            CallEnd::TooSmall(text) => self.outgrown(text, trials),
            CallEnd::TooLarge => declined("the request is larger than the service takes (6 MB)"),
            CallEnd::Refused(text) => declined(self.goes_down(&text)),
        }
    }

    /// Tries again, so often. A service that has answered nobody meanwhile is believed to be gone.
    fn failed(&self, text: &str, trials: &mut Trials, of_service: bool) -> Next {
        trials.failures += 1;
        trials.trouble = Some(text.to_owned());
        if trials.failures <= self.options.retries {
            return Next::Again(jitter(backoff(trials.failures)));
        }
        let times = trials.failures;
        if of_service && !self.answered_since(trials.begun) {
            return declined(self.goes_down(&format!("{times} requests in a row failed, the last one: {text}")));
        }
        declined(format!("{times} requests failed, the last one: {text}"))
    }

    fn outgrown(&self, text: String, trials: &mut Trials) -> Next {
        trials.trouble = Some(text.clone());
        if self.options.larger.is_some() && !std::mem::replace(&mut trials.larger, true) {
            return Next::Again(Duration::ZERO);
        }
        // A worker may just have been slow: once more.
        if !std::mem::replace(&mut trials.outgrown, true) {
            return Next::Again(Duration::ZERO);
        }
        declined(text)
    }

    async fn take(self: &Arc<Self>, work: &Work, response: Response, trials: &mut Trials) -> Next {
        if let Some(refusal) = response.refused {
            let text = refusal.to_string();
            return match refusal {
                Refusal::Store { again: true, .. } | Refusal::Broken { .. } => self.failed(&text, trials, false),
                _ => declined(self.goes_down(&text)),
            };
        }
        let Ok([result]) = <[JobResult; 1]>::try_from(response.results) else {
            return self.failed("the worker's answer is not one result for one job", trials, false);
        };
        let (store, inline) = (Arc::clone(&self.store), response.inline);
        match self.aside(move || pack::read_into(&inline, &store)).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.tallies.count(|tally| tally.corrupt += 1);
                return self.failed(&format!("the worker's answer is damaged: {error}"), trials, false);
            }
            None => return Next::Result(EngineResult::Cancelled),
        }
        let result = match result {
            JobResult::Elsewhere { name } => match self.elsewhere(name).await {
                Ok(result) => result,
                Err(text) => return self.failed(&text, trials, false),
            },
            result => result,
        };
        match result {
            JobResult::Done { .. } | JobResult::Failed { .. } => {
                self.inventory.note_objects(&response.stored);
                self.far().extend(&response.stored);
                self.arrivals.expect(&response.stored);
                let made = match &result {
                    JobResult::Done { reduction } => reduction.outputs.values().chain(reduction.undeclared.values()),
                    JobResult::Failed { failure } => failure.outputs.values().chain(failure.undeclared.values()),
                    _ => return self.failed("the worker's answer is of no known kind", trials, false),
                };
                if let Some(lost) = made.map(|made| made.object.name()).find(|name| !self.store.contains(name)) {
                    return self.failed(&format!("the worker did not say where it left {lost}"), trials, false);
                }
                Next::Result(match result {
                    JobResult::Done { reduction } if reduction.thunk != work.name => {
                        return self.failed("the worker answered for another thunk", trials, false);
                    }
                    JobResult::Done { reduction } => EngineResult::Done(reduction),
                    JobResult::Failed { failure } => EngineResult::Failed(failure),
                    _ => EngineResult::Cancelled,
                })
            }
            JobResult::Missing { names, packs } => {
                let packs = packs.iter().filter_map(|pack| pack.parse::<PackId>().ok()).collect();
                self.upload_again(Missing { names, packs }, trials)
            }
            JobResult::Corrupt { names, keys, text } => {
                let mut missing = Missing { names, ..Missing::default() };
                for part in keys.iter().filter_map(|key| Missing::of_key(key)) {
                    missing.names.extend(part.names);
                    missing.packs.extend(part.packs);
                }
                self.tallies.count(|tally| tally.corrupt += 1);
                if missing.is_empty() {
                    return self.failed(&format!("the request arrived damaged: {text}"), trials, false);
                }
                self.upload_again(missing, trials)
            }
            JobResult::TimedOut { after_ms, deadline: true } => {
                self.outgrown(format!("it took longer than the function may run ({} s)", after_ms / 1000), trials)
            }
            JobResult::TimedOut { after_ms, deadline: false } => Next::Result(EngineResult::Broken {
                text: format!("it was ended after {} s", after_ms / 1000),
                again: work.earlier == 0,
            }),
            JobResult::OutOfMemory { text, memory_mib } => {
                self.outgrown(format!("{memory_mib} MiB of memory did not suffice: {text}"), trials)
            }
            JobResult::Elsewhere { .. } => self.failed("the worker's result is nowhere", trials, false),
            JobResult::Unfit { reason } => declined(format!("it cannot run on a function: {reason}")),
            JobResult::Broken { text, again: true } => self.failed(&text, trials, false),
            JobResult::Broken { text, again: false } => declined(text),
            JobResult::NotRun { reason } => self.failed(&reason, trials, false),
        }
    }

    /// A result that is too long for an answer: it came in the answer's pack, or is in the store.
    async fn elsewhere(&self, name: Name) -> Result<JobResult, String> {
        if !self.store.holds(&name) {
            let fetched = self.remote.fetch(&self.store, &[name], &[], &self.inventory.sources(&[name])).await;
            fetched.map_err(|error| format!("the worker's result cannot be fetched: {error}"))?;
        }
        let store = Arc::clone(&self.store);
        let read = tokio::task::spawn_blocking(move || store.read(&name)).await;
        let bytes = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        JobResult::decode(&bytes).map_err(|error| format!("the worker's result is damaged: {error}"))
    }

    /// Objects are gone, or damaged: those that are here are uploaded again, the others have to be made again.
    fn upload_again(&self, missing: Missing, trials: &mut Trials) -> Next {
        trials.uploads += 1;
        trials.trouble = Some("objects that it needs were gone from the store, or damaged".to_owned());
        self.tallies.count(|tally| tally.uploaded_again += 1);
        self.inventory.forget_since(&missing, trials.asked);
        let gone = |name: &&Name| !self.store.holds(name);
        if let Some(name) = missing.names.iter().find(gone) {
            return Next::Result(EngineResult::Missing(*name));
        }
        if trials.uploads > UPLOADS {
            let what = format!("{} objects and {} packs", missing.names.len(), missing.packs.len());
            return declined(format!("the store loses what is uploaded ({what}, {UPLOADS} times)"));
        }
        Next::Again(Duration::ZERO)
    }
}

/// Counts a request as ended when it is dropped.
struct Guard(Arc<AtomicUsize>);

impl Guard {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
