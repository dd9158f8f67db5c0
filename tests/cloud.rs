//! A cloud on this machine: an S3 and a front door with workers behind it, as long as a test needs them.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::project::Project;

/// The servers.
pub struct Cloud {
    folder: tempfile::TempDir,
    moto: Child,
    moto_port: u16,
    door: Child,
    door_address: String,
}

/// What must be found nowhere.
pub const SECRET: &str = "secret-of-the-tests-7e41c9";

const KEY: &str = "AKIATESTS";
const BUCKET: &str = "gg-tests";

impl Drop for Cloud {
    fn drop(&mut self) {
        for child in [&mut self.door, &mut self.moto] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program of the workspace that cargo has put beside `gg`.
pub fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_gg")).with_file_name(name);
    assert!(path.exists(), "{} is missing: `cargo build -p gg-lambda`, or run tests/all", path.display());
    path
}

/// A server that `tests/servers install` has installed.
pub fn server(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers");
    let found = Command::new(&script).args(["path", name]).output().unwrap();
    assert!(found.status.success(), "{name} is not installed: run tests/servers install");
    String::from_utf8(found.stdout).unwrap().trim_end().into()
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something is there.
pub fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One exchange of HTTP that has to succeed; the answer, header and all.
fn tell(address: &str, line: &str, header: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let length = body.len();
    let head = format!("Host: {address}\r\n{header}\r\nContent-Length: {length}\r\nConnection: close");
    write!(stream, "{line} HTTP/1.1\r\n{head}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 20"), "{line}: {answer}");
    answer
}

impl Cloud {
    /// Starts it, with some more arguments for the front door.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("gg-cloud-").tempdir().unwrap();
        let moto_port = free_port();
        let log = fs::File::create(folder.path().join("moto.log")).unwrap();
        let moto = Command::new(server("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &moto_port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let ready = folder.path().join("ready");
        let door = Command::new(program("gg-front-door"))
            .arg("--worker")
            .arg(program("gg-lambda-worker"))
            .args(["--workers", "4", "--name", "gg-tests", "--ready-file"])
            .arg(&ready)
            .arg("--log")
            .arg(folder.path().join("door.log"))
            .arg("--worker-log")
            .arg(folder.path().join("workers.log"))
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_REGION", "us-east-1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut cloud = Self { folder, moto, moto_port, door, door_address: String::new() };
        cloud.door_address = until("the front door", || {
            fs::read_to_string(&ready).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        });
        until("the S3 server", || TcpStream::connect(("127.0.0.1", moto_port)).ok());
        cloud.make_bucket();
        cloud
    }

    /// Says something to the S3 server; its answer.
    fn tell_moto(&self, line: &str, body: &str) -> String {
        let who = format!("Authorization: AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request");
        tell(&format!("127.0.0.1:{}", self.moto_port), line, &who, body)
    }

    fn make_bucket(&self) {
        self.tell_moto(&format!("PUT /{BUCKET}"), "");
    }

    /// Empties the store.
    pub fn empty(&self) {
        self.tell_moto("POST /moto-api/reset", "");
        self.make_bucket();
    }

    /// Writes something else over every object in the store; how many there were.
    pub fn damage(&self) -> usize {
        let list = self.tell_moto(&format!("GET /{BUCKET}?list-type=2&prefix=x/"), "");
        let keys: Vec<&str> = list.split("<Key>").skip(1).filter_map(|part| part.split("</Key>").next()).collect();
        keys.iter().for_each(|key| drop(self.tell_moto(&format!("PUT /{BUCKET}/{key}"), "damaged")));
        keys.len()
    }

    /// Kills all workers: those that come after them have nothing in their scratch space.
    pub fn kill_workers(&self) {
        let address = self.door_address.trim_start_matches("http://").trim_end_matches('/');
        tell(address, "POST /_gg/kill", "Accept: */*", "");
    }

    /// How many invocations have ended.
    pub fn invocations(&self) -> usize {
        self.log().lines().count()
    }

    /// Ends the front door and its workers.
    pub fn end_door(&mut self) {
        self.door.kill().unwrap();
        self.door.wait().unwrap();
    }

    /// Ends the S3 server, and whatever else it is.
    pub fn end_moto(&mut self) {
        self.moto.kill().unwrap();
        self.moto.wait().unwrap();
    }

    /// What the front door noted of each invocation.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("door.log")).unwrap_or_default()
    }

    /// Everything that the servers and the workers wrote.
    pub fn all_logs(&self) -> Vec<u8> {
        let logs = ["door.log", "workers.log"].map(|name| fs::read(self.folder.path().join(name)).unwrap_or_default());
        logs.concat()
    }

    /// Makes a command use the cloud, and nothing else.
    pub fn environment(&self, command: &mut Command) {
        command
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_REGION", "us-east-1")
            .env("GG_ENGINE", "lambda:4")
            .env("GG_FALLBACK", "0")
            .env("GG_FUNCTION", "gg-tests")
            .env("GG_LAMBDA_ENDPOINT", &self.door_address)
            .env("GG_STORE", format!("s3://{BUCKET}/x?region=us-east-1&endpoint=http://127.0.0.1:{}", self.moto_port));
    }

    /// Where the S3 server is.
    pub fn store_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.moto_port)
    }

    /// `gg deploy aws`, with all of AWS being the servers here, and a configuration directory of the project's own.
    pub fn deploy(&self, project: &Project, arguments: &[&str]) -> Command {
        let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
        command.args(["deploy", "aws"]).args(arguments).env_remove("AWS_PROFILE");
        self.account(&mut command);
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.moto_port));
        command.env("XDG_CONFIG_HOME", project.path("config"));
        command
    }

    /// `gg-make` as who has deployed: nothing is told but who calls, and where the front door is.
    pub fn gg_make_as_deployed(&self, project: &Project, arguments: &[&str]) -> Command {
        let mut command = project.gg_make_command(arguments);
        self.account(&mut command);
        command.env("XDG_CONFIG_HOME", project.path("config")).env("GG_LAMBDA_ENDPOINT", &self.door_address);
        command
    }

    fn account(&self, command: &mut Command) {
        command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_REGION", "us-east-1");
    }

    /// What a service of the servers says to an action (the query protocol of IAM and CloudFormation).
    pub fn ask(&self, service: &str, action: &str) -> String {
        let who = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/{service}/aws4_request\r\n\
             Content-Type: application/x-www-form-urlencoded"
        );
        tell(&format!("127.0.0.1:{}", self.moto_port), "POST /", &who, action)
    }

    /// The keys in a bucket.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let list = self.tell_moto(&format!("GET /{bucket}?list-type=2"), "");
        let keys = list.split("<Key>").skip(1).filter_map(|part| part.split("</Key>").next());
        keys.map(str::to_owned).collect()
    }

    /// The credentials as a profile, for `~/.aws/credentials`.
    pub fn profile(&self, name: &str) -> String {
        format!("[{name}]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    }

    /// `gg-make` with every step in the cloud.
    pub fn gg_make(&self, project: &Project, arguments: &[&str]) -> Command {
        let mut command = project.gg_make_command(arguments);
        self.environment(&mut command);
        command
    }

    /// `gg` with every step in the cloud.
    pub fn gg(&self, project: &Project, arguments: &[&str]) -> Command {
        let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
        self.environment(command.args(arguments));
        command
    }
}
