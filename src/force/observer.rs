//! Who is told what happens, and the thread that tells.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use gg_ir::Name;

use crate::attempt::Attempt;
use crate::failure::Outcome;

/// A thunk that ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its name.
    pub name: Name,
    /// The kind of step.
    pub kind: Arc<str>,
    /// The label for a person.
    pub label: Arc<str>,
    /// How it ended.
    pub result: Outcome,
    /// Where the result is from.
    pub served: Served,
    /// How often it was started, or what stood in for it.
    pub attempts: u32,
    /// How long it was ready and waited for an engine, in all.
    pub queued: Duration,
    /// How long engines had it, in all.
    pub ran: Duration,
    /// When it could first be given to an engine, by the coordinator's clock; none when it never could.
    pub ready: Option<Duration>,
    /// When it ended.
    pub ended: Duration,
    /// What engines tried, in the order in which it ended; nothing when this is told for a second time.
    pub log: Vec<Attempt>,
    /// Whether it was told before, and is told again to whoever has asked since.
    pub again: bool,
}

/// Where a result is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// The engine of this name ran it.
    Executed {
        /// The engine's name.
        engine: Arc<str>,
    },
    /// The reduction was known.
    FromCache,
    /// It never ran: a dependency failed, or it was cancelled.
    NotRun,
}

/// Is told what happens, on a thread of its own: it may take its time, and may call the coordinator.
pub trait Observer: Send + Sync {
    /// A thunk ended. Called in order, what a thunk needs before itself (as far as its description was given, or read:
    /// one that the cache knows by its name alone need not be). Called once per thunk, and again when it is added again
    /// after it had ended, or when it fails on being evaluated anew since an output was lost.
    fn finished(&self, done: &Finished);

    /// Something that a person may want to know: a retry, an engine that gave up.
    fn notice(&self, text: &str) {
        let _ = text;
    }
}

/// An observer that looks away.
pub struct NoObserver;

impl Observer for NoObserver {
    fn finished(&self, _: &Finished) {}
}

pub(crate) enum Message {
    Finished(Box<Finished>),
    Notice(String),
    /// Run when everything sent before has been told.
    Marker(Box<dyn FnOnce() + Send>),
}

/// The thread that tells the observer, so that scheduling never waits for one.
pub(crate) struct Notifier {
    messages: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl Notifier {
    pub fn start(observer: Arc<dyn Observer>) -> std::io::Result<Self> {
        let (messages, inbox) = channel();
        let thread = std::thread::Builder::new().name("gg-notifier".into()).spawn(move || {
            for message in inbox {
                // An observer's panic has been printed; it must not leave those behind it waiting for ever.
                let _ = catch_unwind(AssertUnwindSafe(|| match message {
                    Message::Finished(done) => observer.finished(&done),
                    Message::Notice(text) => observer.notice(&text),
                    Message::Marker(run) => run(),
                }));
            }
        })?;
        Ok(Self { messages: Some(messages), thread: Some(thread) })
    }

    pub fn send(&self, message: Message) {
        if let Some(messages) = &self.messages {
            // The thread ends only after this sender.
            let _ = messages.send(message);
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.messages = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
