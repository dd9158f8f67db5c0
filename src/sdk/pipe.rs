//! The `gg` behind a session: requests to its standard input, answers from its standard output.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Who is told of the answers to one request.
pub(crate) enum Told {
    /// Of the final one.
    Once(Sender<Result<Value>>),
    /// Of each event, and of the final answer; `true` with the last.
    Each(Box<dyn FnMut(Result<Value>, bool) + Send>),
}

impl Told {
    fn end(self, answer: Result<Value>) {
        match self {
            // Who does not wait any more need not be told.
            Self::Once(sender) => drop(sender.send(answer)),
            Self::Each(mut tell) => tell(answer, true),
        }
    }
}

/// One running `gg`.
#[derive(Default)]
pub(crate) struct Pipe {
    input: Mutex<Option<ChildStdin>>,
    child: Mutex<Option<Child>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    open: HashMap<u64, Told>,
    /// Why there will be no more answers.
    gone: Option<String>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Changed by single calls: whole even if a thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pipe {
    /// Starts `gg`.
    pub fn start(mut command: Command) -> Result<Arc<Self>> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |error: std::io::Error| {
            Error::Gone(format!(
                "{program} cannot be started: {error}; is gg installed, and in PATH or named by GG_BIN?"
            ))
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let pipe = Arc::new(Self::default());
        *locked(&pipe.input) = child.stdin.take();
        let output = child.stdout.take();
        *locked(&pipe.child) = Some(child);
        let reader = Arc::downgrade(&pipe);
        let thread = std::thread::Builder::new().name("gg-answers".into()).spawn(move || {
            for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
                let (Some(pipe), Ok(line)) = (reader.upgrade(), line) else { break };
                match serde_json::from_str(&line) {
                    Ok(answer) => pipe.heard(answer),
                    Err(_) => break,
                }
            }
            if let Some(pipe) = reader.upgrade() {
                pipe.end();
            }
        });
        thread.map_err(failed)?;
        Ok(pipe)
    }

    /// Sends a request; what gg knows it by, unless gg has ended.
    pub fn send(&self, mut request: Value, told: Told) -> Option<u64> {
        let id = {
            let mut state = locked(&self.state);
            if let Some(why) = state.gone.clone() {
                drop(state);
                told.end(Err(Error::Gone(why)));
                return None;
            }
            state.last += 1;
            let id = state.last;
            state.open.insert(id, told);
            id
        };
        if let Value::Object(fields) = &mut request {
            fields.insert("id".to_owned(), json!(id));
        }
        let line = format!("{request}\n");
        let sent = locked(&self.input).as_mut().is_some_and(|input| input.write_all(line.as_bytes()).is_ok());
        if sent {
            return Some(id);
        }
        if let Some(told) = locked(&self.state).open.remove(&id) {
            told.end(Err(Error::Gone("gg has ended".to_owned())));
        }
        None
    }

    /// Sends a request and waits for its answer.
    pub fn ask(&self, request: Value) -> Result<Value> {
        let (sender, answer) = channel();
        self.send(request, Told::Once(sender));
        answer.recv().unwrap_or_else(|_| Err(Error::Gone("gg has ended".to_owned())))
    }

    fn heard(&self, mut answer: Value) {
        let Some(id) = answer.get("id").and_then(Value::as_u64) else { return };
        if answer.get("event").is_some() {
            // Called without the lock: it may send requests.
            let told = locked(&self.state).open.remove(&id);
            if let Some(Told::Each(mut tell)) = told {
                tell(Ok(answer), false);
                locked(&self.state).open.insert(id, Told::Each(tell));
            }
            return;
        }
        let told = locked(&self.state).open.remove(&id);
        let Some(told) = told else { return };
        match answer.get_mut("error").map(Value::take) {
            Some(error) => told.end(Err(Error::of(error, None))),
            None => told.end(Ok(answer.get_mut("ok").map(Value::take).unwrap_or_default())),
        }
    }

    fn end(&self) {
        let status = locked(&self.child).as_mut().and_then(|child| child.wait().ok());
        let why = match status {
            Some(status) => format!("gg has ended ({status}); what it said is on standard error"),
            None => "gg has ended".to_owned(),
        };
        let open = {
            let mut state = locked(&self.state);
            state.gone = Some(why.clone());
            std::mem::take(&mut state.open)
        };
        for told in open.into_values() {
            told.end(Err(Error::Gone(why.clone())));
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(locked(&self.input).take());
        if let Some(mut child) = locked(&self.child).take() {
            let _ = child.wait();
        }
    }
}
