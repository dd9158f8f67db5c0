//! Several processes at once, and processes that are killed.
//!
//! The processes are this test program started again with `GG_STORE_ROLE` set.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gg_ir::{Cost, Kind, Made, Name, Reduction, Reference, Tag};
use gg_store::Store;

fn spawn(role: &str, dir: &Path, number: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "role", "--ignored", "--nocapture"])
        .env("GG_STORE_ROLE", role)
        .env("GG_STORE_TEST_DIR", dir)
        .env("GG_STORE_NUMBER", number.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Bytes that depend on a number, between nothing and 600 kB.
fn bytes(number: u64) -> Vec<u8> {
    let length = [0, 100, 5_000, 50_000, 600_000][number as usize % 5];
    number.to_le_bytes().into_iter().cycle().take(length).collect()
}

/// A thunk and its one output.
fn make(store: &Store, number: u64) -> (Name, Name) {
    let output = store.put(Kind::Value, &bytes(number)).unwrap();
    let thunk = store.put(Kind::Thunk, format!("thunk {number}").as_bytes()).unwrap();
    let made = Made { object: Reference::Value(output), mode: 0o644 };
    let reduction = Reduction {
        thunk,
        outputs: [(Tag::new("o").unwrap(), made)].into(),
        undeclared: Default::default(),
        stdout: Vec::new(),
        stderr: bytes(number % 3),
        cost: Cost::default(),
    };
    store.record(&reduction).unwrap();
    (thunk, output)
}

#[test]
#[ignore = "started by the other tests"]
fn role() {
    let Ok(role) = std::env::var("GG_STORE_ROLE") else { return };
    let dir = std::path::PathBuf::from(std::env::var_os("GG_STORE_TEST_DIR").unwrap());
    let number: u64 = std::env::var("GG_STORE_NUMBER").unwrap().parse().unwrap();
    let store = Store::open(&dir.join("store")).unwrap();
    match role.as_str() {
        // Writes until it is killed.
        "write" => {
            let _lease = store.lease().unwrap();
            for round in 0.. {
                let round = number * 10_000 + round;
                let (_, output) = make(&store, round);
                let out = dir.join(format!("out-{number}"));
                store.copy_out(&output, &out, 0o644, None).unwrap();
                let source = dir.join(format!("in-{number}"));
                fs::write(&source, bytes(round + 1)).unwrap();
                let (name, stamp) = store.import(&source).unwrap();
                store.save_stamps().unwrap();
                // This waits until the stamp can be trusted, so not each time.
                if round % 20 == 19 {
                    store.note_origin(&name, &source, &stamp).unwrap();
                }
            }
        }
        // A build: writes, and later reads what it and others have written.
        "build" => {
            let _lease = store.lease().unwrap();
            for _ in 0..3 {
                let made: Vec<(Name, Name)> = (0..60).map(|round| make(&store, round + number % 2 * 30)).collect();
                for (thunk, output) in &made {
                    assert!(store.reduction(thunk).unwrap().is_some(), "a reduction was lost");
                    assert!(store.contains(output), "an output was lost");
                    store.read(output).unwrap();
                    store.read(thunk).unwrap();
                    let file = store.file(output).unwrap();
                    assert_eq!(fs::metadata(file).unwrap().len(), output.length());
                }
            }
        }
        // Many short builds one after another, so that a collection often falls between two.
        "builds" => {
            for _ in 0..40 {
                let _lease = store.lease().unwrap();
                let made: Vec<(Name, Name)> = (0..10).map(|round| make(&store, round)).collect();
                for (thunk, output) in &made {
                    assert!(store.reduction(thunk).unwrap().is_some(), "a reduction was lost");
                    store.read(output).unwrap();
                }
            }
        }
        "collect" => {
            let end = Instant::now() + Duration::from_secs(2);
            while Instant::now() < end {
                store.gc(0, false).unwrap();
            }
        }
        other => panic!("{other}"),
    }
}

#[test]
fn killed_writers_leave_a_clean_store() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..50u64 {
        let mut child = spawn("write", dir.path(), round);
        // At any moment of the start-up and of the work; some not before there is work, however busy the machine.
        while round % 5 == 0 && !dir.path().join(format!("out-{round}")).exists() {
            assert!(child.try_wait().unwrap().is_none(), "the writer failed");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(10 + round * 37 % 150));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let store = Store::open(&dir.path().join("store")).unwrap();
    let report = store.verify_all().unwrap();
    assert!(report.objects > 20 && report.reductions >= 10, "{report:?}");
    assert_eq!((report.corrupt_objects, report.corrupt_reductions), (0, 0));
    // Each went on with the packs of the one before it; a killed process may still be dying when the next one begins.
    let packs = fs::read_dir(store.dir().join("packs")).unwrap().count() / 2;
    assert!(packs < 10, "{packs} packs of 50 writers, of whom one ran at a time");
    let mut left_behind = 0;
    for entry in fs::read_dir(dir.path()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        // A file that replaces another has such a name between two system calls, and is whole by then.
        if name.starts_with(".gg-") {
            left_behind += 1;
            let found = fs::read(entry.path()).unwrap();
            let whole = |number: u64| (0..5000).any(|round| bytes(number * 10_000 + round) == found);
            assert!((0..50).any(whole), "{name} is not whole");
        }
        if let Some(number) = name.strip_prefix("out-") {
            // Whole, as some round of its writer wrote it.
            let number: u64 = number.parse().unwrap();
            let found = fs::read(entry.path()).unwrap();
            assert!((0..5000).any(|round| bytes(number * 10_000 + round) == found), "{name}");
        }
    }
    let report = store.gc(u64::MAX, false).unwrap();
    assert!(report.dead_leases > 0 && report.live_leases == 0, "{report:?}");
    // The stamps and origins can be read, and say nothing wrong.
    for entry in fs::read_dir(dir.path()).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        assert_eq!(store.hash(&entry.path()).unwrap().0, Name::of_value(&fs::read(entry.path()).unwrap()));
    }
    assert!(left_behind <= 1, "{left_behind} of 50 writers left a file behind");
}

#[test]
fn builds_and_collections_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut children: Vec<Child> = (0..2).map(|number| spawn("build", dir.path(), number)).collect();
    children.push(spawn("builds", dir.path(), 0));
    children.push(spawn("collect", dir.path(), 0));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let store = Store::open(&dir.path().join("store")).unwrap();
    let report = store.verify_all().unwrap();
    assert_eq!((report.corrupt_objects, report.corrupt_reductions), (0, 0));
    assert_eq!(fs::read_dir(store.dir().join("trash")).unwrap().count(), 0);
}

#[test]
fn threads_of_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let _lease = store.lease().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let store = &store;
            let out = dir.path().join("out");
            scope.spawn(move || {
                for round in 0..60 {
                    // The same objects in all threads, and in another order in each.
                    let number = (round * 7 + thread * 13) % 60;
                    let (thunk, output) = make(store, number);
                    assert!(store.reduction(&thunk).unwrap().is_some());
                    assert_eq!(store.read(&output).unwrap(), bytes(number));
                    store.copy_out(&output, &out, 0o644, None).unwrap();
                }
            });
        }
        scope.spawn(|| (0..20).for_each(|_| assert!(store.gc(0, false).is_ok())));
    });
    let report = store.verify_all().unwrap();
    assert_eq!((report.reductions, report.corrupt_objects, report.corrupt_reductions), (60, 0, 0));
}
