//! The engine's side: which steps share a request, and what becomes of requests that are refused, die or lag.
//!
//! It goes by the same rules and figures as the Lambda engine, as far as they are its own code (`limit`, `pace`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::agenda::{Agenda, Happening};
use super::calls::{SimulatedCall, calls};
use super::phase::{Phase, Spent};
use super::service::{Load, Service, Worker};
use crate::attempt::AttemptEnd;
use crate::ids::RunId;
use crate::limit::{Limit, backoff};
use crate::pace::{CALLS, Pace};

/// How often a request that died is sent again, as the Lambda engine does it in its ordinary settings.
const RETRIES: u32 = 5;
/// How soon it is looked again whether a request lags.
const LOOK: Duration = Duration::from_millis(200);

/// A step that an engine was given.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub run: RunId,
    pub step: u32,
    pub kind: Arc<str>,
    /// How long it took before, if that is known.
    pub expected: Option<Duration>,
    pub load: Load,
}

/// Some steps, on their way through one worker.
struct Request {
    jobs: Vec<Job>,
    /// Calls that are under way.
    live: u32,
    sent: usize,
    failures: u32,
    refusals: u32,
    first: Option<Duration>,
    latest: Duration,
    /// Where its time went before the call that counts.
    before: Spent,
    /// The worker that keeps it from needing another.
    kept: Option<Worker>,
    done: bool,
}

/// One call of the function.
struct Call {
    request: u32,
    worker: Worker,
    begun: Duration,
    shared: Spent,
    own: Vec<Spent>,
    /// The steps in it, where calls are kept.
    steps: Vec<u32>,
    dies: bool,
    is_duplicate: bool,
}

/// How a request ended.
pub(super) struct Answer {
    /// Each step, with where its time went.
    pub jobs: Vec<(Job, Spent)>,
    /// Whether they were run; else the request was given up.
    pub done: bool,
    /// The worker that ran them.
    pub worker: Option<Worker>,
}

/// What requests came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub requests: u64,
    pub billed: Duration,
    /// What went to answers that counted.
    pub useful: Duration,
    pub retries: u64,
    pub duplicates: u64,
    pub duplicates_won: u64,
}

/// All requests.
pub(super) struct Requests {
    pub service: Service,
    pub counts: Counts,
    limit: Limit,
    pace: Pace,
    /// Imagined times as such that `limit` takes.
    epoch: Instant,
    duplicates: bool,
    requests: Vec<Request>,
    calls: Vec<Option<Call>>,
    /// Requests that have not been answered.
    open: usize,
    under_way: usize,
    /// Calls that have ended, if they are kept.
    log: Option<Vec<SimulatedCall>>,
}

impl Requests {
    pub fn new(service: Service, workers: usize, duplicates: bool) -> Self {
        Self {
            service,
            counts: Counts::default(),
            limit: Limit::new(workers),
            pace: Pace::default(),
            epoch: Instant::now(),
            duplicates,
            requests: Vec::new(),
            calls: Vec::new(),
            open: 0,
            under_way: 0,
            log: None,
        }
    }

    /// From now on, keeps what each call came to.
    pub fn keep_calls(&mut self) {
        self.log = Some(Vec::new());
    }

    /// What calls came to, those included that nobody waits for any more at this time.
    pub fn take_calls(&mut self, now: Duration) -> Vec<SimulatedCall> {
        for call in std::mem::take(&mut self.calls).into_iter().flatten() {
            self.log(&call, now, AttemptEnd::Beaten);
        }
        self.log.take().unwrap_or_default()
    }

    fn log(&mut self, call: &Call, now: Duration, end: AttemptEnd) {
        if let Some(log) = &mut self.log {
            let Call { worker, begun, shared, own, steps, is_duplicate, .. } = call;
            log.extend(calls(steps, worker.number(), (*begun, now), shared, own, (end, *is_duplicate)));
        }
    }

    /// How many requests there may be at present.
    pub fn limit(&self) -> usize {
        self.limit.now()
    }

    /// How many more there may be.
    pub fn free(&self) -> usize {
        self.limit.now().saturating_sub(self.open)
    }

    /// Lets these steps share a request, which is sent at `at`; `kept`: to a worker that has been held for it.
    pub fn open(&mut self, jobs: Vec<Job>, at: Duration, before: Spent, kept: Option<Worker>, agenda: &mut Agenda) {
        let request = Request {
            jobs,
            live: 0,
            sent: 0,
            failures: 0,
            refusals: 0,
            first: None,
            latest: at,
            before,
            kept,
            done: false,
        };
        self.requests.push(request);
        self.open += 1;
        agenda.put(at, Happening::Send((self.requests.len() - 1) as u32));
    }

    /// Sends a request.
    pub fn send(&mut self, number: u32, now: Duration, agenda: &mut Agenda) {
        let request = &mut self.requests[number as usize];
        if request.done {
            return;
        }
        request.first.get_or_insert(now);
        let kept = request.kept.take();
        let goes_on = kept.is_some();
        let Some((worker, is_cold)) = kept.map(|worker| (worker, false)).or_else(|| self.service.take(now)) else {
            self.limit.refused(self.epoch + now, self.under_way);
            if request.live > 0 {
                // A duplicate, which is tried again.
                return agenda.put(now + LOOK, Happening::Look(number));
            }
            request.refusals += 1;
            let delay = self.service.jitter(backoff(request.refusals));
            request.before.add(Phase::RampUp, delay);
            return agenda.put(now + delay, Happening::Send(number));
        };
        let loads: Vec<Load> = request.jobs.iter().map(|job| job.load).collect();
        let times = self.service.times(worker, is_cold, goes_on, &loads);
        let takes = times.dies.unwrap_or_else(|| times.total());
        request.live += 1;
        request.sent += 1;
        request.latest = now;
        self.under_way += 1;
        self.counts.requests += u64::from(!goes_on);
        self.counts.billed += takes.max(Duration::from_millis(1));
        let call = Call {
            request: number,
            worker,
            begun: now,
            shared: times.shared,
            own: times.own,
            steps: if self.log.is_some() { request.jobs.iter().map(|job| job.step).collect() } else { Vec::new() },
            dies: times.dies.is_some(),
            is_duplicate: request.live > 1,
        };
        self.calls.push(Some(call));
        agenda.put(now + takes, Happening::CallEnds((self.calls.len() - 1) as u32));
        if self.duplicates {
            agenda.put(now + LOOK, Happening::Look(number));
        }
    }

    /// Looks whether a request lags, and sends it again if so.
    pub fn look(&mut self, number: u32, now: Duration, agenda: &mut Agenda) {
        let request = &self.requests[number as usize];
        if request.done || request.live == 0 || request.sent >= CALLS {
            return;
        }
        let (kind, expected) = request.kind();
        let due = self.pace.lags_after(&kind, expected).map(|after| request.latest + after);
        if due.is_some_and(|due| now > due) && self.under_way < self.limit.now() {
            self.counts.duplicates += 1;
            return self.send(number, now, agenda);
        }
        agenda.put(now + LOOK, Happening::Look(number));
    }

    /// A call has ended. The answer, if it brings one.
    pub fn call_ends(&mut self, number: u32, now: Duration, agenda: &mut Agenda) -> Option<Answer> {
        let call = self.calls[number as usize].take()?;
        let done = self.requests[call.request as usize].done;
        let end = if done {
            AttemptEnd::Beaten
        } else if call.dies {
            AttemptEnd::Broken
        } else {
            AttemptEnd::Done
        };
        self.log(&call, now, end);
        let request = &mut self.requests[call.request as usize];
        if call.dies {
            self.service.bury();
        } else {
            self.service.give_back(call.worker);
        }
        if request.done {
            return None;
        }
        request.live -= 1;
        self.under_way -= 1;
        if call.dies {
            if request.live > 0 {
                return None;
            }
            request.failures += 1;
            if request.failures > RETRIES {
                request.done = true;
                self.open -= 1;
                let before = request.before;
                let jobs = std::mem::take(&mut request.jobs).into_iter().map(|job| (job, before)).collect();
                return Some(Answer { jobs, done: false, worker: None });
            }
            self.counts.retries += 1;
            let delay = self.service.jitter(backoff(request.failures));
            agenda.put(now + delay, Happening::Send(call.request));
            return None;
        }
        request.done = true;
        self.open -= 1;
        // Those that are still under way are not waited for.
        self.under_way -= request.live as usize;
        let (kind, expected) = request.kind();
        self.pace.took(&kind, expected, now - call.begun);
        self.limit.passed();
        self.counts.duplicates_won += u64::from(call.is_duplicate);
        self.counts.useful += now - call.begun;
        // From the first call to the one that counts.
        let refused = request.before.get(Phase::RampUp);
        let late = call.begun.saturating_sub(request.first.unwrap_or(call.begun)).saturating_sub(refused);
        request.before.add(if request.failures > 0 { Phase::Retry } else { Phase::Slow }, late);
        let own: Duration = call.own.iter().map(Spent::total).sum();
        let jobs = std::mem::take(&mut request.jobs).into_iter().zip(call.own).map(|(job, mine)| {
            let mut spent = request.before;
            spent.add_all(&call.shared);
            spent.add_all(&mine);
            spent.add(Phase::Batch, own - mine.total());
            (job, spent)
        });
        Some(Answer { jobs: jobs.collect(), done: true, worker: Some(call.worker) })
    }

    /// Takes the worker that has just ended a request, for the step that it goes on to.
    pub fn keep(&mut self, worker: Worker) {
        self.service.retake(worker);
    }

    /// A worker was kept in vain.
    pub fn let_go(&mut self, worker: Worker) {
        self.service.give_back(worker);
    }
}

impl Request {
    /// What its time is compared with.
    fn kind(&self) -> (Arc<str>, Option<Duration>) {
        match &self.jobs[..] {
            [job] => (job.kind.clone(), job.expected),
            jobs => ("batch".into(), jobs.iter().map(|job| job.expected).sum()),
        }
    }
}
