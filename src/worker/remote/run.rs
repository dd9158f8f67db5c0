//! One job: getting what it needs, running it, telling how it ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gg_store::remote::{Remote, RemoteError, Sources};
use gg_store::{Store, StoreError};

use super::chain::Link;
use super::memory::{self, Lack};
use super::space::Space;
use crate::wire::JobResult;
use crate::{Cancel, Job, Outcome, Pool, WorkerError};

/// What the jobs of a request share.
#[derive(Clone)]
pub(super) struct Shop {
    pub store: Arc<Store>,
    pub pool: Arc<Pool>,
    pub space: Arc<Space>,
    pub remote: Remote,
    pub sources: Arc<Sources>,
    /// When programs have to end for there to be time to say so.
    pub deadline: Option<Instant>,
    pub memory_mib: u64,
}

/// How long a job's phases took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub fetch: Duration,
    /// All that the pool did.
    pub pool: Duration,
    /// Whether the scratch space was full at the end.
    pub full: bool,
}

/// Ends a program whose request nobody waits for any more.
struct Leash(Cancel);

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Shop {
    /// How long programs may still run; `None` when there is no end.
    pub fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn full(&self, text: String) -> JobResult {
        JobResult::OutOfMemory { text, memory_mib: self.memory_mib }
    }

    /// Brings what jobs need from outside; the result of each of them when that fails.
    pub async fn fetch(&self, links: &[&Link]) -> Result<(), JobResult> {
        let gather = |of: fn(&Link) -> &[gg_ir::Name]| {
            let mut names: Vec<_> = links.iter().flat_map(|link| of(link)).copied().collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let (files, trees) = (gather(|link| &link.files), gather(|link| &link.trees));
        let began = Instant::now();
        let fetch = || self.remote.fetch(&self.store, &files, &trees, &self.sources);
        let fetching = async {
            match fetch().await {
                Err(RemoteError::Local(error)) if matches!(*error, StoreError::Full { .. }) => {
                    self.make_room().await;
                    fetch().await
                }
                fetched => fetched,
            }
        };
        let fetched = match self.left() {
            Some(left) => tokio::time::timeout(left, fetching)
                .await
                .map_err(|_| JobResult::TimedOut { after_ms: began.elapsed().as_millis() as u64, deadline: true })?,
            None => fetching.await,
        };
        fetched.map_err(|error| self.explain(error))
    }

    /// Deletes what other requests have left; what this one uses stays.
    pub async fn make_room(&self) {
        let (space, store) = (self.space.clone(), self.store.clone());
        // Where that fails there is as little room as before, which is told then.
        let _ = tokio::task::spawn_blocking(move || space.free(&store, u64::MAX)).await;
    }

    /// What an error of the remote store means for a job.
    pub fn explain(&self, error: RemoteError) -> JobResult {
        let text = error.to_string();
        let missing = error.missing().unwrap_or_default();
        match error {
            RemoteError::Missing { .. } => {
                let packs = missing.packs.iter().map(ToString::to_string).collect();
                JobResult::Missing { names: missing.names, packs }
            }
            RemoteError::Corrupt { key, .. } => JobResult::Corrupt { names: missing.names, keys: vec![key], text },
            RemoteError::Local(error) if matches!(*error, StoreError::Full { .. }) => {
                self.full(format!("the function's scratch space is full: {error}"))
            }
            RemoteError::Unreachable { .. } | RemoteError::Service { .. } | RemoteError::Interrupted => {
                JobResult::Broken { text, again: true }
            }
            _ => JobResult::Broken { text, again: false },
        }
    }

    /// Runs a job whose inputs are at hand. What it wrote is in the local store.
    pub async fn run(&self, link: Arc<Link>, timeout: Duration, terminal: bool) -> (JobResult, Times) {
        let mut times = Times::default();
        for last in [false, true] {
            let result = self.run_once(link.clone(), timeout, terminal, &mut times).await;
            let full = match &result {
                Ok(JobResult::OutOfMemory { .. }) => times.full,
                Err(WorkerError::Store(StoreError::Full { .. }) | WorkerError::OutOfMemory { .. }) => true,
                _ => false,
            };
            let damaged = matches!(result, Err(WorkerError::Corrupt(_) | WorkerError::Missing(_)));
            if last || !(full || damaged) {
                return (self.tell(result), times);
            }
            let began = Instant::now();
            if full {
                self.make_room().await;
            }
            // A file of the scratch space that was damaged is out of the way: it can be had again.
            let fetched = self.fetch(&[&link]).await;
            times.fetch += began.elapsed();
            if let Err(result) = fetched {
                return (result, times);
            }
        }
        (JobResult::NotRun { reason: "it was not tried".to_owned() }, times)
    }

    async fn run_once(
        &self,
        link: Arc<Link>,
        timeout: Duration,
        terminal: bool,
        times: &mut Times,
    ) -> Result<JobResult, WorkerError> {
        let left = self.left();
        let Some(limit) = left.map_or(Some(timeout), |left| Some(left.min(timeout)).filter(|left| !left.is_zero()))
        else {
            return Ok(JobResult::NotRun { reason: "the function's deadline was too near".to_owned() });
        };
        times.full = false;
        let leash = Leash(Cancel::new()?);
        let (pool, cancel) = (self.pool.clone(), leash.0.clone());
        let kills = memory::kills();
        let began = Instant::now();
        let running = tokio::task::spawn_blocking(move || {
            let job = Job {
                thunk: &link.name,
                description: &link.thunk,
                resolved: link.resolved.clone(),
                timeout: limit,
                terminal,
            };
            pool.run(&job, &cancel)
        });
        let outcome = running.await;
        times.pool += began.elapsed();
        match outcome {
            Ok(Ok(Outcome::Done(reduction))) => Ok(JobResult::Done { reduction }),
            Ok(Ok(Outcome::Failed(failure))) => Ok(match memory::lacked(&failure, kills, self.memory_mib) {
                None => JobResult::Failed { failure },
                Some(Lack::Room) => {
                    times.full = true;
                    self.full("the program found the function's scratch space full".to_owned())
                }
                Some(Lack::Memory) => self.full(format!(
                    "a program was killed or got no memory; the largest process had {} MiB",
                    failure.cost.peak_kib >> 10
                )),
            }),
            Ok(Err(WorkerError::TimedOut { after })) => Ok(JobResult::TimedOut {
                after_ms: after.as_millis() as u64,
                deadline: left.is_some_and(|left| left < timeout),
            }),
            Ok(Err(error)) => Err(error),
            Err(error) => Ok(JobResult::Broken { text: format!("the worker failed: {error}"), again: true }),
        }
    }

    /// What a failure of the pool means for a job.
    fn tell(&self, result: Result<JobResult, WorkerError>) -> JobResult {
        let error = match result {
            Ok(result) => return result,
            Err(error) => error,
        };
        let text = error.to_string();
        match error {
            WorkerError::Missing(name) => JobResult::Missing { names: vec![name], packs: vec![] },
            WorkerError::Corrupt(name) => JobResult::Corrupt { names: vec![name], keys: vec![], text },
            WorkerError::OutOfMemory { .. } | WorkerError::Died { signal: Some(libc::SIGKILL), .. } => self.full(text),
            WorkerError::Store(StoreError::Full { .. }) => {
                self.full(format!("the function's scratch space is full: {text}"))
            }
            WorkerError::Unfit { reason } => JobResult::Unfit { reason },
            other => JobResult::Broken { again: other.is_transient() || matches!(other, WorkerError::Cancelled), text },
        }
    }
}
