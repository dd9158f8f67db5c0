//! Who answers requests.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use gg_capture::Request as CaptureRequest;
use gg_force::{Cause, ThunkFailure};
use gg_ir::{Input, Kind, Name};
use gg_recipe::{Graph, Source, Sources, Text};
use gg_store::StoreError;
use serde_json::{Value, json};

use super::lines::Answers;
use super::open::{Open, Wish};
use super::protocol::{self, Capture, Force, Put, Request, Trouble};
use crate::front::{Ended, Failed, Forcer, Found, Host, Place, Programs, Stated, Taken};
use crate::front::{environment, source, state, state_each};

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
            Request::Cancel { of, keys } => inner.answers.answer(&id, inner.cancel(&of, keys)),
            Request::Force(force) => match inner.announce(&id) {
                Ok(open) => {
                    let failed = Arc::clone(&open);
                    let work = move |inner: &Arc<Inner>| inner.forced(&open, force);
                    spawn(inner, work, move |inner, trouble| inner.close(&failed, Err(trouble)));
                }
                Err(trouble) => inner.answers.answer(&id, Err(trouble)),
            },
            // Reads files: others need not wait for that.
            other => {
                let failed = id.clone();
                let work = move |inner: &Arc<Inner>| inner.work(&id, other);
                spawn(inner, work, move |inner, trouble| inner.answers.answer(&failed, Err(trouble)));
            }
        }
    }
}

/// Works on a request while others are taken. If that cannot be done, `failed` is to answer it.
fn spawn(
    inner: Arc<Inner>,
    work: impl FnOnce(&Arc<Inner>) + Send + 'static,
    failed: impl FnOnce(&Inner, Trouble) + Send + Clone + 'static,
) {
    let (again, refused) = (Arc::clone(&inner), failed.clone());
    let thread = std::thread::Builder::new().name("gg-request".into());
    let spawned = thread.spawn(move || {
        if catch_unwind(AssertUnwindSafe(|| work(&inner))).is_err() {
            failed(&inner, Trouble::infrastructure("gg itself failed; what it said is on its standard error"));
        }
    });
    if let Err(error) = spawned {
        refused(&again, Trouble::infrastructure(format!("no thread could be started: {error}")));
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

    fn work(&self, id: &Value, request: Request) {
        let answer = match request {
            Request::Put(put) => self.put(put),
            Request::Get { object, to, mode } => self.get(&object, to.as_ref(), mode.as_deref()),
            Request::Capture(capture) => self.capture(capture),
            Request::Thunk { thunks } => self.thunk(thunks),
            Request::Hello { .. } | Request::Cancel { .. } | Request::Force(_) => return,
        };
        self.answers.answer(id, answer);
    }

    fn put(&self, put: Put) -> Result<Value, Trouble> {
        let source = Source { text: put.text, base64: put.base64, file: put.file, ..Source::default() };
        let said = [source.text.is_some(), source.base64.is_some(), source.file.is_some()];
        if said.iter().filter(|said| **said).count() != 1 {
            return Err(Trouble::request("put: give one of text, base64 and file"));
        }
        match Host::new(&self.forcer.store, &self.cwd, &Taken::default()).input(&source).map_err(Trouble::request)? {
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
            return match protocol::bytes(&store.read(&name).map_err(lost)?) {
                Value::String(text) => Ok(json!({"text": text})),
                encoded => Ok(encoded),
            };
        };
        let mode = mode.map_or(Some(0o644), gg_recipe::octal);
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
            env: environment(&self.env, capture.env.as_ref()),
            programs: texts(&capture.programs),
            packages: capture.packages,
            also: capture.also.iter().map(|text| PathBuf::from(text.to_os())).collect(),
            ..CaptureRequest::new(capture.program.to_os())
        };
        let found = self.programs.begin().capture(&self.forcer.store, request);
        let Found { program, args } = found.map_err(|error| Trouble::request(format!("{error:#}")))?;
        let captured = &program.captured;
        let text = |text: &OsString| json!(Text::from(text.clone()));
        let env: BTreeMap<String, Value> =
            captured.env.iter().map(|(name, value)| (name.to_string_lossy().into_owned(), text(value))).collect();
        let inputs: BTreeMap<String, Source> =
            program.inputs.iter().map(|(path, input)| (path.to_string(), source(input))).collect();
        Ok(json!({
            "executable": text(&captured.executable.as_path().as_os_str().to_owned()),
            "args": args.iter().map(text).collect::<Vec<_>>(),
            "env": env,
            "inputs": inputs,
            "notes": captured.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))
    }

    /// States thunks; what the directories that they name hold is what is there now.
    fn state<T>(&self, thunks: Graph, state: impl FnOnce(Graph, &Place<'_>) -> Result<T>) -> Result<T, Trouble> {
        let (store, taken) = (&*self.forcer.store, &Taken::default());
        let place = Place { store, programs: &self.programs, cwd: &self.cwd, taken, env: &self.env };
        state(thunks, &place).map_err(|error| Trouble::request(format!("{error:#}")))
    }

    fn thunk(&self, thunks: Graph) -> Result<Value, Trouble> {
        let stated = self.state(thunks, state)?;
        let names: BTreeMap<String, String> =
            stated.into_iter().map(|stated| (stated.key, stated.name.to_string())).collect();
        Ok(json!({"thunks": names}))
    }

    /// A `force` that can be cancelled from here on.
    fn announce(&self, id: &Value) -> Result<Arc<Open>, Trouble> {
        let mut all = self.open();
        if all.contains_key(&id.to_string()) {
            let why = format!("the request {id} has not been answered yet, and this one has its id");
            return Err(Trouble::request(why));
        }
        let open = Arc::new(Open::new(id.clone()));
        all.insert(id.to_string(), Arc::clone(&open));
        Ok(open)
    }

    fn forced(self: &Arc<Self>, open: &Arc<Open>, force: Force) {
        if let Err(trouble) = self.force(open, force) {
            self.close(open, Err(trouble));
        }
    }

    /// Answers a `force`, unless it has been answered.
    fn close(&self, open: &Open, answer: Result<Value, Trouble>) {
        let closed = {
            let mut all = self.open();
            let is_there = all.get(&open.id.to_string()).is_some_and(|known| std::ptr::eq(&**known, open));
            if is_there { all.remove(&open.id.to_string()) } else { None }
        };
        if closed.is_some() {
            self.answers.answer(&open.id, answer);
        }
    }

    fn force(self: &Arc<Self>, open: &Arc<Open>, force: Force) -> Result<(), Trouble> {
        let (stated, failed) = self.state(force.thunks, state_each)?;
        let by_key: HashMap<&str, &Stated> = stated.iter().map(|stated| (stated.key.as_str(), stated)).collect();
        let all = || stated.iter().map(|stated| &stated.key).chain(failed.keys()).cloned().collect();
        let wanted = force.want.unwrap_or_else(all);
        let mut wishes = Vec::with_capacity(wanted.len());
        for key in wanted {
            let thunk = match by_key.get(key.as_str()) {
                Some(stated) => stated.name,
                // It is told of before anybody could ask for it.
                None if failed.contains_key(&key) => Name::of(Kind::Thunk, b""),
                None => match key.parse::<Name>() {
                    Ok(name) if name.kind() == Kind::Thunk => name,
                    _ => return Err(Trouble::request(format!("want: there is no thunk called {key:?} here"))),
                },
            };
            wishes.push(Wish { key, thunk, asker: self.next.fetch_add(1, Ordering::SeqCst) });
        }
        if wishes.is_empty() {
            self.close(open, Ok(json!({"done": 0, "failed": 0})));
            return Ok(());
        }
        stated.iter().for_each(|stated| self.forcer.name(stated));
        for number in open.begin(wishes.clone()) {
            self.drop_one(open, &wishes[number]);
        }
        for (number, wish) in wishes.into_iter().enumerate() {
            if let Some(why) = failed.get(&wish.key) {
                if open.claim(number) {
                    self.say_failed(open, &wish.key, &Trouble::request(why));
                }
                continue;
            }
            if open.is_claimed(number) {
                continue;
            }
            let (inner, asked, told) = (Arc::clone(self), Arc::clone(open), wish.clone());
            let tell = move |ended: &Ended| {
                if asked.claim(number) {
                    inner.ended(&asked, &told, ended);
                }
            };
            match by_key.get(wish.key.as_str()) {
                Some(stated) => self.forcer.force(stated, wish.asker, tell),
                None => self.forcer.force_name(wish.thunk, wish.asker, tell),
            }
            // Cancelled meanwhile, when there was nothing to be taken back yet.
            if open.is_claimed(number) {
                self.forcer.forget(&[(wish.thunk, wish.asker)]);
            }
        }
        Ok(())
    }

    /// Tells of a wish that was claimed and is no thunk.
    fn say_failed(&self, open: &Open, key: &str, Trouble(error): &Trouble) {
        self.answers.say(&open.id, json!({"event": "failed", "key": key, "error": error}));
        if let Some((done, failed)) = open.told(true) {
            self.close(open, Ok(json!({"done": done, "failed": failed})));
        }
    }

    /// Tells of a wish that was claimed.
    fn ended(&self, open: &Open, wish: &Wish, ended: &Ended) {
        self.answers.say(&open.id, protocol::ended(&wish.key, &wish.thunk.to_string(), ended));
        if let Some((done, failed)) = open.told(ended.result.is_err()) {
            self.close(open, Ok(json!({"done": done, "failed": failed})));
        }
    }

    /// Tells of a wish that was claimed since it is wanted no more.
    fn drop_one(&self, open: &Open, wish: &Wish) {
        let failure = ThunkFailure { name: wish.thunk, cause: Cause::Cancelled };
        let failed = Failed::of(&failure, None, Some(wish.key.clone()), None, false);
        self.ended(open, wish, &Ended { result: Err(Box::new(failed)), engine: None });
    }

    fn cancel(&self, of: &Value, keys: Option<Vec<String>>) -> Result<Value, Trouble> {
        let Some(open) = self.open().get(&of.to_string()).cloned() else { return Ok(json!({})) };
        match keys {
            Some(keys) => {
                let dropped = open.claim_keys(keys.into_iter().collect());
                let askers: Vec<_> = dropped.iter().map(|wish| (wish.thunk, wish.asker)).collect();
                self.forcer.forget(&askers);
                dropped.iter().for_each(|wish| self.drop_one(&open, wish));
            }
            None => {
                let askers: Vec<_> = open.cancel().iter().map(|wish| (wish.thunk, wish.asker)).collect();
                self.close(&open, Err(Trouble::cancelled()));
                self.forcer.forget(&askers);
            }
        }
        Ok(json!({}))
    }
}

/// A value that cannot be read: one that is not there is the caller's affair.
fn lost(error: StoreError) -> Trouble {
    match error {
        error @ StoreError::Missing { .. } => Trouble::request(error),
        other => Trouble::infrastructure(other),
    }
}
