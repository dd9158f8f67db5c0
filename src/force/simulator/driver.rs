//! The loop: the plan, the engine's requests and the client on imagined time.

use std::collections::HashMap;
use std::time::Duration;

use super::agenda::{Agenda, Happening};
use super::model::{Model, seconds};
use super::phase::{Phase, Spent};
use super::recording::Recording;
use super::requests::{Answer, Job, Requests};
use super::scheduling::Scheduling;
use super::service::{Load, Service, Worker};
use super::thunks::Thunks;
use crate::engine::{EngineResult, Work};
use crate::history::History;
use crate::ids::RunId;
use crate::plan::{Command, Event, Plan, Setup};
use crate::policy::Policy;
use crate::request::Request;

/// What became of one step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trace {
    /// When the client had inferred it.
    pub arrived: Option<Duration>,
    /// When all that it needs was there, too.
    pub ready: Duration,
    /// When it had a result.
    pub ended: Option<Duration>,
    /// Where the time between went.
    pub spent: Spent,
    pub attempts: u32,
    /// Whether it has no result.
    pub failed: bool,
}

pub(super) struct Driver<'a> {
    recording: &'a Recording,
    model: &'a Model,
    scheduling: Scheduling,
    workers: usize,
    thunks: Thunks,
    plan: Plan,
    pub requests: Requests,
    agenda: Agenda,
    pub now: Duration,
    pub traces: Vec<Trace>,
    /// The steps that need each step.
    users: Vec<Vec<u32>>,
    /// How many of the steps that each needs have not ended.
    missing: Vec<u32>,
    unended: usize,
    running: usize,
    /// For how long fewer requests were allowed than workers were asked for, so far; and when a step became ready.
    limited: Duration,
    limited_at_ready: Vec<Duration>,
    /// When the client's line is free.
    pub upload_free: Duration,
    pub download_free: Duration,
    pub uploaded: u64,
    pub downloaded: u64,
    /// Workers that go on to a step.
    kept: HashMap<u32, Worker>,
}

impl<'a> Driver<'a> {
    pub fn new(recording: &'a Recording, model: &'a Model, workers: usize, scheduling: Scheduling, seed: u64) -> Self {
        let steps = recording.steps();
        let mut users = vec![Vec::new(); steps.len()];
        for (step, recorded) in (0..).zip(steps) {
            recorded.needs.iter().for_each(|&need| users[need as usize].push(step));
        }
        let mut history = History::new();
        for step in steps {
            if scheduling.history {
                history.record(&step.kind, &step.label, step.work());
            } else {
                history.usual(&step.kind, Duration::from_secs(1));
            }
        }
        let plan = Plan::new(Setup {
            engines: vec!["lambda".into()],
            reserves: 0,
            policy: Policy { order: scheduling.order, ..Policy::default() },
            history,
            keep_going: true,
            consults: false,
            resupplies: false,
        });
        Self {
            recording,
            model,
            scheduling,
            workers,
            thunks: Thunks::of(recording),
            plan,
            requests: Requests::new(Service::new(model.clone(), seed), workers, scheduling.duplicates),
            agenda: Agenda::default(),
            now: Duration::ZERO,
            traces: vec![Trace::default(); steps.len()],
            users,
            missing: steps.iter().map(|step| step.needs.len() as u32).collect(),
            unended: steps.len(),
            running: 0,
            limited: Duration::ZERO,
            limited_at_ready: vec![Duration::ZERO; steps.len()],
            upload_free: Duration::ZERO,
            download_free: Duration::ZERO,
            uploaded: 0,
            downloaded: 0,
            kept: HashMap::new(),
        }
    }

    /// Runs to the end of the last step.
    pub fn run(&mut self) {
        let each = self.model.client.infer_s / self.model.client.cores as f64;
        for step in 0..self.recording.steps().len() as u32 {
            // In the order of the recording, as make goes through a tree.
            self.agenda.put(seconds(each * f64::from(step + 1)), Happening::Arrive(step));
        }
        while self.unended > 0 {
            let next = self.agenda.at().into_iter().chain(self.plan.deadline()).min();
            // The plan always has something under way as long as a step has not ended.
            let Some(at) = next else { break };
            self.advance(at);
            while let Some(what) = self.agenda.take(self.now) {
                self.happen(what);
            }
            self.plan.handle(self.now, Event::Tick);
            self.turn();
        }
    }

    fn advance(&mut self, at: Duration) {
        if self.requests.limit() < self.workers {
            self.limited += at.saturating_sub(self.now);
        }
        self.now = self.now.max(at);
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrive(step) => self.arrive(step),
            Happening::Send(request) => self.requests.send(request, self.now, &mut self.agenda),
            Happening::Look(request) => self.requests.look(request, self.now, &mut self.agenda),
            Happening::CallEnds(call) => {
                if let Some(answer) = self.requests.call_ends(call, self.now, &mut self.agenda) {
                    self.answered(answer);
                }
            }
        }
    }

    fn arrive(&mut self, number: u32) {
        let step = &self.recording.steps()[number as usize];
        self.traces[number as usize].arrived = Some(self.now);
        if self.missing[number as usize] == 0 {
            self.is_ready(number);
        }
        let request = Request {
            name: self.thunks.names[number as usize],
            thunk: Some(self.thunks.thunks[number as usize].clone()),
            kind: step.kind.clone(),
            label: step.label.clone(),
            volatile: false,
            eager: false,
            anew: false,
        };
        self.plan.handle(self.now, Event::Add(request));
        self.obey();
    }

    fn is_ready(&mut self, step: u32) {
        self.traces[step as usize].ready = self.now;
        self.limited_at_ready[step as usize] = self.limited;
    }

    /// Gives ready steps to workers.
    fn turn(&mut self) {
        let free = self.requests.free();
        self.plan.dispatch(self.now, &[self.running + free * self.scheduling.batch]);
        let started = self.obey();
        self.running += started.len();
        let mut single = Vec::with_capacity(started.len());
        for (run, work) in started {
            let step = self.thunks.steps[&work.name];
            let job = Job { run, step, kind: work.kind.clone(), expected: work.expected, load: self.load(step) };
            match self.kept.remove(&step) {
                Some(worker) => self.open(vec![job], Some(worker)),
                None => single.push(job),
            }
        }
        for (_, worker) in std::mem::take(&mut self.kept) {
            self.requests.let_go(worker);
        }
        // As few to a request as there is room for, and those that are next to each other in different ones.
        let requests = single.len().min(self.requests.free()).max(1);
        if requests >= single.len() {
            single.into_iter().for_each(|job| self.open(vec![job], None));
        } else {
            let mut batches: Vec<Vec<Job>> = vec![Vec::new(); requests];
            single.into_iter().enumerate().for_each(|(at, job)| batches[at % requests].push(job));
            batches.into_iter().for_each(|jobs| self.open(jobs, None));
        }
    }

    /// What a worker fetches and makes for a step.
    fn load(&self, number: u32) -> Load {
        let steps = self.recording.steps();
        let step = &steps[number as usize];
        let needed: u64 = step.needs.iter().map(|&need| steps[need as usize].output_bytes).sum();
        Load { work: step.work(), fetched: step.input_bytes + needed, made: step.output_bytes }
    }

    fn open(&mut self, mut jobs: Vec<Job>, kept: Option<Worker>) {
        let client = &self.model.client;
        let bytes: u64 = jobs.iter().map(|job| self.recording.steps()[job.step as usize].new_bytes).sum();
        let mut at = self.now;
        if bytes > 0 && client.upload_bytes_per_s > 0.0 {
            let takes = seconds(bytes as f64 / client.compression / client.upload_bytes_per_s);
            self.upload_free = self.upload_free.max(self.now) + takes;
            at = self.upload_free;
        }
        self.uploaded += bytes;
        for job in &jobs {
            let trace = &mut self.traces[job.step as usize];
            trace.attempts += 1;
            let queued = self.now - trace.ready;
            let limited = (self.limited - self.limited_at_ready[job.step as usize]).min(queued);
            trace.spent.add(Phase::RampUp, limited);
            trace.spent.add(Phase::Workers, queued - limited);
        }
        if let (Some(_), [job]) = (kept, &mut jobs[..]) {
            // What it has just made is there.
            job.load.fetched = self.recording.steps()[job.step as usize].input_bytes;
        }
        self.requests.open(jobs, at, Spent::of(Phase::Upload, at - self.now), kept, &mut self.agenda);
    }

    fn answered(&mut self, answer: Answer) {
        let single = answer.jobs.len() == 1;
        for (job, spent) in answer.jobs {
            self.running -= 1;
            let (step, done) = (job.step, answer.done);
            let trace = &mut self.traces[step as usize];
            trace.spent.add_all(&spent);
            trace.ended = Some(self.now);
            trace.failed = !done;
            let next = self.end(step, done);
            if let (true, true, true, Some(next), Some(worker)) =
                (self.scheduling.chains, single, done, next, answer.worker)
            {
                // Before all others, so that it is started at once.
                self.plan.wait(self.now, self.thunks.names[next as usize]);
                self.requests.keep(worker);
                self.kept.insert(next, worker);
            }
            let result = if done {
                EngineResult::Done(self.thunks.reduction(step))
            } else {
                EngineResult::Declined { text: "its requests died too often".to_owned() }
            };
            self.plan.handle(self.now, Event::Ended { run: job.run, result });
            self.obey();
        }
    }

    /// Takes note of a step's end. The step that needs nothing else, and that alone needs this one, if there is such.
    fn end(&mut self, step: u32, done: bool) -> Option<u32> {
        self.unended -= 1;
        let users = std::mem::take(&mut self.users[step as usize]);
        let client = &self.model.client;
        if done && (client.all_outputs || users.is_empty()) {
            let bytes = self.recording.steps()[step as usize].output_bytes;
            self.downloaded += bytes;
            if client.download_bytes_per_s > 0.0 {
                let takes = seconds(bytes as f64 / client.compression / client.download_bytes_per_s);
                self.download_free = self.download_free.max(self.now) + takes;
            }
        }
        for &user in &users {
            if !done {
                self.fail(user);
                continue;
            }
            self.missing[user as usize] -= 1;
            if self.missing[user as usize] == 0 && self.traces[user as usize].arrived.is_some() {
                self.is_ready(user);
            }
        }
        match users[..] {
            [user] if done && self.missing[user as usize] == 0 && self.traces[user as usize].arrived.is_some() => {
                Some(user)
            }
            _ => None,
        }
    }

    /// Lets a step fail whose needs have failed.
    fn fail(&mut self, step: u32) {
        let trace = &mut self.traces[step as usize];
        if !std::mem::replace(&mut trace.failed, true) {
            trace.ended = Some(self.now);
            self.end(step, false);
        }
    }

    /// Does what the plan wants. What it wants started.
    fn obey(&mut self) -> Vec<(RunId, Box<Work>)> {
        let mut started = Vec::new();
        while let Some(command) = self.plan.next() {
            let event = match command {
                // Nothing is in the cache.
                Command::Look { id, .. } => Event::Looked { id, found: None },
                Command::LookResolved { id, round, .. } => {
                    Event::Resolved { id, round, key: self.plan.graph[id].name, found: None }
                }
                Command::Start { run, work, .. } => {
                    started.push((run, work));
                    continue;
                }
                // All thunks are given, and no results are kept.
                _ => continue,
            };
            self.plan.handle(self.now, event);
        }
        started
    }
}
