//! Response files: any bytes are words, also where files open each other.

#![no_main]

use std::path::Path;

use gg_models::{MemoryWorld, args, response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    response::split(bytes);
    args::tokens(bytes);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let world = MemoryWorld::new().with("/p/a", first).with("/p/b", second);
    let args = ["@a".into(), "@b".into()];
    let _ = response::expand(&args, Path::new("/p"), &world);
    let _ = args::expand(&args, Path::new("/p"), &world);
});
