//! Sessions: where thunks are forced.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use serde_json::{Value as Json, json};

use crate::error::{Error, Result};
use crate::outcome::{Outcome, Value};
use crate::pending::{Pending, Request, Slot};
use crate::pipe::{Pipe, Told};
use crate::stating::keep;
use crate::thunk::{Thunk, recipes};

/// Thunks that are asked for in one request.
const WANTED: usize = 1000;

/// How a session is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    gg: Option<PathBuf>,
    engines: Vec<OsString>,
    no_fallback: bool,
    env: Vec<(OsString, OsString)>,
}

impl Options {
    /// The program gg \[what `GG_BIN` says, or `gg` in PATH].
    pub fn gg(mut self, path: impl Into<PathBuf>) -> Self {
        self.gg = Some(path.into());
        self
    }

    /// An engine, as `gg -e` takes it: `local:4`, `lambda:1000`; several are asked in order.
    pub fn engine(mut self, engine: impl Into<OsString>) -> Self {
        self.engines.push(engine.into());
        self
    }

    /// This machine does not run what the engines give back.
    pub fn no_fallback(mut self) -> Self {
        self.no_fallback = true;
        self
    }

    /// A variable for gg (`GG_DIR`, say), which is not one of the thunks'.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`Error::Gone`] when gg cannot be started, or speaks another protocol.
    pub fn start(self) -> Result<Session> {
        let gg = self.gg.or_else(|| std::env::var_os("GG_BIN").map(PathBuf::from)).unwrap_or_else(|| "gg".into());
        let mut command = Command::new(gg);
        command.arg("api").envs(self.env);
        for engine in self.engines {
            command.arg("-e").arg(engine);
        }
        if self.no_fallback {
            command.arg("--no-fallback");
        }
        let pipe = Pipe::start(command)?;
        pipe.ask(json!({"do": "hello", "protocol": 1}))?;
        Ok(Session { pipe })
    }
}

/// A `gg` that forces thunks for this program; it ends when the last of these does. May be used by many threads.
#[derive(Clone)]
pub struct Session {
    pipe: Arc<Pipe>,
}

impl Session {
    /// One with the settings that any gg has here (`gg.toml`, `GG_ENGINE`, ...).
    ///
    /// # Errors
    /// As [`Options::start`].
    pub fn start() -> Result<Self> {
        Options::default().start()
    }

    /// Forces a thunk, and waits for what it comes to.
    ///
    /// # Errors
    /// [`Error`], which says whose fault it is.
    pub fn force(&self, thunk: &Thunk) -> Result<Outcome> {
        self.submit(thunk).wait()
    }

    /// Begins to force a thunk.
    pub fn submit(&self, thunk: &Thunk) -> Pending {
        let mut one = self.submit_all([thunk]);
        one.pop().unwrap_or_default()
    }

    /// Begins to force many thunks, with those that they use stated once for each thousand of them. Waits until gg has the
    /// contents among their inputs that are long.
    pub fn submit_all<'a>(&self, thunks: impl IntoIterator<Item = &'a Thunk>) -> Vec<Pending> {
        let wanted: Vec<&Thunk> = thunks.into_iter().collect();
        wanted.chunks(WANTED).flat_map(|some| self.submit_some(some)).collect()
    }

    fn submit_some(&self, wanted: &[&Thunk]) -> Vec<Pending> {
        let (mut recipes, keys) = recipes(wanted);
        let mut refused = keep(&mut recipes, &self.pipe);
        let mut slots: HashMap<String, Vec<Arc<Slot>>> = HashMap::new();
        let made = Arc::new(Request { pipe: Arc::downgrade(&self.pipe), id: OnceLock::new() });
        let mut pending = Vec::with_capacity(wanted.len());
        for key in keys {
            let slot = Arc::new(Slot::default());
            slots.entry(key.clone()).or_default().push(Arc::clone(&slot));
            pending.push(Pending { slot, request: Arc::clone(&made), key });
        }
        for (key, error) in refused.drain() {
            slots.remove(&key).into_iter().flatten().for_each(|slot| slot.fill(Err(error.clone())));
        }
        if slots.is_empty() {
            return pending;
        }
        let mut want: Vec<&String> = slots.keys().collect();
        want.sort();
        let request = json!({"do": "force", "thunks": recipes, "want": want});
        let pipe = Arc::downgrade(&self.pipe);
        let tell = move |heard: Result<Json>, last: bool| match heard {
            Ok(mut event) if !last => {
                let key = event.get("key").and_then(Json::as_str).unwrap_or_default().to_owned();
                let result = match (event.get_mut("error").map(Json::take), pipe.upgrade()) {
                    (Some(error), pipe) => Err(Error::of(error, pipe.as_ref())),
                    (None, Some(pipe)) => Outcome::of(event, &pipe),
                    (None, None) => Err(Error::Gone("the session has ended".to_owned())),
                };
                slots.remove(&key).into_iter().flatten().for_each(|slot| slot.fill(result.clone()));
            }
            heard => {
                let error = heard.err().unwrap_or_else(|| Error::Gone("gg gave no result".to_owned()));
                slots.drain().flat_map(|(_, slots)| slots).for_each(|slot| slot.fill(Err(error.clone())));
            }
        };
        if let Some(id) = self.pipe.send(request, Told::Each(Box::new(tell))) {
            let _ = made.id.set(id);
        }
        pending
    }

    /// Keeps content, so that it need not be sent with each thunk that has it as an input.
    ///
    /// # Errors
    /// [`Error::Request`] for what is too long for one request (some 250 MiB; a file can be longer); [`Error::Infrastructure`] when it
    /// cannot be kept; [`Error::Gone`].
    pub fn put(&self, content: impl AsRef<[u8]>) -> Result<Value> {
        let text = gg_recipe::Text(content.as_ref().to_vec());
        match json!(text) {
            Json::String(text) => self.value(json!({"do": "put", "text": text})),
            encoded => self.value(json!({"do": "put", "base64": encoded["base64"]})),
        }
    }

    /// Keeps what is in a file now.
    ///
    /// # Errors
    /// [`Error::Request`] when it cannot be read; as [`Session::put`].
    pub fn put_file(&self, path: impl AsRef<Path>) -> Result<Value> {
        let path: &OsStr = path.as_ref().as_os_str();
        self.value(json!({"do": "put", "file": gg_recipe::Text::from(path.to_owned())}))
    }

    fn value(&self, request: Json) -> Result<Value> {
        let answer = self.pipe.ask(request)?;
        let text = |name: &str| answer.get(name).and_then(Json::as_str).map(str::to_owned);
        let object =
            text("object").ok_or_else(|| Error::Request("that is a directory; state it as an input".to_owned()))?;
        Ok(Value {
            pipe: Arc::clone(&self.pipe),
            object,
            size: answer.get("size").and_then(Json::as_u64).unwrap_or_default(),
            mode: text("mode").unwrap_or_else(|| "0644".to_owned()),
        })
    }
}
