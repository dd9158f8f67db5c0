//! Objects, thunks, trees and reductions go in and come out.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use gg_ir::{AbsPath, Cost, Entry, Function, Kind, Made, Name, Reduction, Reference, Tag, Thunk, Tree};
use gg_store::{Stamp, Store, StoreError};
use tempfile::TempDir;

fn fixture() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, store)
}

fn thunk(arg: &str) -> Thunk {
    Thunk {
        function: Function {
            executable: AbsPath::new("/bin/cc").unwrap(),
            args: vec!["cc".into(), arg.into()],
            env: Default::default(),
            cwd: AbsPath::root(),
            umask: 0o22,
        },
        inputs: Default::default(),
        outputs: Default::default(),
        timeout: None,
        volatile: false,
        strict: false,
    }
}

fn reduction(thunk: Name, output: Reference) -> Reduction {
    Reduction {
        thunk,
        outputs: [(Tag::new("o").unwrap(), Made { object: output, mode: 0o644 })].into(),
        undeclared: Default::default(),
        stdout: Vec::new(),
        stderr: b"warning: x\n".to_vec(),
        cost: Cost::default(),
    }
}

#[test]
fn objects() {
    let (_dir, store) = fixture();
    for bytes in [b"".as_slice(), b"x", &[7; 1_000_000]] {
        let name = store.put(Kind::Value, bytes).unwrap();
        assert_eq!(name, Name::of_value(bytes));
        assert_eq!(store.put(Kind::Value, bytes).unwrap(), name);
        assert!(store.contains(&name));
        assert_eq!(store.read(&name).unwrap(), bytes);
        let file = store.file(&name).unwrap();
        assert_eq!(fs::read(&file).unwrap(), bytes);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o333, 0, "objects cannot be written or run");
    }
    let absent = Name::of_value(b"absent");
    assert!(!store.contains(&absent));
    assert!(matches!(store.read(&absent), Err(StoreError::Missing { name }) if name == absent));
    assert!(matches!(store.file(&absent), Err(StoreError::Missing { .. })));
    assert_eq!(fs::read_dir(store.dir().join("tmp")).unwrap().count(), 0);
    assert_eq!(fs::metadata(store.dir()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn thunks_and_trees() {
    let (_dir, store) = fixture();
    let thunk = thunk("-c");
    let name = store.put_thunk(&thunk).unwrap();
    assert_eq!(name, thunk.name());
    assert_eq!(*store.read_thunk(&name).unwrap(), thunk);
    let mut tree = Tree::new();
    tree.insert("a", Entry::Symlink("b".into()));
    let name = store.put_tree(&tree).unwrap();
    assert_eq!(name, tree.name());
    for _ in 0..2 {
        assert_eq!(*store.read_tree(&name).unwrap(), tree);
    }
    let other = store.put(Kind::Value, b"int x;").unwrap();
    assert!(matches!(store.read_tree(&other), Err(StoreError::Decode { .. })));
}

#[test]
fn staged_files() {
    let (_dir, store) = fixture();
    let mut staged = store.stage().unwrap();
    std::io::Write::write_all(&mut staged.file, b"made").unwrap();
    let name = Name::of_value(b"made");
    store.adopt(staged, &name).unwrap();
    assert_eq!(store.read(&name).unwrap(), b"made");
    let staged = store.stage().unwrap();
    assert!(matches!(store.adopt(staged, &Name::of_value(b"other")), Err(StoreError::Mismatch { found: 0, .. })));
    drop(store.stage().unwrap());
    assert_eq!(fs::read_dir(store.dir().join("tmp")).unwrap().count(), 0);
}

#[test]
fn strange_paths_in_and_out() {
    let (dir, store) = fixture();
    for (index, odd) in [b"with space".as_slice(), b"new\nline", b"\xff\xfe\\n", b"-dash"].into_iter().enumerate() {
        for bytes in [vec![index as u8; 10], vec![index as u8; 600_000]] {
            let path = dir.path().join(OsStr::from_bytes(odd));
            fs::write(&path, &bytes).unwrap();
            let (name, stamp) = store.import(&path).unwrap();
            assert_eq!(name, Name::of_value(&bytes));
            assert_eq!(stamp, Stamp::of(&path).unwrap());
            assert_eq!(store.hash(&path).unwrap(), (name, stamp));
            let out = dir.path().join(OsStr::from_bytes(&[odd, b".out"].concat()));
            let time = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
            let stamp = store.copy_out(&name, &out, 0o751, Some(time)).unwrap();
            assert_eq!(fs::read(&out).unwrap(), bytes);
            assert_eq!(stamp, Stamp::of(&out).unwrap());
            assert_eq!(stamp.mode & 0o7777, 0o751);
            assert_eq!(stamp.mtime_ns, 1_000_000_000_123_456_789);
            // Over an existing file, and over a link, which is replaced and not followed.
            fs::remove_file(&out).unwrap();
            std::os::unix::fs::symlink(&path, &out).unwrap();
            store.copy_out(&name, &out, 0o644, None).unwrap();
            assert!(fs::symlink_metadata(&out).unwrap().is_file());
            fs::remove_file(&out).unwrap();
        }
    }
    let left: Vec<PathBuf> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left.len(), 5, "no temporary file is left: {left:?}");
}

#[test]
fn what_cannot_be_imported_or_written() {
    let (dir, store) = fixture();
    let absent = dir.path().join("absent");
    assert!(matches!(store.import(&absent), Err(StoreError::NoFile { path, .. }) if path == absent));
    assert!(matches!(store.hash(&absent), Err(StoreError::NoFile { .. })));
    assert!(matches!(store.hash(dir.path()), Err(StoreError::NotFile { .. })));
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(matches!(store.import(&pipe), Err(StoreError::NotFile { .. })), "a pipe is not waited for");
    let name = store.put(Kind::Value, b"x").unwrap();
    let error = store.copy_out(&name, &absent.join("f"), 0o644, None).unwrap_err();
    assert!(matches!(&error, StoreError::NoFile { path, .. } if *path == absent.join("f")), "{error}");
    let error = store.copy_out(&name, dir.path(), 0o644, None).unwrap_err();
    assert!(error.to_string().contains("directory"), "{error}");
    assert!(store.copy_out(&Name::of_value(b"y"), &absent, 0o644, None).is_err());
    assert!(!absent.exists());
}

#[test]
fn a_file_that_changes_while_it_is_read() {
    let (dir, store) = fixture();
    let path = dir.path().join("growing");
    fs::write(&path, vec![1; 300_000]).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut fill = 0u8;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                fill = fill.wrapping_add(1);
                let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
                for _ in 0..100 {
                    std::io::Write::write_all(&mut file, &[fill; 3000]).unwrap();
                }
            }
        });
        for _ in 0..3 {
            // Either it is not believed, or what was stored is what the name says.
            match store.import(&path) {
                Err(StoreError::Changing { path: at }) => assert_eq!(at, path),
                Err(error) => panic!("{error}"),
                Ok((name, _)) => assert!(store.read(&name).is_ok()),
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let (name, _) = store.import(&path).unwrap();
    assert_eq!(store.read(&name).unwrap(), fs::read(&path).unwrap());
}

#[test]
fn a_file_edited_twice_within_a_tick() {
    let (dir, store) = fixture();
    let path = dir.path().join("f.h");
    for round in 0..200u32 {
        let bytes = round.to_le_bytes();
        fs::write(&path, bytes).unwrap();
        assert_eq!(store.hash(&path).unwrap().0, Name::of_value(&bytes));
        assert_eq!(store.import(&path).unwrap().0, Name::of_value(&bytes));
    }
}

#[test]
fn an_unchanged_file_is_not_read_again() {
    let (dir, store) = fixture();
    let path = dir.path().join("f.h");
    fs::write(&path, "int x;").unwrap();
    std::thread::sleep(Duration::from_millis(130));
    let (name, stamp) = store.hash(&path).unwrap();
    store.save_stamps().unwrap();
    assert_eq!(Store::open(store.dir()).unwrap().hash(&path).unwrap(), (name, stamp));
    // That the answer came from the cache shows when the cache is made to say something else.
    let other = Name::from_parts(Kind::Value, [7; 32], name.length());
    let cache = store.dir().join("stamps");
    let line = fs::read_to_string(&cache).unwrap()[17..].trim_end().replace(&name.to_string(), &other.to_string());
    fs::write(&cache, format!("{:016x} {line}\n", fnv(line.as_bytes()))).unwrap();
    let forged = Store::open(store.dir()).unwrap();
    assert_eq!(forged.hash(&path).unwrap(), (other, stamp));
    // Any change of the file's state, and it is read.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(forged.hash(&path).unwrap().0, name);
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn reductions() {
    let (dir, store) = fixture();
    let thunk = store.put_thunk(&thunk("-c")).unwrap();
    assert_eq!(store.reduction(&thunk).unwrap(), None);
    let output = Name::of_value(b"the object file");
    let one = reduction(thunk, Reference::Value(output));
    store.record(&one).unwrap();
    assert_eq!(store.reduction(&thunk).unwrap(), None, "useless without its output");
    store.put(Kind::Value, b"the object file").unwrap();
    assert_eq!(store.reduction(&thunk).unwrap(), Some(one.clone()));
    // A later record takes the place of the first.
    let two = Reduction { stderr: Vec::new(), ..one };
    store.record(&two).unwrap();
    assert_eq!(store.reduction(&thunk).unwrap(), Some(two));
    store.forget(&thunk);
    assert_eq!(store.reduction(&thunk).unwrap(), None);
    // An output that is a file of the system.
    let path = dir.path().join("origin");
    fs::write(&path, "crt1.o").unwrap();
    let (name, stamp) = store.hash(&path).unwrap();
    let three = reduction(thunk, Reference::Value(name));
    store.record(&three).unwrap();
    assert_eq!(store.reduction(&thunk).unwrap(), None);
    store.note_origin(&name, &path, &stamp).unwrap();
    assert_eq!(store.reduction(&thunk).unwrap(), Some(three));
}
