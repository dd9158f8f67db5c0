//! What compilers answer to `-###`, `-M`, `-v` and other queries: any bytes.

#![no_main]

#[path = "../world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use world::{lines, made, plan};

fuzz_target!(|bytes: &[u8]| {
    let world = made([("a.c", &b"#include MACRO(x)\n"[..]), ("b.c", b"int x;"), ("a.o", b"\x7fELF")], bytes);
    let calls = [
        "gcc -c a.c",
        "gcc -c b.c -march=native",
        "gcc -o out a.o -lm",
        "g++ -o out b.c a.o",
        "clang -c b.c",
        "clang -o out a.o",
    ];
    plan(&world, &lines(&calls));
});
