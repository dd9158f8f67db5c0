//! Who answers requests.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use gg_capture::Request as CaptureRequest;
use gg_ir::{Input, Kind, Name};
use gg_recipe::{Graph, Source, Sources, Text};
use serde_json::{Value, json};

use super::lines::Answers;
use super::protocol::{self, Capture, Force, Put, Request, Trouble};
use crate::front::{Forcer, Host, Programs, Stated, state};

/// The longest value that is put into an answer, in bytes.
const LONGEST: u64 = 16 << 20;

/// Answers one caller.
pub struct Server(Arc<Inner>);

struct Inner {
    forcer: Arc<Forcer>,
    programs: Programs,
    cwd: PathBuf,
    env: BTreeMap<OsString, OsString>,
    engines: Value,
    answers: Answers,
    next: AtomicU64,
    /// What is being forced, by the request's id as text.
    open: Mutex<HashMap<String, Arc<Open>>>,
}

/// A `force` that has not been answered.
struct Open {
    id: Value,
    asker: u64,
    left: AtomicUsize,
    failed: AtomicUsize,
    wanted: usize,
}

impl Server {
    /// A server that forces with this.
    ///
    /// # Errors
    /// When the current directory is gone.
    pub fn new(forcer: Arc<Forcer>) -> Result<Self> {
        let engines = forcer.forces.report();
        let engines = engines.iter().map(|engine| json!({"name": engine.name, "jobs": engine.jobs})).collect();
        Ok(Self(Arc::new(Inner {
            forcer,
            programs: Programs::default(),
            cwd: std::env::current_dir().context("the current directory is gone")?,
            env: std::env::vars_os().collect(),
            engines,
            answers: Answers::default(),
            next: AtomicU64::new(1),
            open: Mutex::default(),
        })))
    }

    /// Where answers go.
    pub fn answers(&self) -> &Answers {
        &self.0.answers
    }

    /// Takes a request; its answer comes when it comes.
    pub fn take(&self, id: Value, request: Request) {
        let inner = Arc::clone(&self.0);
        match request {
            Request::Hello { protocol } => inner.answers.answer(&id, inner.hello(protocol)),
            Request::Cancel { of } => inner.answers.answer(&id, inner.cancel(&of)),
            // Reads files: others need not wait for that.
            other => {
                let (again, refused) = (id.clone(), inner.answers.clone());
                let spawned =
                    std::thread::Builder::new().name("gg-request".into()).spawn(move || inner.work(id, other));
                if let Err(error) = spawned {
                    refused.answer(&again, Err(Trouble::request(format!("no thread could be started: {error}"))));
                }
            }
        }
    }
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Open>>> {
        // Changed by single calls: whole even if a thread panicked.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hello(&self, protocol: u64) -> Result<Value, Trouble> {
        if protocol != protocol::VERSION {
            let own = protocol::VERSION;
            return Err(Trouble::request(format!("this gg speaks version {own} of the protocol, not {protocol}")));
        }
        let (version, sandbox) = (env!("CARGO_PKG_VERSION"), &self.forcer.forces.sandbox);
        Ok(json!({"protocol": protocol, "version": version, "engines": self.engines, "sandbox": sandbox}))
    }

    fn work(self: Arc<Self>, id: Value, request: Request) {
        let answer = match request {
            Request::Put(put) => self.put(put),
            Request::Get { object, to, mode } => self.get(&object, to.as_ref(), mode.as_deref()),
            Request::Capture(capture) => self.capture(capture),
            Request::Thunk { thunks } => self.thunk(thunks),
            Request::Force(force) => match self.force(&id, force) {
                Ok(()) => return,
                Err(trouble) => Err(trouble),
            },
            Request::Hello { .. } | Request::Cancel { .. } => return,
        };
        self.answers.answer(&id, answer);
    }

    fn put(&self, put: Put) -> Result<Value, Trouble> {
        let source = Source { text: put.text, base64: put.base64, file: put.file, ..Source::default() };
        let said = [source.text.is_some(), source.base64.is_some(), source.file.is_some()];
        if said.iter().filter(|said| **said).count() != 1 {
            return Err(Trouble::request("put: give one of text, base64 and file"));
        }
        match Host::new(&self.forcer.store, &self.cwd).input(&source).map_err(Trouble::request)? {
            Input::File { object, mode } => {
                let size = object.name().length();
                let size = object.thunk().is_none().then_some(size);
                Ok(json!({"object": object.to_string(), "size": size, "mode": format!("{mode:04o}")}))
            }
            Input::Tree(name) => Ok(json!({"tree": name.to_string()})),
            Input::Symlink(_) | Input::Directory => {
                Err(Trouble::request("put: that is a link; put what it leads to, or state the link as an input"))
            }
        }
    }

    fn get(&self, object: &str, to: Option<&Text>, mode: Option<&str>) -> Result<Value, Trouble> {
        let name: Name = object.parse().map_err(Trouble::request)?;
        if name.kind() != Kind::Value {
            return Err(Trouble::request(format!("get: {name} is a thunk; force it first")));
        }
        let store = &self.forcer.store;
        let Some(to) = to else {
            if name.length() > LONGEST {
                let most = LONGEST >> 20;
                return Err(Trouble::request(format!("get: {name} has more than {most} MiB; say where `to` put it")));
            }
            return match protocol::bytes(&store.read(&name).map_err(Trouble::request)?) {
                Value::String(text) => Ok(json!({"text": text})),
                encoded => Ok(encoded),
            };
        };
        let mode = mode.map_or(Ok(0o644), |mode| u32::from_str_radix(mode, 8));
        let mode = mode.ok().filter(|mode| *mode <= 0o7777);
        let mode = mode.ok_or_else(|| Trouble::request("get: mode is not up to four octal digits"))?;
        let path = self.cwd.join(to.to_os());
        store.copy_out(&name, &path, mode, None).map_err(Trouble::request)?;
        Ok(json!({}))
    }

    fn capture(&self, capture: Capture) -> Result<Value, Trouble> {
        let texts = |texts: &[Text]| texts.iter().map(Text::to_os).collect::<Vec<_>>();
        let request = CaptureRequest {
            args: texts(&capture.args),
            cwd: self.cwd.clone(),
            env: self.env.clone(),
            programs: texts(&capture.programs),
            packages: capture.packages,
            also: capture.also.iter().map(|text| PathBuf::from(text.to_os())).collect(),
            ..CaptureRequest::new(capture.program.to_os())
        };
        let program = self.programs.capture(&self.forcer.store, &request);
        let program = program.map_err(|error| Trouble::request(format!("{error:#}")))?;
        let captured = &program.captured;
        let text = |text: &OsString| json!(Text::from(text.clone()));
        let env: BTreeMap<String, Value> =
            captured.env.iter().map(|(name, value)| (name.to_string_lossy().into_owned(), text(value))).collect();
        let inputs: BTreeMap<String, Source> =
            program.inputs.iter().map(|(path, input)| (path.to_string(), crate::front::source(input))).collect();
        Ok(json!({
            "executable": text(&captured.executable.as_path().as_os_str().to_owned()),
            "args": captured.args.iter().map(text).collect::<Vec<_>>(),
            "env": env,
            "inputs": inputs,
            "notes": captured.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))
    }

    fn state(&self, thunks: Graph) -> Result<Vec<Stated>, Trouble> {
        let stated = state(thunks, &self.forcer.store, &self.programs, &self.cwd, &self.env);
        stated.map_err(|error| Trouble::request(format!("{error:#}")))
    }

    fn thunk(&self, thunks: Graph) -> Result<Value, Trouble> {
        let stated = self.state(thunks)?;
        let names: BTreeMap<String, String> =
            stated.into_iter().map(|stated| (stated.key, stated.name.to_string())).collect();
        Ok(json!({"thunks": names}))
    }

    fn force(self: &Arc<Self>, id: &Value, force: Force) -> Result<(), Trouble> {
        let stated = self.state(force.thunks)?;
        let by_key: HashMap<&str, &Stated> = stated.iter().map(|stated| (stated.key.as_str(), stated)).collect();
        let wanted = force.want.unwrap_or_else(|| stated.iter().map(|stated| stated.key.clone()).collect());
        let mut known: Vec<(String, Result<&Stated, Name>)> = Vec::with_capacity(wanted.len());
        for key in wanted {
            let found = match by_key.get(key.as_str()) {
                Some(stated) => Ok(*stated),
                None => match key.parse::<Name>() {
                    Ok(name) if name.kind() == Kind::Thunk => Err(name),
                    _ => return Err(Trouble::request(format!("want: there is no thunk called {key:?} here"))),
                },
            };
            known.push((key, found));
        }
        let asker = self.next.fetch_add(1, Ordering::SeqCst);
        let open = Arc::new(Open {
            id: id.clone(),
            asker,
            left: AtomicUsize::new(known.len()),
            failed: AtomicUsize::new(0),
            wanted: known.len(),
        });
        if known.is_empty() {
            self.answers.answer(id, Ok(json!({"done": 0, "failed": 0})));
            return Ok(());
        }
        if self.open().insert(id.to_string(), Arc::clone(&open)).is_some() {
            return Err(Trouble::request(format!(
                "the request {id} has not been answered yet, and this one has its id"
            )));
        }
        stated.iter().for_each(|stated| self.forcer.name(stated));
        for (key, found) in known {
            let (inner, open) = (Arc::clone(self), Arc::clone(&open));
            let name = found.as_ref().map_or_else(|name| *name, |stated| stated.name);
            let tell = move |ended: &crate::front::Ended| inner.ended(&open, &key, &name, ended);
            match found {
                Ok(stated) => self.forcer.force(stated, asker, tell),
                Err(name) => self.forcer.force_name(name, asker, tell),
            }
        }
        Ok(())
    }

    fn ended(&self, open: &Open, key: &str, thunk: &Name, ended: &crate::front::Ended) {
        self.answers.say(&open.id, protocol::ended(key, &thunk.to_string(), ended));
        if ended.result.is_err() {
            open.failed.fetch_add(1, Ordering::SeqCst);
        }
        if open.left.fetch_sub(1, Ordering::SeqCst) == 1 && self.open().remove(&open.id.to_string()).is_some() {
            let failed = open.failed.load(Ordering::SeqCst);
            self.answers.answer(&open.id, Ok(json!({"done": open.wanted - failed, "failed": failed})));
        }
    }

    fn cancel(&self, of: &Value) -> Result<Value, Trouble> {
        if let Some(open) = self.open().remove(&of.to_string()) {
            self.forcer.forget(open.asker);
            self.answers.answer(&open.id, Err(Trouble::cancelled()));
        }
        Ok(json!({}))
    }
}
