//! Garbage collection, leases, and emptying the store; here of objects that are files, see `packs`.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use gg_ir::{Cost, Kind, Name, Reduction};
use gg_store::{Store, StoreError};

fn fixture() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, store)
}

fn path(store: &Store, name: &Name) -> PathBuf {
    store.dir().join(format!("objects/{:02x}/{name}", name.digest()[0]))
}

/// Makes a file look as if it was last used so long ago.
fn age(path: &std::path::Path, hours: u64) {
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    let times = fs::FileTimes::new().set_accessed(then).set_modified(then);
    fs::File::open(path).unwrap().set_times(times).unwrap();
}

/// The length of an object that is a file of its own.
const LARGE: u64 = 128 << 10;

/// Such an object's bytes.
fn large(byte: u8) -> Vec<u8> {
    vec![byte; LARGE as usize]
}

/// Ten large objects; the first was used longest ago.
fn ten(store: &Store) -> Vec<Name> {
    let names: Vec<Name> = (0..10u8).map(|byte| store.put(Kind::Value, &large(byte)).unwrap()).collect();
    names.iter().enumerate().for_each(|(index, name)| age(&path(store, name), 20 - index as u64));
    names
}

#[test]
fn the_least_recently_used_goes_first() {
    let (_dir, store) = fixture();
    let names = ten(&store);
    let dry = store.gc(4 * LARGE, true).unwrap();
    assert_eq!((dry.before, dry.after, dry.deleted_objects), (10 * LARGE, 4 * LARGE, 6));
    assert_eq!(store.verify_all().unwrap().objects, 10, "a dry run deletes nothing");
    // Another process uses the oldest of them.
    let other = Store::open(store.dir()).unwrap();
    assert!(other.contains(&names[0]));
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(store.gc(4 * LARGE, false).unwrap(), dry);
    let left: Vec<bool> = names.iter().map(|name| path(&store, name).exists()).collect();
    assert_eq!(left, [true, false, false, false, false, false, false, true, true, true]);
    assert_eq!(store.gc(0, false).unwrap().deleted_objects, 4);
}

#[test]
fn looking_through_the_store_is_no_use() {
    let (_dir, store) = fixture();
    let names = ten(&store);
    store.verify_all().unwrap();
    std::thread::sleep(Duration::from_millis(60));
    store.gc(LARGE, false).unwrap();
    assert!(path(&store, &names[9]).exists() && !path(&store, &names[0]).exists());
}

#[test]
fn what_a_build_uses_stays() {
    let (_dir, store) = fixture();
    let names = ten(&store);
    let builder = Store::open(store.dir()).unwrap();
    // Used before the lease: has to be marked again to be spared.
    assert!(builder.contains(&names[5]));
    age(&path(&store, &names[5]), 30);
    let lease = builder.lease().unwrap();
    assert!(builder.contains(&names[0]));
    builder.read(&names[1]).unwrap();
    builder.file(&names[2]).unwrap();
    assert_eq!(builder.put(Kind::Value, &large(3)).unwrap(), names[3]);
    let fresh = builder.put(Kind::Value, &large(b'f')).unwrap();
    assert!(builder.contains(&names[5]));
    std::thread::sleep(Duration::from_millis(60));
    let report = store.gc(0, false).unwrap();
    assert_eq!((report.deleted_objects, report.kept_in_use, report.live_leases), (5, 6, 1));
    for name in [names[0], names[1], names[2], names[3], names[5], fresh] {
        assert!(builder.read(&name).is_ok());
    }
    assert!(matches!(store.clean(false), Err(StoreError::InUse { builds: 1, .. })));
    drop(lease);
    std::thread::sleep(Duration::from_millis(60));
    let report = store.gc(0, false).unwrap();
    assert_eq!((report.deleted_objects, report.kept_in_use, report.after), (6, 0, 0));
    assert_eq!(fs::read_dir(store.dir().join("leases")).unwrap().count(), 0);
    // Whoever remembers what was there is not misled.
    assert!(!builder.contains(&names[0]));
    builder.put(Kind::Value, &large(b'f')).unwrap();
    assert!(builder.read(&fresh).is_ok());
}

#[test]
fn an_object_about_to_be_deleted_is_taken_back() {
    let (_dir, store) = fixture();
    let uses: [fn(&Store, &Name) -> bool; 3] = [
        |store, name| store.contains(name),
        |store, name| store.read(name).is_ok(),
        |store, name| store.file(name).is_ok(),
    ];
    let name = store.put(Kind::Value, &large(b'w')).unwrap();
    for using in uses {
        let other = Store::open(store.dir()).unwrap();
        fs::rename(path(&store, &name), store.dir().join(format!("trash/{name}"))).unwrap();
        assert!(using(&other, &name));
        assert!(path(&store, &name).exists());
    }
    // What a killed collection left goes, unless a build has marked it.
    let other = store.put(Kind::Value, &large(b'u')).unwrap();
    age(&path(&store, &other), 1);
    let _lease = store.lease().unwrap();
    assert!(store.contains(&name));
    for name in [name, other] {
        fs::rename(path(&store, &name), store.dir().join(format!("trash/{name}"))).unwrap();
    }
    store.gc(u64::MAX, false).unwrap();
    assert!(path(&store, &name).exists() && !path(&store, &other).exists());
    assert_eq!(fs::read_dir(store.dir().join("trash")).unwrap().count(), 0);
}

#[test]
fn what_was_left_behind_is_swept_up() {
    let (_dir, store) = fixture();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let dead = child.id();
    child.wait().unwrap();
    let stale = store.dir().join(format!("tmp/{dead}-0-0"));
    let young = store.dir().join(format!("tmp/{dead}-0-1"));
    let mine = store.stage().unwrap();
    fs::write(&stale, "").unwrap();
    fs::write(&young, "").unwrap();
    age(&stale, 2);
    age(&mine.path, 2);
    fs::write(store.dir().join("leases/1-dead"), "").unwrap();
    fs::create_dir(store.dir().join("quarantine/V.1")).unwrap();
    let report = store.gc(u64::MAX, false).unwrap();
    assert_eq!((report.deleted_temporaries, report.dead_leases, report.deleted_quarantined), (1, 1, 1));
    assert!(!stale.exists() && young.exists() && mine.path.exists());
}

#[test]
fn reductions_and_kept_directories_go_too() {
    let (_dir, store) = fixture();
    let thunk = store.put(Kind::Thunk, b"thunk").unwrap();
    let reduction = Reduction {
        thunk,
        outputs: Default::default(),
        undeclared: Default::default(),
        stdout: Vec::new(),
        stderr: Vec::new(),
        cost: Cost::default(),
    };
    store.record(&reduction).unwrap();
    for (directory, hours) in
        [(store.farm_dir().join("a"), 3), (store.trees_dir().join("b"), 3), (store.trees_dir().join("c"), 3)]
    {
        fs::create_dir_all(directory.join("below")).unwrap();
        fs::write(directory.join("below/file"), [1; 10_000]).unwrap();
        age(&directory, hours);
    }
    let _lease = store.lease().unwrap();
    assert!(store.keep(&store.trees_dir().join("c")));
    // One that a collection was about to delete is taken back, and not its namesake's.
    fs::rename(store.trees_dir().join("c"), store.dir().join("trash/trees-c")).unwrap();
    assert!(!store.keep(&store.farm_dir().join("c")));
    assert!(store.keep(&store.trees_dir().join("c")));
    assert!(!store.keep(&store.trees_dir().join("d")));
    assert!(store.reduction(&thunk).unwrap().is_some() && store.contains(&thunk));
    let report = store.gc(0, false).unwrap();
    assert_eq!((report.deleted_directories, report.deleted_reductions), (2, 0));
    assert!(store.trees_dir().join("c/below/file").exists());
    drop(_lease);
    std::thread::sleep(Duration::from_millis(60));
    let report = store.gc(0, false).unwrap();
    assert_eq!(
        (report.deleted_directories, report.deleted_reductions, report.deleted_objects),
        (1, 1, 1),
        "{report:?}"
    );
    assert!(report.before >= 12_288, "{report:?}");
}

#[test]
fn emptying_spares_what_is_not_gg_s() {
    let (_dir, store) = fixture();
    let names = ten(&store);
    store.save_stamps().unwrap();
    fs::write(store.dir().join("my notes"), "").unwrap();
    let lease = store.lease().unwrap();
    let error = store.clean(false).unwrap_err().to_string();
    assert!(error.contains("--force"), "{error}");
    store.clean(true).unwrap();
    drop(lease);
    assert!(store.dir().join("my notes").exists());
    assert!(!store.contains(&names[0]));
    store.put(Kind::Value, b"again").unwrap();
    assert_eq!(store.verify_all().unwrap().objects, 1);
}
