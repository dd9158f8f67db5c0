//! What is put in is what a program finds.

use gg_worker::SandboxChoice;

use crate::support::*;

/// As long as a small file may be (`plan::emit`), all but some bytes; another one for each number.
fn small(number: usize) -> String {
    format!("{number:07}\n").repeat((64 << 10) / 8)
}

#[test]
fn more_small_files_than_are_kept_at_hand_are_all_there() {
    // 64 MiB of them are kept (`shelf`): here they come to an end in the middle of a request.
    const FILES: usize = 1100;
    let bench = Bench::with(1, SandboxChoice::Namespace);
    let mut step = bench.script("cat in/* > all").output("all", "/p/all");
    for number in 0..FILES {
        step = step.file(format!("/p/in/{number:07}"), small(number));
    }
    let all = step.done().outputs[&tag("all")].clone();
    let wanted: Vec<u8> = (0..FILES).flat_map(|number| small(number).into_bytes()).collect();
    assert!(step.bytes(&all) == wanted);
    // The same process goes on, with what was there before and with what was not.
    for number in [0, FILES - 1, FILES] {
        let step = bench.script("cat one two").file("/p/one", small(number)).file("/p/two", small(number + 1));
        assert!(step.says() == small(number) + &small(number + 1), "{number}");
    }
}
