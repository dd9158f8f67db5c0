//! A result that is not there yet.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use serde_json::json;

use crate::error::{Error, Result};
use crate::outcome::Outcome;
use crate::pipe::{Pipe, Told};

/// A thunk that is being forced: a [`Future`] of its outcome, on any runtime.
///
/// Dropped, it goes on: what it comes to is known when it is next asked for. [`Pending::cancel`] ends it.
#[derive(Debug, Default)]
pub struct Pending {
    pub(crate) slot: Arc<Slot>,
    pub(crate) request: Arc<Request>,
    pub(crate) key: String,
}

/// The request that it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub pipe: Weak<Pipe>,
    /// What gg knows it by, once it is sent.
    pub id: OnceLock<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<Outcome>>,
    waker: Option<Waker>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Changed by single calls: whole even if a thread panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first result counts.
    pub fn fill(&self, result: Result<Outcome>) {
        let mut state = self.lock();
        state.result.get_or_insert(result);
        let waker = state.waker.take();
        drop(state);
        self.came.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Pending {
    /// Ends it: [`Error::Cancelled`] is what it comes to, unless it has come to something else. Its program is killed if nobody
    /// else needs it; whoever asked in the same call for the same thunk does not count.
    pub fn cancel(&self) {
        if let (Some(pipe), Some(id)) = (self.request.pipe.upgrade(), self.request.id.get()) {
            let request = json!({"do": "cancel", "of": id, "keys": [self.key]});
            pipe.send(request, Told::Each(Box::new(|_, _| ())));
        }
        self.slot.fill(Err(Error::Cancelled("it was cancelled by its own program".to_owned())));
    }

    /// Blocks until it is there.
    ///
    /// # Errors
    /// Why the thunk has none.
    pub fn wait(self) -> Result<Outcome> {
        let mut state = self.slot.lock();
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            state = self.slot.came.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Pending {
    type Output = Result<Outcome>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.slot.lock();
        match state.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
