//! The service: workers that are started, reused, and refused.

use std::time::Duration;

use super::model::{Model, seconds};
use super::phase::{Phase, Spent};
use super::random::Random;

/// A worker of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worker(u32);

impl Worker {
    /// Its number, from 0, in the order in which workers were started.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// What a step moves and computes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    /// On the machine that it was recorded on.
    pub work: Duration,
    /// Bytes that the worker fetches.
    pub fetched: u64,
    /// Bytes that it makes.
    pub made: u64,
}

/// All workers, idle and busy.
pub(super) struct Service {
    model: Model,
    random: Random,
    /// The speed of each worker that was ever started.
    speeds: Vec<f64>,
    /// The one that was busy last is taken first.
    idle: Vec<Worker>,
    busy: u64,
    /// How many may be started at present.
    allowance: f64,
    /// When that was so.
    at: Duration,
    pub most_busy: u64,
    pub refused: u64,
    pub cold: u64,
}

/// What a worker takes for one request.
pub(super) struct Times {
    /// To be there, and to answer.
    pub shared: Spent,
    /// For each step.
    pub own: Vec<Spent>,
    /// Whether it dies on the way, after this time.
    pub dies: Option<Duration>,
}

impl Times {
    pub fn total(&self) -> Duration {
        self.shared.total() + self.own.iter().map(Spent::total).sum::<Duration>()
    }
}

impl Service {
    pub fn new(model: Model, seed: u64) -> Self {
        let allowance = model.scaling.burst as f64;
        let mut service = Self {
            random: Random::new(seed),
            speeds: Vec::new(),
            idle: Vec::new(),
            busy: 0,
            allowance,
            at: Duration::ZERO,
            most_busy: 0,
            refused: 0,
            cold: 0,
            model,
        };
        // The last one started is the first one taken, as if it had been busy last.
        service.idle = (0..service.model.scaling.warm.min(1 << 20)).map(|_| service.start()).collect();
        service
    }

    fn start(&mut self) -> Worker {
        let function = &self.model.function;
        self.speeds.push(function.speed * self.random.factor(function.spread));
        Worker((self.speeds.len() - 1) as u32)
    }

    /// A worker for a request, and whether it has yet to be started; none when the request is refused.
    pub fn take(&mut self, now: Duration) -> Option<(Worker, bool)> {
        let scaling = &self.model.scaling;
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.allowance = (self.allowance + since * scaling.per_10_s as f64 / 10.0).min(scaling.burst as f64);
        self.at = now;
        if self.busy >= scaling.concurrency || self.random.happens(self.model.trouble.throttle_rate) {
            self.refused += 1;
            return None;
        }
        let (worker, is_cold) = match self.idle.pop() {
            Some(worker) => (worker, false),
            None if self.allowance >= 1.0 => {
                self.allowance -= 1.0;
                self.cold += 1;
                (self.start(), true)
            }
            None => {
                self.refused += 1;
                return None;
            }
        };
        self.busy += 1;
        self.most_busy = self.most_busy.max(self.busy);
        Some((worker, is_cold))
    }

    /// The worker is idle again.
    pub fn give_back(&mut self, worker: Worker) {
        self.busy -= 1;
        self.idle.push(worker);
    }

    /// Takes the worker that was given back last, for another request.
    pub fn retake(&mut self, worker: Worker) {
        if self.idle.pop_if(|idle| *idle == worker).is_some() {
            self.busy += 1;
        }
    }

    /// The worker is gone: it died.
    pub fn bury(&mut self) {
        self.busy -= 1;
    }

    /// What a worker will take for these steps; `goes_on`: it has just ended the step before them, in the same request.
    pub fn times(&mut self, worker: Worker, is_cold: bool, goes_on: bool, loads: &[Load]) -> Times {
        let (function, trouble) = (self.model.function.clone(), self.model.trouble.clone());
        let speed = self.speeds[worker.0 as usize];
        let mut shared = Spent::default();
        if is_cold {
            shared.add(Phase::ColdStart, seconds(function.cold_start_s * self.random.factor(function.jitter)));
            let fetch = self.transfer(function.toolchain_bytes);
            shared.add(Phase::ColdStart, fetch + seconds(function.unpack_s / speed));
        }
        if !goes_on {
            shared.add(Phase::Request, seconds(function.request_s * self.random.factor(function.jitter)));
        }
        let slowness = if self.random.happens(trouble.straggler_rate) { trouble.straggler_factor } else { 1.0 };
        let mut own = Vec::with_capacity(loads.len());
        for load in loads {
            let mut spent = Spent::default();
            spent.add(Phase::Fetch, self.transfer(load.fetched));
            spent.add(Phase::Request, seconds(function.sandbox_s));
            let ordinary = load.work.as_secs_f64() / function.speed;
            let takes = load.work.as_secs_f64() / speed * slowness;
            spent.add(Phase::Compute, seconds(ordinary.min(takes)));
            spent.add(Phase::Slow, seconds((takes - ordinary).max(0.0)));
            if load.made >= self.model.store.inline_bytes {
                spent.add(Phase::Store, self.transfer(load.made));
            }
            own.push(spent);
        }
        let mut times = Times { shared, own, dies: None };
        if self.random.happens(trouble.failure_rate) {
            times.dies = Some(times.total().mul_f64(self.random.fraction()));
        }
        times
    }

    /// How long it takes to fetch or store so many bytes.
    fn transfer(&mut self, bytes: u64) -> Duration {
        if bytes == 0 {
            return Duration::ZERO;
        }
        let latency = self.model.store.latency_s * self.random.factor(self.model.function.jitter);
        seconds(latency + bytes as f64 / self.model.store.bytes_per_s)
    }

    /// Between half and all of this delay, as the Lambda engine waits.
    pub fn jitter(&mut self, delay: Duration) -> Duration {
        delay.mul_f64(0.5 + self.random.fraction() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn service(change: impl FnOnce(&mut Model)) -> Service {
        let mut model = Model::ideal();
        change(&mut model);
        Service::new(model, 1)
    }

    #[test]
    fn a_burst_then_so_many_in_ten_seconds() {
        let mut service = service(|model| (model.scaling.burst, model.scaling.per_10_s) = (30, 20));
        let mut take = |now| (0..100).filter(|_| service.take(now).is_some()).count();
        assert_eq!([take(Duration::ZERO), take(SECOND * 5), take(SECOND * 5), take(SECOND * 60)], [30, 10, 0, 30]);
        assert_eq!((service.cold, service.refused, service.most_busy), (70, 330, 70));
    }

    #[test]
    fn idle_workers_are_used_again_and_the_quota_holds() {
        let mut service = service(|model| (model.scaling.concurrency, model.scaling.warm) = (2, 1));
        let (first, cold) = service.take(SECOND).unwrap();
        assert!(!cold);
        assert!(service.take(SECOND).is_some_and(|(_, cold)| cold));
        assert!(service.take(SECOND).is_none());
        service.give_back(first);
        assert_eq!(service.take(SECOND), Some((first, false)));
        service.bury();
        assert!(service.take(SECOND).is_some_and(|(_, cold)| cold));
    }

    #[test]
    fn times_are_those_of_the_model() {
        let mut service = service(|model| {
            model.function.speed = 0.5;
            (model.function.cold_start_s, model.function.unpack_s, model.function.toolchain_bytes) = (1.0, 2.0, 300);
            (model.function.request_s, model.function.sandbox_s) = (0.25, 0.5);
            (model.store.latency_s, model.store.bytes_per_s, model.store.inline_bytes) = (0.1, 100.0, 50);
        });
        let (worker, _) = service.take(SECOND).unwrap();
        let load = Load { work: SECOND * 4, fetched: 200, made: 100 };
        let times = service.times(worker, true, false, &[load, Load { made: 49, fetched: 0, ..load }]);
        let own = |step: usize| {
            [Phase::Fetch, Phase::Compute, Phase::Store].map(|phase| times.own[step].get(phase).as_secs_f64())
        };
        assert_eq!([own(0), own(1)], [[2.1, 8.0, 1.1], [0.0, 8.0, 0.0]]);
        let shared = [Phase::ColdStart, Phase::Request].map(|phase| times.shared.get(phase).as_secs_f64());
        assert_eq!(shared, [1.0 + 3.1 + 4.0, 0.25]);
        assert_eq!(times.dies, None);
        let on = service.times(worker, false, true, &[Load::default()]);
        assert_eq!(on.total().as_secs_f64(), 0.5);
    }

    #[test]
    fn trouble_comes_as_often_as_the_model_says() {
        let mut service = service(|model| {
            model.trouble.straggler_rate = 0.2;
            model.trouble.straggler_factor = 3.0;
            model.trouble.failure_rate = 0.1;
            model.trouble.throttle_rate = 0.3;
        });
        let load = [Load { work: SECOND, ..Load::default() }];
        let (mut slow, mut died, mut refused) = (0, 0, 0);
        for _ in 0..10_000 {
            let Some((worker, is_cold)) = service.take(SECOND) else {
                refused += 1;
                continue;
            };
            let times = service.times(worker, is_cold, false, &load);
            slow += u32::from(times.own[0].get(Phase::Slow) == SECOND * 2);
            died += u32::from(times.dies.is_some_and(|after| after < times.total()));
            service.give_back(worker);
        }
        assert!((2800..3200).contains(&refused), "{refused}");
        assert!((1250..1550).contains(&slow), "{slow}");
        assert!((600..800).contains(&died), "{died}");
    }
}
