//! The same on every real server.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use gg_ir::{Cost, Kind, Made, Name, Reduction, Reference, Tag};
use gg_store::remote::{Inventory, Missing, Remote, RemoteError};

use crate::servers::{AZURE_KEY, KEY_ID, SECRET, Server, TOKEN};
use crate::servers::{Kind as What, Kind::*};
use crate::support::{World, noise};

/// Set in the process that has the credentials in its environment.
const MARK: &str = "GG_TEST_REMOTE_INSIDE";

/// Runs a test of this binary again with credentials in its environment. Whether this is that run.
fn inside(test: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(MARK, "1");
    command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_SESSION_TOKEN", TOKEN);
    command.env("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY).env_remove("GG_REDIS_PASSWORD");
    assert!(command.status().unwrap().success());
    false
}

/// What is trusted: a root of the user's own, and nothing that nobody vouches for.
#[test]
fn over_tls() {
    const ROOT: &str = "SSL_CERT_FILE";
    let inside = std::env::var_os(MARK).is_some();
    let dir = tempfile::tempdir().unwrap();
    let (key, certificate) = (dir.path().join("key"), dir.path().join("certificate"));
    if !inside {
        let openssl = |words: &str| {
            let mut command = Command::new("openssl");
            command.args(words.split(' ')).arg("-keyout").arg(&key).arg("-out").arg(&certificate);
            assert!(command.output().unwrap().status.success());
        };
        openssl(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=gg -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE",
        );
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new("openssl");
        server.args(["s_server", "-quiet", "-www", "-naccept", "50", "-accept", &format!("127.0.0.1:{port}")]);
        server.arg("-key").arg(&key).arg("-cert").arg(&certificate);
        let mut server = server.stdin(std::process::Stdio::null()).spawn().unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(server.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(20));
        }
        let run = |root: Option<&std::path::Path>| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "real::over_tls", "--nocapture"]).env(MARK, port.to_string()).env_remove(ROOT);
            command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
            root.map(|root| command.env(ROOT, root));
            command.status().unwrap().success()
        };
        let trusted = (run(Some(&certificate)), run(None));
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(trusted, (true, true));
        return;
    }
    let port = std::env::var(MARK).unwrap();
    let remote = Remote::open(&format!("s3://bucket?endpoint=https://localhost:{port}").parse().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answered = runtime.block_on(remote.reduction(&Name::of(Kind::Thunk, b"x")));
    match std::env::var_os(ROOT) {
        // It answers with a page without a length, which S3 does not.
        Some(_) => assert!(matches!(&answered, Err(RemoteError::Service { .. })), "{answered:?}"),
        None => {
            let error = answered.unwrap_err();
            let untrusted = |reason: &str| reason.contains("certificate");
            assert!(matches!(&error, RemoteError::Unreachable { reason, .. } if untrusted(reason)), "{error:?}");
        }
    }
}

fn world(server: &Server) -> World {
    World::new(tempfile::tempdir().unwrap(), server.uri().parse().unwrap())
}

fn reduction(content: &str) -> Reduction {
    let made = Made { object: Reference::Value(Name::of_value(content.as_bytes())), mode: 0o644 };
    Reduction {
        thunk: Name::of(Kind::Thunk, b"thunk"),
        outputs: BTreeMap::from([(Tag::new("o").unwrap(), made)]),
        undeclared: BTreeMap::new(),
        stdout: Vec::new(),
        stderr: b"warning".to_vec(),
        cost: Cost::default(),
    }
}

async fn there_and_back(world: &World) -> (Inventory, Vec<Name>, Name) {
    let sum = (22 << 20) + 40 * 300_000;
    let all = sum..sum + sum / 50;
    let inventory = world.inventory();
    let mut names: Vec<Name> = (0..60).map(|n| world.put(format!("content {n}").as_bytes())).collect();
    names.push(world.put(&noise("large", 20 << 20)));
    names.push(world.put(&noise("middle", 2 << 20)));
    let tree = world.tree("t", 40, 300_000);
    let sources = inventory.ensure(&names, &[tree]).await.unwrap();
    let up = inventory.remote().counters();
    assert!(all.contains(&up.bytes_up), "{up:?}");
    let remote = world.remote();
    let worker = world.worker("worker");
    remote.fetch(&worker, &names, &[tree], &sources).await.unwrap();
    assert!(names.iter().all(|name| worker.contains(name)));
    let down = remote.counters();
    // Two objects, a small pack, a tree's index and its blocks, read in parts of 8 MiB; so are large objects of Redis.
    assert!(down.get <= 8 && down.requests() == down.get, "{down:?}");
    assert!(all.contains(&down.bytes_down), "{down:?}");
    remote.fetch(&worker, &names, &[tree], &sources).await.unwrap();
    assert_eq!((remote.counters(), inventory.remote().counters()), (down, up));
    (inventory, names, tree)
}

async fn emptied(server: &Server, world: &World, inventory: &Inventory, names: &[Name], tree: Name) {
    assert_eq!(server.keys().len(), 4, "{:?}", server.keys());
    server.empty();
    let sources = inventory.ensure(names, &[tree]).await.unwrap();
    let worker = world.worker("after");
    let remote = world.remote();
    let Err(RemoteError::Missing { missing, .. }) = remote.fetch(&worker, names, &[tree], &sources).await else {
        panic!()
    };
    assert_eq!((missing.names.len(), missing.packs.len()), (2, 2), "{missing:?}");
    inventory.forget(&missing);
    let sources = inventory.ensure(names, &[tree]).await.unwrap();
    assert_eq!(server.keys().len(), 4);
    remote.fetch(&worker, names, &[tree], &sources).await.unwrap();
}

async fn damaged(server: &Server, world: &World, inventory: &Inventory, names: &[Name], tree: Name) {
    for (number, key) in server.keys().into_iter().enumerate() {
        server.overwrite(&key, b"damaged");
        let sources = inventory.ensure(names, &[tree]).await.unwrap();
        let worker = world.worker(&format!("damaged{number}"));
        let remote = world.remote();
        let error = remote.fetch(&worker, names, &[tree], &sources).await.unwrap_err();
        // A range beyond the end of what is there: some servers say so instead of sending what there is.
        let seen = matches!(&error, RemoteError::Corrupt { key: found, .. } if *found == key);
        assert!(seen, "{key}: {error}");
        inventory.forget(&Missing::of_key(&key).unwrap());
        assert_eq!(error.missing(), Missing::of_key(&key));
        let sources = inventory.ensure(names, &[tree]).await.unwrap();
        remote.fetch(&worker, names, &[tree], &sources).await.unwrap();
    }
}

async fn reductions(remote: &Remote) {
    let (one, two) = (reduction("one"), reduction("two"));
    assert_eq!(remote.reduction(&one.thunk).await.unwrap(), None);
    remote.record(&one).await.unwrap();
    assert_eq!(remote.reduction(&one.thunk).await.unwrap().as_ref(), Some(&one));
    remote.record(&two).await.unwrap();
    assert_eq!(remote.reduction(&one.thunk).await.unwrap().as_ref(), Some(&one));
    remote.replace(&two).await.unwrap();
    assert_eq!(remote.reduction(&one.thunk).await.unwrap().as_ref(), Some(&two));
}

async fn damaged_reductions(server: &Server, remote: &Remote) {
    let one = reduction("one");
    server.overwrite(&format!("reductions/{}", one.thunk), b"damaged");
    assert_eq!(remote.reduction(&one.thunk).await.unwrap(), None);
    remote.record(&one).await.unwrap();
    assert_eq!(remote.reduction(&one.thunk).await.unwrap(), Some(one));
}

fn hides(text: impl std::fmt::Debug) {
    let text = format!("{text:?}");
    for secret in [KEY_ID, SECRET, TOKEN, AZURE_KEY] {
        assert!(!text.contains(secret), "{text}");
    }
}

fn run(what: What, test: &str) {
    if !inside(test) {
        return;
    }
    let Some(server) = Server::start(what) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let world = world(&server);
        let (inventory, names, tree) = there_and_back(&world).await;
        hides((&inventory, inventory.remote(), &world.uri, inventory.remote().uri()));
        reductions(&world.remote()).await;
        if what != Azure {
            damaged_reductions(&server, &world.remote()).await;
            server.empty();
            let _ = inventory.ensure(&names, &[tree]).await;
            let missing = Missing { names: names.clone(), packs: Vec::new() };
            inventory.forget(&missing);
            let missing = Missing { names: vec![tree], packs: Vec::new() };
            inventory.forget(&missing);
            inventory.ensure(&names, &[tree]).await.unwrap();
            emptied(&server, &world, &inventory, &names, tree).await;
            damaged(&server, &world, &inventory, &names, tree).await;
        }
        let name = world.put(b"afterwards");
        drop(server);
        let begun = std::time::Instant::now();
        let error = inventory.ensure(&[name], &[]).await.unwrap_err();
        assert!(matches!(error, RemoteError::Unreachable { .. }), "{error:?}");
        hides((&error, error.to_string()));
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    });
}

#[test]
fn on_s3() {
    run(S3, "real::on_s3");
}

#[test]
fn on_redis() {
    run(Redis, "real::on_redis");
}

/// The only server to be had for it speaks no more than half of the interface: what is there can be read, and nothing be
/// written (fsouza/fake-gcs-server#331). So everything is written as the server's own interface wants it.
#[test]
fn on_gcs() {
    let Some(server) = Server::start(Gcs) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let (source, world) = (World::local(), world(&server));
        let large = source.put(&noise("large", 20 << 20));
        let small = source.put(b"small");
        let tree = source.tree("t", 40, 300_000);
        let sources = source.inventory().ensure(&[large, small], &[tree]).await.unwrap();
        source.remote().record(&reduction("one")).await.unwrap();
        let remote = world.remote();
        assert_eq!(remote.reduction(&reduction("").thunk).await.unwrap(), None);
        let root = source.dir.path().join("remote");
        for file in source.files() {
            server.overwrite(file.strip_prefix(&root).unwrap().to_str().unwrap(), &std::fs::read(&file).unwrap());
        }
        remote.fetch(&world.worker("worker"), &[large, small], &[tree], &sources).await.unwrap();
        assert_eq!(remote.reduction(&reduction("").thunk).await.unwrap(), Some(reduction("one")));
        assert!(remote.has_object(&large).await.unwrap());
        server.empty();
        assert!(!remote.has_object(&large).await.unwrap());
        let error = remote.fetch(&world.worker("after"), &[large, small], &[tree], &sources).await.unwrap_err();
        let missing = error.missing().unwrap();
        assert_eq!((missing.names, missing.packs.len()), (vec![large], 2));
    });
}

#[test]
fn on_azure() {
    run(Azure, "real::on_azure");
}
