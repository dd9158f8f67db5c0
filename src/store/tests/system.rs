//! Directories of the system as trees, and files of the system as objects.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use gg_ir::{Entry, Kind, Name, Tree};
use gg_store::{Store, StoreError};

fn project(root: &Path) -> PathBuf {
    let dir = root.join("include dir\n");
    fs::create_dir_all(dir.join("sys/deep")).unwrap();
    fs::write(dir.join("a.h"), "a").unwrap();
    fs::write(dir.join("sys/deep/b.h"), "b").unwrap();
    fs::write(dir.join("sys").join(std::ffi::OsString::from_vec(b"\xff.h".to_vec())), "c").unwrap();
    std::os::unix::fs::symlink("../a.h", dir.join("sys/link.h")).unwrap();
    dir
}

#[test]
fn a_snapshot_lists_everything_and_copies_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = project(root.path());
    let store = Store::open(&root.path().join("store")).unwrap();
    let name = store.snapshot(&dir).unwrap();
    let tree = store.read_tree(&name).unwrap();
    let Some(Entry::File { content, mode }) = tree.get("a.h".as_ref()) else { panic!("{tree:?}") };
    assert_eq!((*content, *mode), (Name::of_value(b"a"), fs::metadata(dir.join("a.h")).map(|m| mode_of(&m)).unwrap()));
    let Some(Entry::Tree(sys)) = tree.get("sys".as_ref()) else { panic!("{tree:?}") };
    let sys_tree = store.read_tree(sys).unwrap();
    assert_eq!(sys_tree.entries().len(), 3);
    assert_eq!(sys_tree.get("link.h".as_ref()), Some(&Entry::Symlink("../a.h".into())));
    // The files' values are where they were.
    assert!(store.contains(content));
    assert_eq!(store.file(content).unwrap(), dir.join("a.h"));
    assert_eq!(store.read(content).unwrap(), b"a");
    assert!(!store.dir().join(format!("objects/{:02x}/{content}", content.digest()[0])).exists());
    store.copy_out(content, &root.path().join("out"), 0o600, None).unwrap();
    assert_eq!(fs::read(root.path().join("out")).unwrap(), b"a");
    assert_eq!(store.origin_of_tree(&name), Some(dir.clone()));
    assert_eq!(store.origin_of_tree(sys), Some(dir.join("sys")));
    assert_eq!(store.origin_of_tree(&Tree::new().name()), None);
    // Another process finds all that too.
    let other = Store::open(store.dir()).unwrap();
    assert_eq!(other.file(content).unwrap(), dir.join("a.h"));
    assert_eq!(other.origin_of_tree(&name), Some(dir));
}

#[test]
fn a_snapshot_without_some_is_not_taken_for_the_directory() {
    let root = tempfile::tempdir().unwrap();
    let dir = project(root.path());
    let store = Store::open(&root.path().join("store")).unwrap();
    let all = store.snapshot(&dir).unwrap();
    let some = store.snapshot_without(&dir, &|path| path == Path::new("sys/deep")).unwrap();
    assert_ne!(some, all);
    let tree = store.read_tree(&some).unwrap();
    let (Some(Entry::File { .. }), Some(Entry::Tree(sys))) = (tree.get("a.h".as_ref()), tree.get("sys".as_ref()))
    else {
        panic!("{tree:?}")
    };
    assert!(store.read_tree(sys).unwrap().get("deep".as_ref()).is_none());
    assert_eq!((store.origin_of_tree(&some), store.origin_of_tree(sys)), (None, None));
    assert_eq!(store.snapshot(&dir).unwrap(), all);
    // Where nothing is left out, it is the directory.
    let other = Store::open(&root.path().join("other")).unwrap();
    assert_eq!(other.snapshot_without(&dir, &|_| false).unwrap(), all);
    assert_eq!(other.origin_of_tree(&all), Some(dir));
}

fn mode_of(meta: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(meta) & 0o7777
}

#[test]
fn what_one_process_notes_another_that_runs_sees() {
    let root = tempfile::tempdir().unwrap();
    let one = Store::open(&root.path().join("store")).unwrap();
    let two = Store::open(one.dir()).unwrap();
    for (file, text) in [("x", "first"), ("y", "second")] {
        let path = root.path().join(file);
        fs::write(&path, text).unwrap();
        let (name, stamp) = one.hash(&path).unwrap();
        assert!(!two.contains(&name));
        one.note_origin(&name, &path, &stamp).unwrap();
        assert!(two.contains(&name));
    }
}

#[test]
fn a_changed_file_is_no_origin() {
    let root = tempfile::tempdir().unwrap();
    let dir = project(root.path());
    let path = root.path().join("store");
    let store = Store::open(&path).unwrap();
    let name = store.snapshot(&dir).unwrap();
    let content = Name::of_value(b"a");
    fs::write(dir.join("a.h"), "A").unwrap();
    assert!(!store.contains(&content));
    assert!(matches!(store.read(&content), Err(StoreError::Missing { .. })));
    assert!(matches!(store.file(&content), Err(StoreError::Missing { .. })));
    assert!(matches!(store.copy_out(&content, &root.path().join("o"), 0o644, None), Err(StoreError::Missing { .. })));
    let later = Store::open(&path).unwrap();
    assert_eq!(later.origin_of_tree(&name), None);
    assert_ne!(later.snapshot(&dir).unwrap(), name);
    // What had been noted wrongly is refused.
    let (hashed, stamp) = later.hash(&dir.join("sys/deep/b.h")).unwrap();
    assert!(matches!(later.note_origin(&content, &dir.join("sys/deep/b.h"), &stamp), Err(StoreError::Changing { .. })));
    later.note_origin(&hashed, &dir.join("sys/deep/b.h"), &stamp).unwrap();
}

#[test]
fn a_file_whose_stamp_alone_has_changed_still_is_an_origin() {
    let root = tempfile::tempdir().unwrap();
    let dir = project(root.path());
    let path = root.path().join("store");
    let content = Name::of_value(b"a");
    Store::open(&path).unwrap().snapshot(&dir).unwrap();
    let changes: [&dyn Fn(); 3] = [
        &|| fs::hard_link(dir.join("a.h"), dir.join("further.h")).unwrap(),
        &|| fs::set_permissions(dir.join("a.h"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap(),
        &|| {
            fs::write(dir.join("anew"), "a").unwrap();
            fs::rename(dir.join("anew"), dir.join("a.h")).unwrap();
        },
    ];
    for change in changes {
        change();
        let store = Store::open(&path).unwrap();
        assert!(store.contains(&content));
        assert_eq!(store.file(&content).unwrap(), dir.join("a.h"));
        assert_eq!(store.read(&content).unwrap(), b"a");
    }
}

#[test]
fn new_and_vanished_files_change_the_tree() {
    let root = tempfile::tempdir().unwrap();
    let dir = project(root.path());
    let path = root.path().join("store");
    let snapshot = || Store::open(&path).unwrap().snapshot(&dir).unwrap();
    let first = snapshot();
    assert_eq!(snapshot(), first);
    fs::write(dir.join("sys/new.h"), "").unwrap();
    let second = snapshot();
    assert_ne!(second, first);
    fs::remove_file(dir.join("sys/new.h")).unwrap();
    assert_eq!(snapshot(), first);
}

#[test]
fn sockets_and_pipes_are_left_out() {
    let root = tempfile::tempdir().unwrap();
    let dir = project(root.path());
    let store = Store::open(&root.path().join("store")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.join("sys/s")).unwrap();
    let name = store.snapshot(&dir).unwrap();
    let tree = store.read_tree(&name).unwrap();
    let Some(Entry::Tree(sys)) = tree.get("sys".as_ref()) else { panic!("{tree:?}") };
    assert_eq!(store.read_tree(sys).unwrap().get("s".as_ref()), None);
    // The directory shows more than the tree lists, so it cannot stand in for it; one without such a thing can.
    assert_eq!(store.origin_of_tree(&name), None);
    let Some(Entry::Tree(deep)) = store.read_tree(sys).unwrap().get("deep".as_ref()).cloned() else { panic!() };
    assert_eq!(store.origin_of_tree(&deep), Some(dir.join("sys/deep")));
    assert!(matches!(store.snapshot(&dir.join("absent")), Err(StoreError::NoFile { .. })));
}

#[test]
fn a_damaged_log_loses_only_what_was_damaged() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(&root.path().join("store")).unwrap();
    let mut names = Vec::new();
    for index in 0..5 {
        let path = root.path().join(index.to_string());
        fs::write(&path, index.to_string()).unwrap();
        let (name, stamp) = store.hash(&path).unwrap();
        store.note_origin(&name, &path, &stamp).unwrap();
        names.push(name);
    }
    let log = store.dir().join("origins/log");
    let mut text = fs::read(&log).unwrap();
    let middle = text.len() / 2;
    text[middle] ^= 1;
    text.extend_from_slice(b"0123456789abcdef f V");
    fs::write(&log, text).unwrap();
    let other = Store::open(store.dir()).unwrap();
    assert_eq!(names.iter().filter(|name| other.contains(name)).count(), 4);
    // What is noted after a torn line counts.
    let path = root.path().join("later");
    fs::write(&path, "later").unwrap();
    let (name, stamp) = other.hash(&path).unwrap();
    other.note_origin(&name, &path, &stamp).unwrap();
    assert!(Store::open(store.dir()).unwrap().contains(&name));
}

#[test]
fn a_log_full_of_outdated_lines_is_written_anew() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(&root.path().join("store")).unwrap();
    let path = root.path().join("f");
    fs::write(&path, "f").unwrap();
    let (name, stamp) = store.hash(&path).unwrap();
    store.note_origin(&name, &path, &stamp).unwrap();
    let log = store.dir().join("origins/log");
    let line = fs::read(&log).unwrap();
    fs::write(&log, line.repeat(1500)).unwrap();
    let other = Store::open(store.dir()).unwrap();
    assert!(other.contains(&name));
    assert!(fs::metadata(&log).unwrap().len() < 1000);
    assert!(Store::open(store.dir()).unwrap().contains(&name));
    // The one that read the old log goes on with the new one.
    let later = root.path().join("g");
    fs::write(&later, "g").unwrap();
    let (name, stamp) = other.hash(&later).unwrap();
    other.note_origin(&name, &later, &stamp).unwrap();
    assert!(store.contains(&name));
}

#[test]
fn an_object_and_an_origin_of_one_value() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(&root.path().join("store")).unwrap();
    let path = root.path().join("tool");
    fs::write(&path, "program").unwrap();
    let (name, stamp) = store.hash(&path).unwrap();
    store.put(Kind::Value, b"program").unwrap();
    store.note_origin(&name, &path, &stamp).unwrap();
    assert_eq!(store.file(&name).unwrap(), path, "the file of the system has the mode that a program needs");
    fs::remove_file(&path).unwrap();
    assert!(store.file(&name).unwrap().starts_with(store.dir()));
}

#[test]
fn one_content_in_many_places() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("dir");
    for index in 0..30 {
        fs::create_dir_all(dir.join(index.to_string())).unwrap();
        fs::write(dir.join(format!("{index}/empty")), "").unwrap();
    }
    let path = root.path().join("store");
    let log = path.join("origins/log");
    let name = Store::open(&path).unwrap().snapshot(&dir).unwrap();
    let length = fs::metadata(&log).unwrap().len();
    for _ in 0..3 {
        assert_eq!(Store::open(&path).unwrap().snapshot(&dir).unwrap(), name);
    }
    assert_eq!(fs::metadata(&log).unwrap().len(), length, "nothing new is nothing to note");
    // When the known places are gone others are looked for.
    let store = Store::open(&path).unwrap();
    let empty = Name::of_value(b"");
    while let Ok(place) = store.file(&empty) {
        fs::remove_file(place).unwrap();
    }
    let left = fs::read_dir(&dir).unwrap().flatten().filter(|entry| entry.path().join("empty").exists()).count();
    assert_eq!(left, 22);
    store.gc(u64::MAX, false).unwrap();
    assert!(fs::metadata(&log).unwrap().len() < length);
    Store::open(&path).unwrap().snapshot(&dir).unwrap();
    assert!(store.contains(&empty));
}
