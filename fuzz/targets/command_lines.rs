//! Any words after any tool's name: the first byte chooses the tool, NUL bytes part the words.

#![no_main]

#[path = "../world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use world::{TOOLS, made, plan};

fuzz_target!(|bytes: &[u8]| {
    let Some((tool, rest)) = bytes.split_first() else { return };
    let world = made([("a.c", &b"int x;\n"[..]), ("a.o", b"\x7fELF"), ("r", rest)], b"");
    let mut words = vec![TOOLS[usize::from(*tool) % TOOLS.len()].as_bytes()];
    words.extend(rest.split(|&byte| byte == 0));
    let with_file = vec![words[0], b"@r"];
    plan(&world, &[words, with_file]);
});
