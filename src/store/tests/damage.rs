//! Damaged files are noticed, moved away, and made again; here objects that are files, see `packs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gg_ir::{Cost, Kind, Name, Reduction};
use gg_store::{Store, StoreError};

fn object(store: &Store, name: &Name) -> std::path::PathBuf {
    store.dir().join(format!("objects/{:02x}/{name}", name.digest()[0]))
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Ways to damage the file of an object that holds `good`.
type Damage = fn(&Path, &[u8]);

const DAMAGES: &[(&str, Damage)] = &[
    ("a flipped bit", |path, good| {
        let mut bytes = good.to_vec();
        bytes[good.len() / 2] ^= 1;
        overwrite(path, &bytes);
    }),
    ("cut short", |path, good| overwrite(path, &good[..good.len() - 1])),
    ("emptied", |path, _| overwrite(path, b"")),
    ("lengthened", |path, good| overwrite(path, &[good, b"x"].concat())),
    ("a directory", |path, _| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), "").unwrap();
    }),
    ("a link", |path, _| {
        fs::remove_file(path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
    }),
    ("a pipe", |path, _| {
        fs::remove_file(path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }),
];

/// Ways to use an object.
type Use = fn(&Store, &Name, &Path) -> Result<(), StoreError>;

const USES: &[(&str, Use)] = &[
    ("read", |store, name, _| store.read(name).map(|_| ())),
    ("file", |store, name, _| store.file(name).map(|_| ())),
    ("copy_out", |store, name, to| store.copy_out(name, to, 0o644, None).map(|_| ())),
];

#[test]
fn every_damage_is_noticed_by_every_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let good: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
    let to = dir.path().join("out");
    for (damage, apply) in DAMAGES {
        for (used, using) in USES {
            // The one that wrote it and has it verified, and one that has never seen it.
            for fresh in [false, true] {
                let case = format!("{damage}, {used}, fresh: {fresh}");
                let mut store = Store::open(&path).unwrap();
                let name = store.put(Kind::Value, &good).unwrap();
                using(&store, &name, &to).unwrap_or_else(|error| panic!("{case}: {error}"));
                let _ = fs::remove_file(&to);
                let place = object(&store, &name);
                // So that the file's time of modification differs.
                std::thread::sleep(std::time::Duration::from_millis(12));
                apply(&place, &good);
                if fresh {
                    store = Store::open(&path).unwrap();
                }
                match using(&store, &name, &to) {
                    Err(StoreError::Corrupt { name: found, kept }) => {
                        assert_eq!(found, name, "{case}");
                        assert!(fs::symlink_metadata(&kept).is_ok(), "{case}");
                        assert!(kept.starts_with(store.dir().join("quarantine")), "{case}");
                    }
                    other => panic!("{case}: {other:?}"),
                }
                assert!(!to.exists(), "{case}: nothing is written");
                assert!(matches!(using(&store, &name, &to), Err(StoreError::Missing { .. })), "{case}");
                assert!(!store.contains(&name), "{case}");
                store.put(Kind::Value, &good).unwrap();
                using(&store, &name, &to).unwrap_or_else(|error| panic!("{case}: {error}"));
                let _ = fs::remove_file(&to);
            }
        }
    }
}

#[test]
fn putting_repairs_what_is_plainly_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let good = vec![5; 300_000];
    let name = store.put(Kind::Value, &good).unwrap();
    for (damage, apply) in DAMAGES.iter().filter(|(damage, _)| *damage != "a flipped bit") {
        apply(&object(&store, &name), &good);
        assert!(!store.contains(&name), "{damage}");
        store.put(Kind::Value, &good).unwrap_or_else(|error| panic!("{damage}: {error}"));
        assert_eq!(store.read(&name).unwrap(), good, "{damage}");
    }
}

#[test]
fn damaged_reductions_are_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let thunk = store.put(Kind::Thunk, b"a thunk").unwrap();
    let reduction = Reduction {
        thunk,
        outputs: Default::default(),
        undeclared: Default::default(),
        stdout: Vec::new(),
        stderr: b"a warning".to_vec(),
        cost: Cost::default(),
    };
    store.record(&reduction).unwrap();
    let path = store.dir().join(format!("reductions/{:02x}/{thunk}", thunk.digest()[0]));
    let good = fs::read(&path).unwrap();
    // Every single byte counts, also those of the messages, which nothing else checks.
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x20;
        fs::write(&path, bytes).unwrap();
        assert_eq!(store.reduction(&thunk).unwrap(), None, "byte {at}");
        assert!(!path.exists());
        store.record(&reduction).unwrap();
    }
    for (damage, apply) in DAMAGES {
        apply(&path, &good);
        assert_eq!(store.reduction(&thunk).unwrap(), None, "{damage}");
        store.record(&reduction).unwrap();
        assert_eq!(store.reduction(&thunk).unwrap().as_ref(), Some(&reduction), "{damage}");
    }
    // The record of another thunk, whole, under this one's name.
    let other = store.put(Kind::Thunk, b"another").unwrap();
    store.record(&Reduction { thunk: other, ..reduction.clone() }).unwrap();
    fs::copy(store.dir().join(format!("reductions/{:02x}/{other}", other.digest()[0])), &path).unwrap();
    assert_eq!(store.reduction(&thunk).unwrap(), None);
}

#[test]
fn looking_through_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let names: Vec<Name> = (0..10u8).map(|byte| store.put(Kind::Value, &[byte; 100_000]).unwrap()).collect();
    let report = store.verify_all().unwrap();
    assert_eq!((report.objects, report.bytes, report.corrupt_objects), (10, 1_000_000, 0));
    overwrite(&object(&store, &names[3]), &[9; 100_000]);
    fs::write(store.dir().join(format!("objects/{:02x}/stray", names[0].digest()[0])), "").unwrap();
    let report = store.verify_all().unwrap();
    assert_eq!((report.objects, report.corrupt_objects), (9, 2));
    assert!(!store.contains(&names[3]) && store.contains(&names[2]));
}
