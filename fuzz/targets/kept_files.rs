//! What gg keeps on disk between builds, damaged in any way: the journal of a session that died, and the store's own files.

#![no_main]

#[allow(dead_code)]
#[path = "../../src/cli/session/journal.rs"]
mod journal;

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use gg_ir::{Kind, Name};
use gg_store::Store;
use libfuzzer_sys::fuzz_target;

/// A directory that stays for the whole run.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let place = std::env::temp_dir().join(format!("gg-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).expect("a place for files");
    place
});

fuzz_target!(|bytes: &[u8]| {
    let dead = PLACE.join("sessions/1.0");
    fs::create_dir_all(&dead).expect("a session's directory");
    for (name, content) in [("alive", &b""[..]), ("lock", b""), ("root", b"/p"), ("journal", bytes)] {
        fs::write(dead.join(name), content).expect("a session's file");
    }
    let roots = [PathBuf::from("/p")];
    let heir = journal::Heir { roots: &roots, notice: &|_| (), interrupted: &|| false };
    journal::take_over(&PLACE.join("sessions"), &heir, |remains| {
        assert!(remains.placeholders.len() + remains.unfinished.len() <= bytes.len());
        true
    });

    let directory = PLACE.join("store");
    let (object, source) = (b"an object".as_slice(), PLACE.join("file"));
    fs::write(&source, object).expect("a file");
    let name = Name::of(Kind::Value, object);
    let thunk = Name::of(Kind::Thunk, bytes);
    {
        let store = Store::open(&directory).expect("a store");
        store.put(Kind::Value, object).expect("an object");
    }
    for file in ["stamps", "origins/log"] {
        fs::write(directory.join(file), bytes).expect("a file of the store");
    }
    let store = Store::open(&directory).expect("a store with damaged caches");
    assert_eq!(store.read(&name).expect("the object"), object);
    assert_eq!(store.hash(&source).expect("the name of a file").0, name);
    let _ = store.reduction(&thunk);
    store.save_stamps().expect("the caches are written anew");
});
