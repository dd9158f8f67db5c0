//! The threads on which held calls wait: one for each, up to a bound, so that no slow one delays another.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::image::{Interpreter, interpreter};
use crate::listener::Listener;
use crate::place::Place;
use crate::watch::Counters;
use crate::{Access, Guard};

/// Calls that can wait at once; more wait for a thread. Far more than the processes of a build that run at once.
const THREADS: usize = 1024;
/// How many interpreters of interpreters the kernel follows (`execve(2)`: four), and one to spare.
pub(crate) const INTERPRETERS: usize = 5;

/// One file that a held call needs.
#[derive(Debug)]
pub(crate) struct Errand {
    pub place: Place,
    pub access: Access,
}

/// A call that waits for files.
pub(crate) struct Held {
    pub id: u64,
    pub guard: Arc<dyn Guard>,
    pub errands: Vec<Errand>,
}

impl Held {
    /// Sees to every file; the error number with which the call shall fail otherwise.
    fn run(&self) -> Result<(), i32> {
        for errand in &self.errands {
            let mut place = errand.place.clone();
            produce(&*self.guard, &place, errand.access)?;
            if errand.access != Access::Execute {
                continue;
            }
            // Only now can be seen which interpreter the produced file has.
            for _ in 0..INTERPRETERS {
                let Some(next) = next_image(&place) else { break };
                let last = matches!(next, Interpreter::Loader(_));
                let (Interpreter::Script(path) | Interpreter::Loader(path)) = next;
                place = place.sibling(path);
                produce(&*self.guard, &place, Access::Execute)?;
                if last {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The interpreter of the file at a place.
pub(crate) fn next_image(place: &Place) -> Option<Interpreter> {
    interpreter(place.open(libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY).ok()?)
}

fn produce(guard: &dyn Guard, place: &Place, access: Access) -> Result<(), i32> {
    // It may be gone by now, or already produced for another call: then there is nothing to do.
    match place.real() {
        Some((path, id)) if guard.concerns(id) => guard.produce(&path, id, access),
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Queue {
    threads: usize,
    waiting: VecDeque<Held>,
}

/// Starts the threads.
pub(crate) struct Holder {
    listener: Arc<Listener>,
    counters: Arc<Counters>,
    queue: Mutex<Queue>,
}

impl Holder {
    pub fn new(listener: Arc<Listener>, counters: Arc<Counters>) -> Arc<Holder> {
        Arc::new(Holder { listener, counters, queue: Mutex::default() })
    }

    /// Takes the call over and answers it when its files are there.
    pub fn hold(self: &Arc<Self>, held: Held) {
        self.counters.held.fetch_add(1, Ordering::Relaxed);
        {
            let mut queue = self.queue();
            queue.waiting.push_back(held);
            if queue.threads >= THREADS {
                return;
            }
            queue.threads += 1;
        }
        let this = Arc::clone(self);
        let started = thread::Builder::new().name("gg-held".into()).spawn(move || this.work());
        if started.is_err() {
            // No more threads to be had: one of the others takes it, or, with none, this one must.
            let alone = {
                let mut queue = self.queue();
                queue.threads -= 1;
                queue.threads == 0
            };
            if alone {
                self.queue().threads += 1;
                self.work();
            }
        }
    }

    /// Answers calls until none waits.
    fn work(&self) {
        loop {
            let held = {
                let mut queue = self.queue();
                let Some(held) = queue.waiting.pop_front() else {
                    queue.threads -= 1;
                    return;
                };
                held
            };
            // A panic of the guard must not leave the process waiting for ever.
            match catch_unwind(AssertUnwindSafe(|| held.run())).unwrap_or(Err(libc::EIO)) {
                Ok(()) => self.listener.go_on(held.id),
                Err(errno) => self.listener.fail(held.id, errno),
            }
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        // A panic while it is locked cannot leave it half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
