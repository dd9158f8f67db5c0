//! Threads for what may block: the store's disk, the caller's own functions.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// A clerk takes as many jobs at once, if there are enough for all: taking one by one, threads wait for each other longer than
/// they work. Few enough that one slow job does not hold up many.
const HANDFUL: usize = 8;

/// A few threads that take jobs in order.
pub(crate) struct Clerks {
    desk: Arc<Desk>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Desk {
    pile: Mutex<Pile>,
    more: Condvar,
}

#[derive(Default)]
struct Pile {
    jobs: VecDeque<Job>,
    /// Clerks that wait for a job.
    idle: usize,
    closed: bool,
}

impl Desk {
    fn pile(&self) -> MutexGuard<'_, Pile> {
        // No job runs while it is locked.
        self.pile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Some jobs, once there are any; none when there will be no more.
    fn take(&self, clerks: usize) -> Vec<Job> {
        let mut pile = self.pile();
        while pile.jobs.is_empty() {
            if pile.closed {
                return Vec::new();
            }
            pile.idle += 1;
            pile = self.more.wait(pile).unwrap_or_else(PoisonError::into_inner);
            pile.idle -= 1;
        }
        let some = pile.jobs.len().div_ceil(clerks).min(HANDFUL);
        pile.jobs.drain(..some).collect()
    }
}

impl Clerks {
    pub fn start(name: &str, count: usize) -> std::io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let mut clerks = Self { desk, threads: Vec::with_capacity(count) };
        for _ in 0..count {
            let desk = clerks.desk.clone();
            let work = move || {
                loop {
                    let jobs = desk.take(count);
                    if jobs.is_empty() {
                        break;
                    }
                    for job in jobs {
                        // A panic has been printed by then, and the job's answer is given by what it drops.
                        let _ = catch_unwind(AssertUnwindSafe(job));
                    }
                }
            };
            clerks.threads.push(std::thread::Builder::new().name(name.to_owned()).spawn(work)?);
        }
        Ok(clerks)
    }

    pub fn give(&self, job: impl FnOnce() + Send + 'static) {
        self.give_all(vec![Box::new(job)]);
    }

    /// Gives many at once, so that clerks are woken once.
    pub fn give_all(&self, jobs: Vec<Job>) {
        let mut pile = self.desk.pile();
        let wanted = pile.idle.min(jobs.len());
        pile.jobs.extend(jobs);
        drop(pile);
        (0..wanted).for_each(|_| self.desk.more.notify_one());
    }
}

impl Drop for Clerks {
    /// Finishes what was given.
    fn drop(&mut self) {
        self.desk.pile().closed = true;
        self.desk.more.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn every_job_is_done_in_order_by_one_and_all_by_many() {
        for count in [1, 4] {
            let (said, heard) = channel();
            let clerks = Clerks::start("test", count).unwrap();
            for hundred in 0..10 {
                let jobs = (0..100).map(|one| {
                    let said = said.clone();
                    Box::new(move || said.send(hundred * 100 + one).unwrap()) as Job
                });
                clerks.give_all(jobs.collect());
                clerks.give(|| panic!("a job's own fault"));
            }
            drop(clerks);
            drop(said);
            let mut done: Vec<i32> = heard.iter().collect();
            if count > 1 {
                done.sort_unstable();
            }
            assert_eq!(done, (0..1000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_slow_job_holds_up_no_more_than_a_handful() {
        let (said, heard) = channel();
        let (release, held) = channel::<()>();
        let clerks = Clerks::start("test", 2).unwrap();
        let mut jobs: Vec<Job> = vec![Box::new(move || held.recv().unwrap())];
        for number in 0..100 {
            let said = said.clone();
            jobs.push(Box::new(move || said.send(number).unwrap()));
        }
        clerks.give_all(jobs);
        let others = heard.iter().take(100 - HANDFUL + 1).count();
        release.send(()).unwrap();
        drop(clerks);
        assert_eq!(others + heard.try_iter().count(), 100);
    }
}
