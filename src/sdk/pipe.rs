//! The `gg` behind a session: requests to its standard input, answers from its standard output.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Bytes that gg takes as one request.
const LONGEST: usize = 256 << 20;

/// How long gg has to end by itself, once it has nothing more to hear or to say: it writes down what it did.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

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
    /// The thread that hears the answers.
    reader: OnceLock<ThreadId>,
}

#[derive(Default)]
struct State {
    last: u64,
    open: HashMap<u64, Told>,
    /// Why there will be no more answers.
    gone: Option<String>,
    /// What gg did not understand, if it could not say of which request.
    stray: Option<String>,
}

/// Waits until a process has ended, and kills it if that takes too long.
fn end_of(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            ended => return ended.ok().flatten(),
        }
    }
    let _ = child.kill();
    child.wait().ok()
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
            let mut why = None;
            for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
                let Some(pipe) = reader.upgrade() else { return };
                match line.and_then(|line| Ok(serde_json::from_str(&line)?)) {
                    Ok(answer) => pipe.heard(answer),
                    Err(error) => {
                        why = Some(format!("gg gave a strange answer, and was ended: {error}"));
                        break;
                    }
                }
            }
            if let Some(pipe) = reader.upgrade() {
                pipe.end(why);
            }
        });
        let _ = pipe.reader.set(thread.map_err(failed)?.thread().id());
        Ok(pipe)
    }

    /// Sends a request; what gg knows it by, unless it is too long or gg has ended.
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
        // Freed here: what was said by it may be much.
        drop(request);
        if line.len() >= LONGEST {
            let (length, told) = (line.len(), locked(&self.state).open.remove(&id));
            let why = format!("a request of {length} bytes, and gg takes {LONGEST}: state large contents as files");
            if let Some(told) = told {
                told.end(Err(Error::Request(why)));
            }
            return None;
        }
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
        if self.reader.get() == Some(&std::thread::current().id()) {
            let why =
                "this thread hears what gg answers, and so cannot wait for that: a waker is to wake, and do no more";
            return Err(Error::Request(why.to_owned()));
        }
        let (sender, answer) = channel();
        self.send(request, Told::Once(sender));
        answer.recv().unwrap_or_else(|_| Err(Error::Gone("gg has ended".to_owned())))
    }

    fn heard(&self, mut answer: Value) {
        let Some(id) = answer.get("id").and_then(Value::as_u64) else { return self.stray(answer) };
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

    /// gg could not tell which request it did not understand. If there is one only, it is that; if there are several, they are not
    /// to fail for it, and it is told if gg ends.
    fn stray(&self, mut answer: Value) {
        let error = Error::of(answer.get_mut("error").map(Value::take).unwrap_or_default(), None);
        let mut state = locked(&self.state);
        let only = state.open.keys().next().copied().filter(|_| state.open.len() == 1);
        match only.and_then(|id| state.open.remove(&id)) {
            Some(told) => {
                drop(state);
                told.end(Err(error));
            }
            None => state.stray = Some(error.to_string()),
        }
    }

    /// After the last answer: tells all who wait for one.
    fn end(&self, why: Option<String>) {
        let status = locked(&self.child).as_mut().and_then(|child| {
            if why.is_some() {
                // It may not know that anything is wrong.
                let _ = child.kill();
            }
            end_of(child)
        });
        let how = status.map_or_else(String::new, |status| format!(" ({status})"));
        let stray =
            locked(&self.state).stray.take().map_or_else(String::new, |said| format!("; before, it said: {said}"));
        let why = why.unwrap_or_else(|| format!("gg has ended{how}; what it said is on standard error{stray}"));
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
        // The end of its input ends it. If this is the thread that reads its answers, nobody does so now, and it may wait for that.
        drop(locked(&self.input).take());
        if let Some(mut child) = locked(&self.child).take() {
            let _ = end_of(&mut child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What nothing here takes.
    const LONG: Duration = Duration::from_secs(60);

    /// A shell in place of gg.
    fn stand_in(script: &str) -> Arc<Pipe> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Pipe::start(command).unwrap()
    }

    fn hello() -> Value {
        json!({"do": "hello"})
    }

    #[test]
    fn a_line_that_is_no_answer_ends_all() {
        for line in ["nonsense", "\\377"] {
            // It would go on for ever.
            let pipe = stand_in(&format!("read line; printf '{line}\\n'; exec sleep 1000"));
            let begun = Instant::now();
            match pipe.ask(hello()) {
                Err(Error::Gone(why)) => assert!(why.contains("strange answer"), "{why}"),
                other => panic!("{other:?}"),
            }
            assert!(matches!(pipe.ask(hello()), Err(Error::Gone(_))));
            assert!(begun.elapsed() < LONG);
        }
    }

    #[test]
    fn one_that_says_no_more_and_goes_on_is_ended() {
        let pipe = stand_in("read line; exec sleep 1000 >&-");
        assert!(matches!(pipe.ask(hello()), Err(Error::Gone(_))));
    }

    #[test]
    fn one_that_is_not_read_any_more_is_ended() {
        let pipe = stand_in(
            "read line; echo '{\"id\": 1, \"ok\": {}}'; while echo '{\"id\": 7, \"ok\": {}}'; do :; done; sleep 1000",
        );
        let (sender, told) = channel();
        // As if the reader had let go of it last.
        let held = Arc::clone(&pipe);
        let drop_it = move |_: Result<Value>, _: bool| {
            let _ = sender.send(());
            std::thread::sleep(Duration::from_millis(200));
            let _ = &held;
        };
        pipe.send(hello(), Told::Each(Box::new(drop_it)));
        told.recv().unwrap();
        let child = locked(&pipe.child).as_ref().map(Child::id).unwrap();
        drop(pipe);
        let begun = Instant::now();
        while std::path::Path::new(&format!("/proc/{child}")).exists() {
            assert!(begun.elapsed() < LONG);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_thread_that_hears_answers_does_not_wait_for_one() {
        let pipe = stand_in("read line; echo '{\"id\": 1, \"ok\": {}}'; cat >/dev/null");
        let (sender, told) = channel();
        let inner = Arc::downgrade(&pipe);
        let ask = move |_: Result<Value>, _: bool| drop(sender.send(inner.upgrade().map(|pipe| pipe.ask(hello()))));
        pipe.send(hello(), Told::Each(Box::new(ask)));
        assert!(matches!(told.recv(), Ok(Some(Err(Error::Request(_))))));
    }

    #[test]
    fn what_is_too_long_is_refused_and_the_rest_goes_on() {
        let pipe = stand_in("read line; echo '{\"id\": 2, \"ok\": {\"fine\": true}}'; cat >/dev/null");
        let long = json!({"do": "put", "text": "x".repeat(LONGEST)});
        assert!(matches!(pipe.ask(long), Err(Error::Request(why)) if why.contains("files")));
        assert_eq!(pipe.ask(hello()).unwrap(), json!({"fine": true}));
    }

    #[test]
    fn what_is_not_understood_is_told_to_who_asked() {
        let stray = r#"{\"id\": null, \"error\": {\"kind\": \"request\", \"message\": \"what?\"}}"#.replace("\\", "");
        let pipe = stand_in(&format!("read line; echo '{stray}'; read line; read line; echo '{stray}'; exit 3"));
        assert!(matches!(pipe.ask(hello()), Err(Error::Request(why)) if why == "what?"));
        let (sender, answer) = channel();
        pipe.send(hello(), Told::Once(sender.clone()));
        pipe.send(hello(), Told::Once(sender));
        for _ in 0..2 {
            match answer.recv() {
                Ok(Err(Error::Gone(why))) => assert!(why.contains("exit status: 3") && why.contains("what?"), "{why}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
