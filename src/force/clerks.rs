//! Threads for what may block: the store's disk, the caller's own functions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// A few threads that take jobs in order.
pub(crate) struct Clerks {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Clerks {
    pub fn start(name: &str, count: usize) -> std::io::Result<Self> {
        let (jobs, inbox) = channel::<Job>();
        let inbox = Arc::new(Mutex::new(inbox));
        let work = |inbox: Arc<Mutex<Receiver<Job>>>| {
            move || loop {
                let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(job) = next else { break };
                // A panic has been printed by then, and the job's answer is given by what it drops.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        };
        let threads = (0..count)
            .map(|_| std::thread::Builder::new().name(name.to_owned()).spawn(work(inbox.clone())))
            .collect::<Result<_, _>>()?;
        Ok(Self { jobs: Some(jobs), threads })
    }

    pub fn give(&self, job: impl FnOnce() + Send + 'static) {
        if let Some(jobs) = &self.jobs {
            // The threads end only after this sender.
            let _ = jobs.send(Box::new(job));
        }
    }
}

impl Drop for Clerks {
    /// Finishes what was given.
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
