//! A server that answers as it is told to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use gg_ir::Name;
use gg_store::remote::{Credentials, Keys, Remote, RemoteError, Secret, Sources};

use crate::servers::{KEY_ID, SECRET, TOKEN};
use crate::support::World;

#[derive(Debug)]
struct Given(bool);

impl Credentials for Given {
    fn keys(&self) -> BoxFuture<'_, Result<Keys, String>> {
        let keys = Keys { id: Secret::new(KEY_ID), secret: Secret::new(SECRET), token: Some(Secret::new(TOKEN)) };
        let given = if self.0 { Ok(keys) } else { Err("log in first".to_owned()) };
        async move { given }.boxed()
    }
}

/// Answers each request with the next of these, the last one from then on; nothing at all for an empty one. The number
/// of requests, and what the last of them said.
struct Faulty {
    port: u16,
    asked: Arc<AtomicUsize>,
    said: Arc<Mutex<Vec<u8>>>,
}

fn request(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).unwrap_or(0);
        bytes.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let body = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let body = body.and_then(|length| length.parse().ok()).unwrap_or(0);
            if bytes.len() >= end + 4 + body {
                return bytes;
            }
        }
        if length == 0 {
            return bytes;
        }
    }
}

impl Faulty {
    fn new(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, said) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let (count, last) = (asked.clone(), said.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let bytes = request(&mut stream);
                if bytes.is_empty() {
                    continue;
                }
                *last.lock().unwrap() = bytes;
                let number = count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answers[number.min(answers.len() - 1)].as_bytes());
            }
        });
        Self { port, asked, said }
    }

    fn remote(&self) -> Remote {
        let uri = format!("s3://bucket/p?region=us-east-1&endpoint=http://127.0.0.1:{}", self.port);
        Remote::open_with(&uri.parse().unwrap(), Some(Arc::new(Given(true)))).unwrap()
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nETag: \"x\"\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn error(status: &str, code: &str) -> String {
    let body = format!(
        "<Error><Code>{code}</Code><Message>No way.</Message><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId>\
         <StringToSign>{TOKEN}</StringToSign></Error>"
    );
    answer(status, &body)
}

fn hides(error: &RemoteError) {
    let text = format!("{error} {error:?}");
    assert!(![KEY_ID, SECRET, TOKEN].iter().any(|secret| text.contains(secret)), "{text}");
}

#[tokio::test]
async fn overload_passes() {
    let server = Faulty::new(vec![
        error("503 Slow Down", "SlowDown"),
        String::new(),
        error("500 Internal Server Error", "InternalError"),
        error("429 Too Many Requests", "TooManyRequests"),
        answer("200 OK", ""),
    ]);
    let world = World::local();
    let name = world.put(b"content");
    let remote = server.remote();
    remote.put_object(&world.here, &name).await.unwrap();
    assert_eq!((remote.counters().put, server.asked.load(Ordering::SeqCst)), (5, 5));
    let said = String::from_utf8_lossy(&server.said.lock().unwrap()).into_owned();
    assert!(
        said.contains(&format!("Credential={KEY_ID}/")) && said.contains(TOKEN) && !said.contains(SECRET),
        "{said}"
    );
}

#[tokio::test]
async fn overload_that_does_not_pass() {
    let server = Faulty::new(vec![error("503 Slow Down", "SlowDown")]);
    let begun = Instant::now();
    let failed = server.remote().fetch(&World::local().here, &[Name::of_value(b"x")], &[], &Sources::default()).await;
    let failed = failed.unwrap_err();
    assert!(
        matches!(&failed, RemoteError::Service { reason, .. } if reason.contains("503") && reason.contains("SlowDown")),
        "{failed}"
    );
    assert!(begun.elapsed() < Duration::from_secs(70) && server.asked.load(Ordering::SeqCst) > 3);
    hides(&failed);
}

#[tokio::test]
async fn not_allowed() {
    for (status, code) in
        [("403 Forbidden", "AccessDenied"), ("403 Forbidden", "SignatureDoesNotMatch"), ("401 Unauthorized", "X")]
    {
        let server = Faulty::new(vec![error(status, code)]);
        let world = World::local();
        let name = world.put(b"content");
        let (remote, key) = (server.remote(), format!("objects/{name}"));
        let written = remote.put_object(&world.here, &name).await.unwrap_err();
        let read = remote.fetch(&world.worker("w"), &[name], &[], &Sources::default()).await.unwrap_err();
        for error in [written, read] {
            let matches = |reason: &str| reason.contains(code) && reason.contains("No way.");
            let denied =
                matches!(&error, RemoteError::Denied { key: found, reason, .. } if *found == key && matches(reason));
            assert!(denied && error.missing().is_none(), "{error:?}");
            hides(&error);
        }
        assert_eq!(server.asked.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there() {
    let server = Faulty::new(vec![error("404 Not Found", "NoSuchBucket")]);
    let world = World::local();
    let name = world.put(b"content");
    let failed = server.remote().put_object(&world.here, &name).await.unwrap_err();
    assert!(matches!(&failed, RemoteError::Config { reason, .. } if reason.contains("bucket")), "{failed}");
}

#[tokio::test]
async fn bytes_damaged_on_the_way_are_asked_for_again() {
    let world = World::local();
    let name = world.put(b"content");
    let server = Faulty::new(vec![answer("200 OK", "damaged")]);
    let remote = server.remote();
    let failed = remote.fetch(&world.worker("w"), &[name], &[], &Sources::default()).await.unwrap_err();
    assert!(matches!(&failed, RemoteError::Corrupt { key, .. } if *key == format!("objects/{name}")), "{failed}");
    assert_eq!(server.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn nobody_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let uri = format!("s3://bucket?endpoint=http://127.0.0.1:{port}").parse().unwrap();
    let remote = Remote::open_with(&uri, Some(Arc::new(Given(true)))).unwrap();
    let failed = remote.reduction(&Name::of(gg_ir::Kind::Thunk, b"x")).await.unwrap_err();
    assert!(matches!(&failed, RemoteError::Unreachable { .. }), "{failed:?}");
    hides(&failed);
}

#[tokio::test]
async fn nobody_logged_in() {
    let uri = "s3://bucket?endpoint=http://127.0.0.1:9".parse().unwrap();
    let remote = Remote::open_with(&uri, Some(Arc::new(Given(false)))).unwrap();
    let failed = remote.reduction(&Name::of(gg_ir::Kind::Thunk, b"x")).await.unwrap_err();
    assert!(matches!(&failed, RemoteError::Denied { reason, .. } if reason.contains("log in first")), "{failed:?}");
}

#[tokio::test]
async fn without_tls_only_when_told_so() {
    let server = Faulty::new(vec![answer("200 OK", "")]);
    let uri = format!("s3://bucket?endpoint=https://127.0.0.1:{}", server.port).parse().unwrap();
    let remote = Remote::open_with(&uri, Some(Arc::new(Given(true)))).unwrap();
    let failed = remote.reduction(&Name::of(gg_ir::Kind::Thunk, b"x")).await.unwrap_err();
    assert!(matches!(&failed, RemoteError::Unreachable { .. }), "{failed:?}");
    let said = String::from_utf8_lossy(&server.said.lock().unwrap()).into_owned();
    assert!(!said.contains(TOKEN));
}
