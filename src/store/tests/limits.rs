//! A full disk, a read-only store, and the limits of a process: a clear error each, and nothing lost.
//!
//! The cases run in this test program started again: under limits set by a shell, or in namespaces of its own where
//! small and read-only file systems can be mounted. Where namespaces are not to be had, those cases say so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gg_ir::{Kind, Name};
use gg_store::{Store, StoreError};

/// Runs the case `role` under `script`, which must end in running "$@".
fn run(shell: &[&str], script: &str, role: &str, dir: &Path) -> Output {
    Command::new(shell[0])
        .args(&shell[1..])
        .args(["sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "role", "--ignored", "--nocapture"])
        .env("GG_STORE_ROLE", role)
        .env("GG_STORE_TEST_DIR", dir)
        .output()
        .unwrap()
}

fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Whether file systems can be mounted in namespaces of one's own.
fn namespaces(what: &str) -> bool {
    let probe = Command::new("unshare").args(["-Urm", "sh", "-c", "mount -t tmpfs x /mnt"]).output();
    let have = probe.is_ok_and(|probe| probe.status.success());
    if !have {
        println!("{what} is not tried: no user and mount namespaces here");
    }
    have
}

const UNSHARE: [&str; 2] = ["unshare", "-Urm"];

#[test]
#[ignore = "started by the other tests"]
fn role() {
    let Ok(role) = std::env::var("GG_STORE_ROLE") else { return };
    let dir = PathBuf::from(std::env::var_os("GG_STORE_TEST_DIR").unwrap());
    match role.as_str() {
        "full" => full(&dir),
        "file limit" => file_limit(&dir),
        "pack limit" => pack_limit(&dir),
        "read-only" => {
            let error = Store::open(&dir).unwrap_err();
            assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
            assert!(error.to_string().contains("GG_DIR"), "{error}");
        }
        "descriptors" => descriptors(&dir),
        "permissions" => permissions(&dir),
        other => panic!("{other}"),
    }
}

fn assert_no_rest(store: &Store) {
    assert_eq!(fs::read_dir(store.dir().join("tmp")).unwrap().count(), 0, "half a file was left");
    let report = store.verify_all().unwrap();
    assert_eq!((report.corrupt_objects, report.corrupt_reductions), (0, 0));
}

/// Bytes that cannot be compressed.
fn noise(number: u64, length: usize) -> Vec<u8> {
    // Knuth's MMIX generator.
    let next =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(next(&(number + 1)), next).map(|state| (state >> 32) as u8).take(length).collect()
}

fn full(dir: &Path) {
    let store = Store::open(&dir.join("store")).unwrap();
    let kept = store.put(Kind::Value, &[1; 10_000]).unwrap();
    let large = dir.parent().unwrap().join("large");
    fs::write(&large, vec![7; 3_000_000]).unwrap();
    let assert_full = |error: StoreError| {
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("gg gc --max-size") && text.contains("No space left"), "{text}");
    };
    assert_full(store.put(Kind::Value, &vec![7; 3_000_000]).unwrap_err());
    assert_full(store.import(&large).unwrap_err());
    assert!(!store.contains(&Name::of_value(&vec![7; 3_000_000])));
    assert_no_rest(&store);
    // Filled to the brim with small ones, which do not become much smaller in a pack.
    let mut names = Vec::new();
    let error = loop {
        match store.put(Kind::Value, &noise(names.len() as u64, 4000)) {
            Ok(name) => names.push(name),
            Err(error) => break error,
        }
    };
    assert_full(error);
    assert_no_rest(&store);
    assert!(names.iter().all(|name| store.read(name).is_ok()));
    let other = Store::open(store.dir()).unwrap();
    assert!(names.iter().all(|name| other.read(name).is_ok()), "another process cannot read what was written");
    // What does not fit leaves the pack as it was, and what does is added.
    assert_full(store.put(Kind::Value, &noise(1 << 40, 60_000)).unwrap_err());
    assert_no_rest(&store);
    // The tree is not harmed either: what was there stays.
    let out = dir.join("out");
    let error = store.copy_out(&kept, &out, 0o644, None).unwrap_err();
    assert_full(error);
    assert!(!out.exists());
    assert_eq!(fs::read_dir(dir).unwrap().count(), 1);
    // Doing what the message says helps.
    std::thread::sleep(std::time::Duration::from_millis(60));
    let report = store.gc(100_000, false).unwrap();
    assert!(report.after <= 100_000 && report.deleted_objects > 0, "{report:?}");
    store.put(Kind::Value, &[1; 10_000]).unwrap();
    store.copy_out(&kept, &out, 0o644, None).unwrap();
}

#[test]
fn a_full_disk() {
    if namespaces("a full disk") {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("small");
        fs::create_dir(&place).unwrap();
        let script = "mount -t tmpfs -o size=2M small \"$GG_STORE_TEST_DIR\" && exec \"$@\"";
        assert_passed(&run(&UNSHARE, script, "full", &place));
    }
}

#[test]
fn a_read_only_file_system() {
    if namespaces("a read-only file system") {
        let dir = tempfile::tempdir().unwrap();
        Store::open(dir.path()).unwrap();
        let script = "mount --bind \"$GG_STORE_TEST_DIR\" \"$GG_STORE_TEST_DIR\" && \
                      mount -o remount,bind,ro \"$GG_STORE_TEST_DIR\" && exec \"$@\"";
        assert_passed(&run(&UNSHARE, script, "read-only", dir.path()));
    }
}

fn file_limit(dir: &Path) {
    let store = Store::open(&dir.join("store")).unwrap();
    let small = store.put(Kind::Value, &[1; 10_000]).unwrap();
    let error = store.put(Kind::Value, &vec![2; 300_000]).unwrap_err();
    assert!(matches!(error, StoreError::FileLimit { .. }), "{error}");
    assert!(error.to_string().contains("ulimit -f"), "{error}");
    assert!(matches!(store.import(&dir.join("large")), Err(StoreError::FileLimit { .. })));
    assert!(store.read(&small).is_ok());
}

/// A pack that cannot grow is not the last one.
fn pack_limit(dir: &Path) {
    for round in 0..3 {
        let store = Store::open(&dir.join("store")).unwrap();
        let number = |number: u64| round * 10 + number;
        let noisy = (0..10).map(|at| store.put(Kind::Value, &noise(number(at), 50_000)).unwrap());
        // Of such the index is longer than the pack.
        let tiny = (0..2000).map(|at| store.put(Kind::Thunk, &(number(at) * 1000).to_le_bytes()).unwrap());
        let names: Vec<Name> = noisy.chain(tiny).collect();
        let other = Store::open(&dir.join("store")).unwrap();
        assert!(names.iter().all(|name| store.read(name).is_ok() && other.read(name).is_ok()));
        assert_no_rest(&store);
    }
}

#[test]
fn a_limit_on_the_size_of_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("large"), vec![3; 300_000]).unwrap();
    // 256 blocks of 512 bytes. The signal that would end the process is ignored, as it is under many shells and daemons.
    let script = "trap '' XFSZ; ulimit -f 256; exec \"$@\"";
    assert_passed(&run(&["env"], script, "file limit", dir.path()));
    // Here it is not, and nothing that may be written is worth a life.
    let script = "ulimit -f 160; exec \"$@\"";
    assert_passed(&run(&["env"], script, "pack limit", dir.path()));
}

fn descriptors(dir: &Path) {
    let store = Store::open(&dir.join("store")).unwrap();
    let large = [1; 100_000];
    let name = store.put(Kind::Value, &large).unwrap();
    let small = store.put(Kind::Value, b"x").unwrap();
    let fresh = Store::open(&dir.join("store")).unwrap();
    let mut held = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        held.push(file);
    }
    let out = dir.join("out");
    let errors = [
        store.put(Kind::Value, &[2; 100_000]).unwrap_err(),
        fresh.put(Kind::Value, b"y").unwrap_err(),
        store.read(&name).unwrap_err(),
        fresh.read(&small).unwrap_err(),
        store.import(&dir.join("store/version")).unwrap_err(),
        store.copy_out(&name, &out, 0o644, None).unwrap_err(),
        store.lease().unwrap_err(),
        store.snapshot(dir).unwrap_err(),
        store.verify_all().unwrap_err(),
        store.gc(0, false).unwrap_err(),
    ];
    drop(held);
    for error in errors {
        assert!(matches!(error, StoreError::Descriptors { .. }), "{error}");
        assert!(error.to_string().contains("ulimit -n"), "{error}");
    }
    for name in [name, small] {
        assert!(store.contains(&name) && store.read(&name).is_ok(), "nothing was taken for damaged");
        assert!(fresh.contains(&name) && fresh.read(&name).is_ok(), "nothing was taken for damaged");
    }
    assert_no_rest(&store);
}

#[test]
fn no_file_descriptors_left() {
    let dir = tempfile::tempdir().unwrap();
    assert_passed(&run(&["env"], "ulimit -n 40; exec \"$@\"", "descriptors", dir.path()));
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// As a user whom permissions bind.
fn permissions(dir: &Path) {
    let store = Store::open(&dir.join("store")).unwrap();
    // An object that lost its permissions is damaged, and made again.
    let large = [1; 100_000];
    let name = store.put(Kind::Value, &large).unwrap();
    let place = store.file(&name).unwrap();
    set_mode(&place, 0);
    assert!(fs::File::open(&place).is_err(), "this user may read everything");
    assert!(matches!(store.read(&name), Err(StoreError::Corrupt { .. })));
    store.put(Kind::Value, &large).unwrap();
    assert_eq!(store.read(&name).unwrap(), large);
    // Files and directories of the tree that cannot be read.
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("closed")).unwrap();
    fs::write(tree.join("secret"), "s").unwrap();
    fs::write(tree.join("open"), "o").unwrap();
    set_mode(&tree.join("secret"), 0);
    set_mode(&tree.join("closed"), 0);
    let error = store.import(&tree.join("secret")).unwrap_err();
    assert!(matches!(&error, StoreError::Denied { path, .. } if *path == tree.join("secret")), "{error}");
    let snapshot = store.snapshot(&tree).unwrap();
    let listed: Vec<_> = store.read_tree(&snapshot).unwrap().entries().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(listed, ["open"]);
    assert_eq!(store.origin_of_tree(&snapshot), None, "the directory shows more than the tree lists");
    assert!(matches!(store.snapshot(&tree.join("closed")), Err(StoreError::Denied { .. })));
    // A directory that cannot be written.
    set_mode(&tree, 0o500);
    assert!(matches!(store.copy_out(&name, &tree.join("out"), 0o644, None), Err(StoreError::Denied { .. })));
    assert!(matches!(store.copy_out(&name, &tree.join("open"), 0o644, None), Err(StoreError::Denied { .. })));
    assert_eq!(fs::read(tree.join("open")).unwrap(), b"o");
    let error = Store::open(&tree.join("store")).unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error}");
    for (place, kind, new) in [("tmp", Kind::Value, &[2; 100_000][..]), ("packs", Kind::Thunk, b"new")] {
        set_mode(&store.dir().join(place), 0o500);
        let error = store.put(kind, new).unwrap_err();
        assert!(matches!(&error, StoreError::Denied { .. }) && error.to_string().contains("sudo"), "{error}");
        set_mode(&store.dir().join(place), 0o700);
    }
    [tree.join("closed"), tree].iter().for_each(|path| set_mode(path, 0o700));
}

#[test]
fn permissions_count() {
    if namespaces("a user whom permissions bind") {
        let dir = tempfile::tempdir().unwrap();
        // In a namespace where no user is mapped, root is its files' owner and nothing more.
        assert_passed(&run(&["unshare", "-U"], "exec \"$@\"", "permissions", dir.path()));
    }
}
