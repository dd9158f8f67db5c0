//! Real servers, on free ports of this machine, ended by their process ids.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The test credentials; no text that gg writes may hold them.
pub const KEY_ID: &str = "AKIDTESTTESTTEST0001";
pub const SECRET: &str = "s3cr3t-s3cr3t-s3cr3t-0002";
pub const TOKEN: &str = "t0k3n-t0k3n-t0k3n-0003";
/// Azurite's own account, which is public.
const AZURE_ACCOUNT: &str = "devstoreaccount1";
pub const AZURE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A server that ends when it is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    kind: Kind,
    dir: tempfile::TempDir,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    S3,
    Redis,
    Gcs,
    Azure,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers")
}

/// Where a server's program is. It is installed by `tests/servers install`; that it is not is a failure, unless
/// GG_TEST_SKIP_SERVERS says otherwise.
fn program(name: &str) -> Option<PathBuf> {
    let output = Command::new(script()).args(["path", name]).output().unwrap();
    if output.status.success() {
        let text = String::from_utf8(output.stdout).unwrap();
        return Some(PathBuf::from(text.trim_end()));
    }
    let reason = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(std::env::var_os("GG_TEST_SKIP_SERVERS").is_some(), "{reason}");
    eprintln!("NOT TESTED, since GG_TEST_SKIP_SERVERS is set: {reason}");
    None
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The server's name on the command line, and its arguments.
fn command(kind: Kind, port: u16) -> (&'static str, String) {
    match kind {
        Kind::S3 => ("moto_server", format!("-H 127.0.0.1 -p {port}")),
        Kind::Redis => {
            ("redis-server", format!("--bind 127.0.0.1 --port {port} --save  --appendonly no --requirepass {SECRET}"))
        }
        Kind::Gcs => (
            "fake-gcs-server",
            format!("-scheme http -host 127.0.0.1 -port {port} -backend memory -public-host 127.0.0.1:{port}"),
        ),
        Kind::Azure => ("azurite-blob", format!("--blobPort {port} --silent --skipApiVersionCheck")),
    }
}

impl Server {
    /// Starts a server and waits until it takes connections. `None` when it is not installed and need not be.
    pub fn start(kind: Kind) -> Option<Self> {
        // Another program may take the port in between.
        for _ in 0..5 {
            let port = free_port();
            let (name, arguments) = command(kind, port);
            let program = program(name)?;
            let dir = tempfile::tempdir().unwrap();
            let log = std::fs::File::create(dir.path().join("log")).unwrap();
            let child = Command::new(&program)
                .args(arguments.split(' '))
                .current_dir(dir.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .unwrap();
            let mut server = Self { child, port, kind, dir };
            if server.wait() {
                server.prepare();
                return Some(server);
            }
        }
        panic!("{kind:?} does not start");
    }

    fn wait(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{}", std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default());
        false
    }

    /// Makes the bucket.
    fn prepare(&self) {
        match self.kind {
            Kind::S3 => assert_eq!(self.http("PUT", "/bucket", b"").0, 200),
            Kind::Gcs => assert_eq!(self.http("POST", "/storage/v1/b?project=p", br#"{"name":"bucket"}"#).0, 200),
            Kind::Redis => {}
            Kind::Azure => {
                // Only a signed request makes a container.
                let made =
                    Command::new("python3").args(["-c", AZURE_CONTAINER, &self.port.to_string(), AZURE_KEY]).status();
                assert!(made.unwrap().success());
            }
        }
    }

    /// The URI of the store in it, below the prefix `p`.
    pub fn uri(&self) -> String {
        let port = self.port;
        match self.kind {
            Kind::S3 => format!("s3://bucket/p?region=us-east-1&endpoint=http://127.0.0.1:{port}"),
            Kind::Redis => format!("redis://:{SECRET}@127.0.0.1:{port}/1?prefix=p"),
            Kind::Gcs => format!("gs://bucket/p?endpoint=http://127.0.0.1:{port}"),
            Kind::Azure => {
                format!("az://bucket/p?account={AZURE_ACCOUNT}&endpoint=http://127.0.0.1:{port}/{AZURE_ACCOUNT}")
            }
        }
    }

    /// One request, unsigned; the status and the body.
    fn http(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nAuthorization: AWS x:y\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer.split_off(end + 4))
    }

    /// One command of Redis; what it answers.
    fn redis(&self, words: &[&[u8]]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut send = |words: &[&[u8]]| {
            let mut text = format!("*{}\r\n", words.len()).into_bytes();
            for word in words {
                text.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                text.extend_from_slice(word);
                text.extend_from_slice(b"\r\n");
            }
            stream.write_all(&text).unwrap();
        };
        send(&[b"AUTH", SECRET.as_bytes()]);
        send(&[b"SELECT", b"1"]);
        send(words);
        send(&[b"QUIT"]);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// Writes something under a key.
    pub fn overwrite(&self, key: &str, bytes: &[u8]) {
        match self.kind {
            Kind::S3 => assert_eq!(self.http("PUT", &format!("/bucket/p/{key}"), bytes).0, 200),
            Kind::Redis => _ = self.redis(&[b"SET", format!("p/{key}").as_bytes(), bytes]),
            Kind::Gcs => {
                let name = format!("p/{key}").replace('/', "%2F");
                let path = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
                assert_eq!(self.http("POST", &path, bytes).0, 200);
            }
            Kind::Azure => panic!("Azure takes signed requests only: tests that damage a store leave it out"),
        }
    }

    /// Every key below the prefix.
    pub fn keys(&self) -> Vec<String> {
        let text = match self.kind {
            Kind::S3 => self.http("GET", "/bucket?list-type=2&prefix=p/", b"").1,
            Kind::Redis => self.redis(&[b"KEYS", b"*"]),
            Kind::Gcs => self.http("GET", "/storage/v1/b/bucket/o", b"").1,
            Kind::Azure => panic!("Azure takes signed requests only: tests that damage a store leave it out"),
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | ','));
        let mut keys: Vec<String> = words.filter_map(|word| word.strip_prefix("p/")).map(str::to_owned).collect();
        keys.retain(|key| key.contains('/'));
        keys.sort();
        keys.dedup();
        keys
    }

    /// Deletes everything.
    pub fn empty(&self) {
        if self.kind == Kind::Redis {
            self.redis(&[b"FLUSHALL"]);
            return;
        }
        for key in self.keys() {
            match self.kind {
                Kind::S3 => _ = self.http("DELETE", &format!("/bucket/p/{key}"), b""),
                _ => {
                    let name = format!("p/{key}").replace('/', "%2F");
                    _ = self.http("DELETE", &format!("/storage/v1/b/bucket/o/{name}"), b"");
                }
            }
        }
        assert_eq!(self.keys(), Vec::<String>::new());
    }
}

const AZURE_CONTAINER: &str = r#"
import base64, email.utils, hashlib, hmac, sys, urllib.request
port, key = sys.argv[1:]
account, version, date = "devstoreaccount1", "2021-08-06", email.utils.formatdate(usegmt=True)
headers = f"x-ms-date:{date}\nx-ms-version:{version}\n"
resource = f"/{account}/{account}/bucket\nrestype:container"
text = "PUT" + "\n" * 12 + headers + resource
signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
request = urllib.request.Request(f"http://127.0.0.1:{port}/{account}/bucket?restype=container", method="PUT", headers={
    "x-ms-date": date, "x-ms-version": version, "Authorization": f"SharedKey {account}:{signature}", "Content-Length": "0"})
assert urllib.request.urlopen(request, timeout=20).status == 201
"#;
