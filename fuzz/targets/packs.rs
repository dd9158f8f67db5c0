//! Packs and sources, which come from a remote store, a request or an answer.

#![no_main]

use std::sync::LazyLock;

use gg_store::Store;
use gg_store::remote::{Sources, pack};
use libfuzzer_sys::fuzz_target;

/// A store that stays for the whole run; nothing but what is right gets into it.
static STORE: LazyLock<Store> = LazyLock::new(|| {
    let place = std::env::temp_dir().join(format!("gg-fuzz-packs-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&place);
    Store::open(&place).expect("a place for a store")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(names) = pack::read_into(bytes, &STORE) {
        for name in names {
            assert!(name.matches(&STORE.read(&name).expect("what was read into the store")));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(sources) = serde_json::from_str::<Sources>(text)
    {
        let again = serde_json::to_string(&sources).expect("sources");
        assert_eq!(serde_json::from_str::<Sources>(&again).expect("what was written"), sources);
    }
});
