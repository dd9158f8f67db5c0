//! Files that tools read to find others: linker scripts, archives, shared libraries, assembly.

#![no_main]

#[path = "../world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use world::{lines, made, plan};

fuzz_target!(|bytes: &[u8]| {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let thin = [b"!<thin>\n", bytes].concat();
    let files: [(&str, &[u8]); 8] = [
        ("a.o", b"\x7fELF"),
        ("script", bytes),
        ("libx.so", first),
        ("liby.a", second),
        ("libz.a", &thin),
        ("a.asm", bytes),
        ("a.s", bytes),
        ("a.inc", second),
    ];
    let world = made(files, b"");
    let calls = [
        "ld -o out a.o -T script -L. -lx -ly libz.a",
        "ld -o out a.o script libx.so",
        "ld -shared -o out.so --whole-archive libz.a --version-script script",
        "ar rc liby.a a.o",
        "ar rcT libz.a a.o",
        "ranlib libz.a",
        "nasm -f elf64 -o a.o a.asm",
        "yasm -f elf64 -o a.o a.asm",
        "as -o a.o a.s",
        "strip libx.so",
        "objcopy -S libx.so out",
    ];
    plan(&world, &lines(&calls));
});
