//! `-march=native` is sealed so that the object stays the same.

use std::ffi::OsStr;

use super::step;
use crate::driver::environment::NATIVE;
use crate::driver::testing::Scratch;

const SOURCE: &str = "void f(float *a, float *b) { for (int i = 0; i < 64; i++) a[i] += b[i] * 3; }\n";

#[test]
fn the_object_stays_the_same() {
    for line in
        ["gcc -O3 -march=native -c f.c", "gcc -O2 -mtune=native -c f.c", "g++ -march=native -mtune=native -c f.c"]
    {
        let scratch = Scratch::new().with("f.c", SOURCE);
        let words: Vec<&str> = line.split(' ').collect();
        let call = scratch.call(&words);
        scratch.run(&call);
        let plain = std::fs::read(scratch.path("f.o")).unwrap();
        let step = step(&call);
        assert!(!step.argv.iter().any(|arg| arg.to_string_lossy().ends_with("=native")), "{:?}", step.argv);
        assert!(!step.env.contains_key(OsStr::new(NATIVE)));
        scratch.run(&scratch.call(&step.argv));
        assert_eq!(std::fs::read(scratch.path("f.o")).unwrap(), plain, "{line}");
    }
}

#[test]
fn a_record_of_the_options_keeps_the_argument() {
    for line in ["gcc -g -march=native -c f.c", "gcc -flto -march=native -c f.c", "clang -march=native -c f.c"] {
        let scratch = Scratch::new().with("f.c", SOURCE);
        let words: Vec<&str> = line.split(' ').collect();
        let call = scratch.call(&words);
        let step = step(&call);
        assert_eq!(step.argv, call.argv);
        assert!(step.env.get(OsStr::new(NATIVE)).is_some_and(|it| it.len() > 20), "{line}");
    }
}
