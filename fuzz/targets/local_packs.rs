//! The local store's packs and their indexes, damaged in any way: what is read is right or nothing, and what is missing can be
//! put again.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use gg_ir::{Kind, Name};
use gg_store::Store;
use libfuzzer_sys::fuzz_target;

/// A directory that stays for the whole run.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let place = std::env::temp_dir().join(format!("gg-fuzz-local-packs-{}", std::process::id()));
    fs::create_dir_all(&place).expect("a place for a store");
    place
});

fn objects() -> Vec<Vec<u8>> {
    (0..12u8).map(|number| [&[number; 40][..], b"#include <stdio.h>\n", &vec![number; usize::from(number) * 9]].concat()).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let directory = PLACE.join("store");
    let _ = fs::remove_dir_all(&directory);
    let put = |store: &Store| -> Vec<Name> {
        objects().iter().map(|object| store.put(Kind::Value, object).expect("an object")).collect()
    };
    let names = put(&Store::open(&directory).expect("a store"));
    let files: Vec<PathBuf> =
        fs::read_dir(directory.join("packs")).expect("packs").flatten().map(|entry| entry.path()).collect();
    let mut contents: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).expect("a file of a pack")).collect();
    // Each change is a file, a place in it, and what is done there.
    for change in bytes.chunks_exact(4) {
        let content = &mut contents[usize::from(change[0] >> 4) % files.len()];
        let place = usize::from(u16::from_le_bytes([change[1], change[2]])) % content.len().max(1);
        match change[0] & 3 {
            0 => content.truncate(place),
            1 => content.insert(place.min(content.len()), change[3]),
            _ => content.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= change[3]),
        }
    }
    files.iter().zip(contents).for_each(|(file, content)| fs::write(file, content).expect("a file of a pack"));

    let store = Store::open(&directory).expect("a store with damaged packs");
    for name in &names {
        assert!(store.read(name).is_ok_and(|found| name.matches(&found)) || !store.contains(name));
    }
    store.verify_all().expect("a look through the store");
    assert_eq!(put(&store), names);
    let later = Store::open(&directory).expect("a store that was mended");
    for name in &names {
        assert!(name.matches(&later.read(name).expect("what was put again")));
    }
    assert_eq!(later.verify_all().expect("a look through the store").corrupt_objects, 0);
});
