//! A store in S3 between the two, and credentials that nobody tells anybody.

use std::pin::Pin;
use std::sync::Arc;

use gg_store::remote::{Credentials, Inventory, Keys, Remote, RemoteUri, Secret};
use gg_worker::wire::{JobResult, Response};

use crate::servers::{KEY_ID, Kind, SECRET, Server, TOKEN};
use crate::support::*;

#[derive(Debug)]
struct Given;

impl Credentials for Given {
    fn keys(&self) -> Pin<Box<dyn Future<Output = Result<Keys, String>> + Send + '_>> {
        let keys = Keys { id: Secret::new(KEY_ID), secret: Secret::new(SECRET), token: Some(Secret::new(TOKEN)) };
        Box::pin(async move { Ok(keys) })
    }
}

#[test]
fn objects_pass_through_s3_and_secrets_nowhere() {
    let Some(server) = Server::start(Kind::S3) else { return };
    let uri: RemoteUri = server.uri().parse().unwrap();
    let remote = Remote::open_with(&uri, Some(Arc::new(Given))).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(remote.clone(), WORLD.store.clone(), dir.path()).unwrap();
    let credentials = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", TOKEN)];
    let worker = env!("CARGO_BIN_EXE_gg-lambda-worker");
    let own = format!("GG_STORE={uri}");
    let door = Door::with_env(worker.as_ref(), &["--workers", "2", "--env", &own], &credentials);

    let first = WORLD.script("head -c 7000000 /dev/urandom > large; cat a > small").file("/p/a", "by s3");
    let first = first.output("large", "/p/large").output("small", "/p/small");
    let request = WORLD.request_with(&inventory, uri.to_string(), &[&first], &[]).encode();
    let answer = door.invoke(&request).unwrap();
    let response = Response::decode(&answer.body).unwrap();
    let [JobResult::Done { reduction }] = &response.results[..] else { panic!("{response:?}\n{}", door.said()) };
    let large = reduction.outputs[&tag("large")].object.clone();
    assert_eq!(response.stored, [*large.name()]);
    assert!(response.report.bytes_up >= 7_000_000 && response.report.requests >= 2, "{:?}", response.report);

    // Another worker gets it from there; the laptop is out of the loop.
    http(&door.address, "POST", "/_gg/kill", &[], b"").unwrap();
    inventory.note_objects(&response.stored);
    let second = WORLD.script("head -c 5 large > o").object("/p/large", large.clone(), 0o644).output("o", "/p/o");
    let request = WORLD.request_with(&inventory, uri.to_string(), &[&second], &[]).encode();
    let again = door.invoke(&request).unwrap();
    let response = Response::decode(&again.body).unwrap();
    let [JobResult::Done { reduction }] = &response.results[..] else { panic!("{response:?}\n{}", door.said()) };
    assert!(response.report.cold && !WORLD.store.contains(large.name()));
    assert_eq!(WORLD.bytes(&response, reduction.outputs[&tag("o")].object.name()).len(), 5);

    // Where its own store is not to be reached, the text says so, and nothing more.
    drop(server);
    http(&door.address, "POST", "/_gg/kill", &[], b"").unwrap();
    let gone = door.invoke(&request).unwrap();
    let response = Response::decode(&gone.body).unwrap();
    assert!(matches!(response.results[..], [JobResult::Broken { again: true, .. }]), "{response:?}");

    let texts = [request, answer.body, again.body, gone.body, door.wrote().into_bytes()];
    for (number, text) in texts.iter().enumerate() {
        for secret in [KEY_ID, SECRET, TOKEN] {
            let found = text.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} stands in text {number}");
        }
    }
}
