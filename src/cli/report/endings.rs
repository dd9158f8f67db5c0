//! When the programs of calls that run here end. They are nobody's children here, so the kernel is asked by their descriptors
//! (pidfd_open(2)): one thread for all of them, from the first one on.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use rustix::event::{PollFd, PollFlags, epoll, poll};
use rustix::io::Errno;

/// The programs that are waited for.
pub struct Endings {
    queue: OwnedFd,
    waiting: Mutex<HashMap<u64, OwnedFd>>,
    ended: Box<dyn Fn(u64) + Send + Sync>,
}

impl Endings {
    /// Starts the thread; it calls `ended` with the number of each program that has ended, for as long as this is kept.
    ///
    /// # Errors
    /// When the system gives no descriptor or no thread.
    pub fn start(ended: impl Fn(u64) + Send + Sync + 'static) -> io::Result<Arc<Self>> {
        let queue = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let listener = queue.try_clone()?;
        let endings = Arc::new(Self { queue, waiting: Mutex::default(), ended: Box::new(ended) });
        let weak = Arc::downgrade(&endings);
        thread::Builder::new().name("gg-endings".into()).spawn(move || listen(&listener, &weak))?;
        Ok(endings)
    }

    /// Waits for this program, too.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn watch(&self, number: u64, program: OwnedFd) -> io::Result<()> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // It is told of once, and stays quiet after that.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        epoll::add(&self.queue, &program, epoll::EventData::new_u64(number), flags)?;
        waiting.insert(number, program);
        Ok(())
    }
}

impl Endings {
    /// Tells of those that have ended and that the thread has not come to yet.
    pub fn settle(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        waiting.retain(|number, program| {
            let has_ended = poll(&mut [PollFd::new(program, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0);
            if has_ended {
                (self.ended)(*number);
            }
            !has_ended
        });
    }
}

/// How long the thread outlives who started it, in milliseconds.
const LOOK: i64 = 1000;

fn listen(queue: &OwnedFd, endings: &Weak<Endings>) {
    let mut events = Vec::with_capacity(16);
    let timeout = rustix::event::Timespec { tv_sec: LOOK / 1000, tv_nsec: 0 };
    loop {
        match epoll::wait(queue, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            // Then nobody hears of further endings, and the record says less.
            Err(_) => return,
        }
        let Some(endings) = endings.upgrade() else { return };
        let mut waiting = endings.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events.drain(..) {
            let number = event.data.u64();
            if waiting.remove(&number).is_some() {
                (endings.ended)(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::mpsc::channel;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn each_ending_is_told_once() {
        let (say, said) = channel();
        let endings = Endings::start(move |number| {
            let _ = say.send(number);
        })
        .unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let program = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        endings.watch(7, program).unwrap();
        assert!(said.try_recv().is_err());
        drop(child.stdin.take());
        child.wait().unwrap();
        endings.settle();
        assert_eq!(said.try_recv(), Ok(7));
        drop(endings);
        assert!(said.recv().is_err(), "the thread ends");
    }
}
