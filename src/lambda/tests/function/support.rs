//! A store, a remote store, a front door, and steps to run behind it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use gg_ir::{AbsPath, Function, Input, Kind, Name, Output, Reference, Thunk};
use gg_store::Store;
use gg_store::remote::{Inventory, Remote, RemoteUri};
use gg_worker::wire::{JobResult, RemoteJob, Request, Response, VERSION};

pub use crate::bench::{SHELL, path, tag, toolchain};

/// Starts a program that is killed at the end.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One HTTP request; `None` when the connection is closed without an answer.
pub fn http(address: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
    let mut body = answer[end + 4..].to_vec();
    let headers: BTreeMap<_, _> = headers.collect();
    if headers.get("transfer-encoding").is_some_and(|how| how == "chunked") {
        body = unchunk(&body);
    }
    Some(Answer { status, headers, body })
}

fn unchunk(mut from: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = from.windows(2).position(|part| part == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&from[..end]).unwrap().trim(), 16).unwrap();
        body.extend_from_slice(&from[end + 2..end + 2 + length]);
        from = &from[end + 2 + length + 2..];
    }
    body
}

/// What all tests of this program share: one local store, one remote one that is a directory.
pub struct World {
    _dir: tempfile::TempDir,
    pub remote_dir: PathBuf,
    pub store: Arc<Store>,
    pub uri: RemoteUri,
    pub inventory: Inventory,
    pub remote: Remote,
    pub runtime: tokio::runtime::Runtime,
    /// A tree with a shell and its tools.
    pub shell: Name,
}

pub static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let everybody = |path: &Path| {
            fs::create_dir_all(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        };
        let remote_dir = dir.path().join("remote");
        // Workers are other users.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        everybody(&remote_dir);
        for below in ["objects", "packs", "reductions"] {
            everybody(&remote_dir.join(below));
        }
        let store = Arc::new(Store::open(&dir.path().join("store")).unwrap());
        let uri = RemoteUri::directory(&remote_dir).unwrap();
        let remote = Remote::open(&uri).unwrap();
        let inventory = Inventory::open(remote.clone(), store.clone(), &dir.path().join("remotes")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let shell = toolchain(&store, SHELL);
        Self { _dir: dir, remote_dir, store, uri, inventory, remote, runtime, shell }
    }

    /// A script run by `sh` in `/p`.
    pub fn script(&self, text: &str) -> Step {
        let mut step = Step::new("/bin/sh", &["sh", "-c", text]).env("PATH", "/bin");
        step.thunk.inputs.insert(AbsPath::root(), Input::Tree(self.shell));
        step
    }

    /// A request for these steps, with all that they need uploaded; of what is inside, `inline` goes along.
    pub fn request(&self, steps: &[&Step], inline: &[Name]) -> Request {
        self.request_with(&self.inventory, self.uri.to_string(), steps, inline)
    }

    /// The same, with another remote store.
    pub fn request_with(&self, inventory: &Inventory, uri: String, steps: &[&Step], inline: &[Name]) -> Request {
        let (mut names, mut trees) = (Vec::new(), Vec::new());
        for step in steps {
            for input in step.thunk.inputs.values() {
                match input {
                    Input::File { object: Reference::Value(name), .. } => names.push(*name),
                    Input::Tree(name) => trees.push(*name),
                    _ => {}
                }
            }
        }
        names.retain(|name| !inline.contains(name));
        let sources = self.runtime.block_on(inventory.ensure(&names, &trees)).unwrap();
        Request {
            version: VERSION,
            store: uri,
            inline: gg_store::remote::pack::write_from(&self.store, inline).unwrap(),
            sources,
            jobs: steps.iter().map(|step| step.job()).collect(),
            inline_limit: 4 << 20,
            store_from: None,
            record: false,
        }
    }

    /// The bytes of an output, wherever the answer left it.
    pub fn bytes(&self, response: &Response, name: &Name) -> Vec<u8> {
        let _ = gg_store::remote::pack::read_into(&response.inline, &self.store);
        if !self.store.contains(name) {
            assert!(response.stored.contains(name), "{name} is nowhere");
            self.runtime.block_on(self.remote.fetch(&self.store, &[*name], &[], &Default::default())).unwrap();
        }
        self.store.read(name).unwrap()
    }
}

/// One thunk in the making.
#[derive(Clone)]
pub struct Step {
    pub thunk: Thunk,
    pub timeout: Duration,
}

impl Step {
    pub fn new(executable: &str, args: &[&str]) -> Self {
        let function = Function {
            executable: path(executable),
            args: args.iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            cwd: path("/p"),
            umask: 0o22,
        };
        let thunk = Thunk {
            function,
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            timeout: None,
            volatile: false,
            strict: false,
        };
        Self { thunk, timeout: Duration::from_secs(60) }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.thunk.function.env.insert(name.into(), value.into());
        self
    }

    pub fn cwd(mut self, at: &Path) -> Self {
        self.thunk.function.cwd = path(at);
        self
    }

    pub fn file(self, at: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        let name = WORLD.store.put(Kind::Value, content.as_ref()).unwrap();
        self.object(at, Reference::Value(name), 0o644)
    }

    pub fn object(mut self, at: impl AsRef<Path>, object: Reference, mode: u32) -> Self {
        self.thunk.inputs.insert(path(at.as_ref()), Input::File { object, mode });
        self
    }

    pub fn tree(mut self, at: impl AsRef<Path>, tree: Name) -> Self {
        self.thunk.inputs.insert(path(at.as_ref()), Input::Tree(tree));
        self
    }

    pub fn output(mut self, name: &str, at: impl AsRef<Path>) -> Self {
        self.thunk.outputs.insert(tag(name), Output { path: path(at.as_ref()), optional: false, dynamic: false });
        self
    }

    pub fn timeout(mut self, seconds: f64) -> Self {
        self.timeout = Duration::from_secs_f64(seconds);
        self
    }

    pub fn name(&self) -> Name {
        Name::of(Kind::Thunk, &self.thunk.encode())
    }

    /// One of its outputs, for a later step.
    pub fn made(&self, name: &str) -> Reference {
        Reference::Output(self.name(), tag(name))
    }

    fn job(&self) -> RemoteJob {
        RemoteJob {
            name: self.name(),
            thunk: self.thunk.clone(),
            resolved: vec![],
            timeout_ms: self.timeout.as_millis() as u64,
            terminal: false,
        }
    }
}

/// A front door.
pub struct Door {
    running: Running,
    pub address: String,
    dir: tempfile::TempDir,
}

pub const INVOKE: &str = "/2015-03-31/functions/gg-worker/invocations";

impl Door {
    pub fn new(args: &[&str]) -> Self {
        Self::with_worker(Path::new(env!("CARGO_BIN_EXE_gg-lambda-worker")), args)
    }

    pub fn with_worker(worker: &Path, args: &[&str]) -> Self {
        Self::with_env(worker, args, &[])
    }

    pub fn with_env(worker: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let child = Command::new(env!("CARGO_BIN_EXE_gg-front-door"))
            .arg("--worker")
            .arg(worker)
            .arg("--ready-file")
            .arg(at("ready"))
            .arg("--log")
            .arg(at("log"))
            .arg("--worker-log")
            .arg(at("workers"))
            .arg("--bind")
            .arg(&WORLD.remote_dir)
            .args(args)
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let running = Running(child);
        let began = Instant::now();
        let address = loop {
            match fs::read_to_string(at("ready")) {
                Ok(text) if text.ends_with('\n') => break text.trim().trim_start_matches("http://").to_owned(),
                _ => assert!(began.elapsed() < Duration::from_secs(20), "the front door does not start"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        Self { running, address, dir }
    }

    pub fn pid(&self) -> u32 {
        self.running.0.id()
    }

    pub fn get(&self, target: &str) -> Answer {
        http(&self.address, "GET", target, &[], b"").unwrap()
    }

    pub fn invoke(&self, body: &[u8]) -> Option<Answer> {
        http(&self.address, "POST", INVOKE, &[], body)
    }

    /// What the function answers, which did not fail.
    pub fn ask(&self, request: &Request) -> Response {
        let answer = self.invoke(&request.encode()).expect("no answer");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!((answer.status, answer.header("x-amz-function-error")), (200, ""), "{text}\n{}", self.said());
        let response = Response::decode(&answer.body).unwrap();
        assert_eq!(response.refused, None);
        response
    }

    /// The result of the only step of a request.
    pub fn run(&self, step: &Step) -> (JobResult, Response) {
        let response = self.ask(&WORLD.request(&[step], &[]));
        let [result] = &response.results[..] else { panic!("{response:?}") };
        (result.clone(), response)
    }

    pub fn stats(&self) -> serde_json::Value {
        self.get("/_gg/stats").json()
    }

    /// All that it and its workers have written.
    pub fn wrote(&self) -> String {
        self.said() + &fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// What workers have said.
    pub fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("workers")).unwrap_or_default()
    }

    /// The log's lines.
    pub fn log(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.dir.path().join("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
