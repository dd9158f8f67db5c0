//! What is uploaded, how often, and what is believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gg_ir::{Entry, Name, Tree};
use gg_store::StoreError;
use gg_store::remote::{Missing, RemoteError};

use crate::support::{World, noise};

#[tokio::test(flavor = "multi_thread")]
async fn what_many_ask_for_is_uploaded_once() {
    let world = World::local();
    let inventory = world.inventory();
    let (small, large) = (world.put(b"small"), world.put(&noise("l", 3 << 20)));
    let tree = world.tree("t", 10, 1000);
    let calls = (0..100).map(|_| {
        let inventory = inventory.clone();
        tokio::spawn(async move { inventory.ensure(&[small, large], &[tree]).await })
    });
    let sources: Vec<_> = futures::future::join_all(calls.collect::<Vec<_>>()).await;
    let first = sources[0].as_ref().unwrap().as_ref().unwrap();
    assert!(sources.iter().all(|other| other.as_ref().unwrap().as_ref().unwrap() == first));
    assert_eq!((inventory.remote().counters().put, world.files().len()), (3, 3));
    // What another machine has uploaded is only asked for.
    let other = World { dir: tempfile::tempdir().unwrap(), uri: world.uri.clone(), here: world.here.clone() };
    let inventory = other.inventory();
    inventory.ensure(&[large], &[]).await.unwrap();
    let spent = inventory.remote().counters();
    assert_eq!((spent.put, spent.head), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_headers_of_a_compile() {
    let world = World::local();
    let inventory = world.inventory();
    let mut headers = Vec::new();
    for round in 0..10 {
        let text = |n| format!("#pragma once\nint header_{round}_{n};\n").repeat(20);
        let new: Vec<Name> = (0..6).map(|n| world.put(text(n).as_bytes())).collect();
        inventory.ensure(&new, &[]).await.unwrap();
        headers.extend(new);
    }
    assert_eq!(inventory.remote().counters().put, 10);
    let sources = inventory.ensure(&headers, &[]).await.unwrap();
    assert_eq!(sources.packs().len(), 10);
    let text = serde_json::to_string(&sources).unwrap();
    assert!(text.len() < 2000, "{}", text.len());
    assert_eq!(serde_json::from_str::<gg_store::remote::Sources>(&text).unwrap(), sources);
    let (worker, remote) = (world.worker("w"), world.remote());
    remote.fetch(&worker, &headers, &[], &sources).await.unwrap();
    assert_eq!(remote.counters().requests(), 10);
    // Another compile, with one more: what came along is there.
    remote.fetch(&worker, &headers[3..50], &[], &sources).await.unwrap();
    assert_eq!(remote.counters().requests(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_at_once() {
    let world = World::local();
    let names: Vec<Name> = (0..40).map(|n| world.put(&noise(&n.to_string(), 50_000))).collect();
    let tree = world.tree("t", 30, 10_000);
    let inventories: Vec<_> = (0..4).map(|_| world.inventory()).collect();
    let calls = (0..40).map(|n| {
        let (inventory, names) = (inventories[n % 4].clone(), names[..=n].to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(5 * n as u64)).await;
            inventory.ensure(&names, &[tree]).await.unwrap();
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let fresh = world.inventory();
    let sources = fresh.ensure(&names, &[tree]).await.unwrap();
    assert_eq!(fresh.remote().counters().requests(), 0);
    world.remote().fetch(&world.worker("w"), &names, &[tree], &sources).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_inventory_costs_uploading_again() {
    let world = World::local();
    let names: Vec<Name> = (0..5).map(|n| world.put(format!("content {n}").as_bytes())).collect();
    for name in &names {
        world.inventory().ensure(&[*name], &[]).await.unwrap();
    }
    let remotes = world.dir.path().join("remotes");
    let dir = std::fs::read_dir(&remotes).unwrap().next().unwrap().unwrap().path();
    let log = dir.join("inventory-1");
    let good = std::fs::read(&log).unwrap();
    for at in (0..good.len()).step_by(37) {
        for bad in [good[..at].to_vec(), [&good[..at], b"#", &good[at + 1..]].concat()] {
            std::fs::write(&log, bad).unwrap();
            let sources = world.inventory().ensure(&names, &[]).await.unwrap();
            let worker = world.worker(&format!("w{at}"));
            world.remote().fetch(&worker, &names, &[], &sources).await.unwrap();
        }
    }
}

#[test]
fn an_interrupted_upload_is_not_believed() {
    let world = World::local();
    let tree = world.tree("t", 60, 500_000);
    let large = world.put(&noise("l", 20 << 20));
    for pause in [0, 5, 20, 50, 100, 200] {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
        let inventory = world.inventory();
        runtime.spawn(async move { inventory.ensure(&[large], &[tree]).await });
        std::thread::sleep(Duration::from_millis(pause));
        runtime.shutdown_timeout(Duration::from_millis(1));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let sources = world.inventory().ensure(&[large], &[tree]).await.unwrap();
            let worker = world.worker(&format!("w{pause}"));
            world.remote().fetch(&worker, &[large], &[tree], &sources).await.unwrap();
        });
        std::fs::remove_dir_all(world.dir.path().join("remotes")).unwrap();
        std::fs::remove_dir_all(world.dir.path().join("remote")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_go_on_when_the_caller_is_gone() {
    let world = World::local();
    let inventory = world.inventory();
    let large = world.put(&noise("l", 3 << 20));
    // Polled once.
    let _ = tokio::time::timeout(Duration::from_nanos(1), inventory.ensure(&[large], &[])).await;
    let begun = Instant::now();
    while !inventory.holds(&large) {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nowhere_fails_alone() {
    let world = World::local();
    let inventory = world.inventory();
    let (good, bad) = (world.put(b"good"), Name::of_value(b"bad"));
    let calls = futures::future::join(inventory.ensure(&[good], &[]), inventory.ensure(&[bad], &[])).await;
    assert!(calls.0.is_ok());
    assert!(
        matches!(calls.1, Err(RemoteError::Local(error)) if matches!(&*error, StoreError::Missing { name } if *name == bad))
    );
    let mut tree = Tree::new();
    tree.insert("file", Entry::File { content: bad, mode: 0o644 });
    let tree = world.here.put_tree(&tree).unwrap();
    assert!(matches!(inventory.ensure(&[], &[tree]).await, Err(RemoteError::Local(_))));
    // It has come to be there.
    world.put(b"bad");
    inventory.ensure(&[bad], &[tree]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_within_another_needs_no_pack_of_its_own() {
    let world = World::local();
    let inventory = world.inventory();
    let inner = world.tree("inner", 4, 50_000);
    let mut outer = Tree::new();
    outer.insert("inner", Entry::Tree(inner));
    for n in 0..40 {
        let content = world.put(&noise(&format!("outer{n}"), 300_000));
        outer.insert(format!("{n}"), Entry::File { content, mode: 0o755 });
    }
    let outer = world.here.put_tree(&outer).unwrap();
    inventory.ensure(&[], &[inner, outer]).await.unwrap();
    assert_eq!(world.files().len(), 1);
    // Only what is needed is read of it.
    let sources = inventory.ensure(&[], &[inner]).await.unwrap();
    let (worker, remote) = (world.worker("w"), world.remote());
    remote.fetch(&worker, &[], &[inner], &sources).await.unwrap();
    assert!(worker.contains(&inner));
    let spent = remote.counters();
    assert!(spent.bytes_down < 3 << 20 && spent.requests() < 8, "{spent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_large_pack() {
    let world = World::local();
    let inventory = world.inventory();
    let tree = world.tree("t", 60, 500_000);
    let sources = inventory.ensure(&[], &[tree]).await.unwrap();
    let (worker, remote) = (world.worker("w"), world.remote());
    remote.fetch(&worker, &[], &[tree], &sources).await.unwrap();
    // One file is lost.
    let lost = Name::of_value(&noise("t8", 500_000));
    let path = worker.file(&lost).unwrap();
    std::fs::remove_file(path).unwrap();
    let before = remote.counters();
    remote.fetch(&worker, &[], &[tree], &sources).await.unwrap();
    let spent = remote.counters() - before;
    assert!(worker.contains(&lost) && spent.bytes_down < 2 << 20 && spent.requests() == 2, "{spent:?}");
    // Some files by their names, of which the first four are next to each other: near ones are read together.
    let names: Vec<Name> = [0, 10, 12, 14, 50].map(|n| Name::of_value(&noise(&format!("t{n}"), 500_000))).to_vec();
    let sources = inventory.ensure(&names, &[]).await.unwrap();
    let (worker, remote) = (world.worker("w2"), world.remote());
    remote.fetch(&worker, &names, &[], &sources).await.unwrap();
    let spent = remote.counters();
    assert!(spent.bytes_down < 6 << 20 && spent.requests() == 2, "{spent:?}");
    assert_eq!(inventory.remote().counters().put, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_once_for_all_who_missed_it() {
    let world = World::local();
    let inventory = world.inventory();
    let name = world.put(b"content");
    let asked = Instant::now();
    let sources = inventory.ensure(&[name], &[]).await.unwrap();
    let missing = Missing { names: Vec::new(), packs: sources.packs().map(|(id, _)| id).collect() };
    inventory.forget_since(&missing, asked);
    assert!(inventory.holds(&name));
    inventory.forget(&missing);
    assert!(!inventory.holds(&name) && !world.inventory().holds(&name));
    // What lies in a pack and is missed by name takes the pack with it.
    inventory.ensure(&[name], &[]).await.unwrap();
    inventory.forget(&Missing { names: vec![name], packs: Vec::new() });
    assert!(!inventory.holds(&name));
    inventory.note_objects(&[name]);
    assert!(world.inventory().ensure(&[name], &[]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_side_by_side_fetch_once() {
    let world = World::local();
    let tree = world.tree("t", 20, 100_000);
    let large = world.put(&noise("l", 2 << 20));
    let sources = Arc::new(world.inventory().ensure(&[large], &[tree]).await.unwrap());
    let (worker, remote) = (world.worker("w"), world.remote());
    let calls = (0..8).map(|_| {
        let (worker, remote, sources) = (worker.clone(), remote.clone(), sources.clone());
        tokio::spawn(async move { remote.fetch(&worker, &[large], &[tree], &sources).await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(remote.counters().requests(), 2);
}
