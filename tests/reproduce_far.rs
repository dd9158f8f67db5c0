//! `gg reproduce` of a step whose inputs only the remote store has.

use crate::cloud::Cloud;
use crate::project::{Project, run};

/// Lets the local store lose the object that a step has made as its output `o`.
fn lose(project: &Project, file: &str) {
    let shown: serde_json::Value =
        serde_json::from_str(&project.gg(&["describe", "--json", file]).ok().stdout).unwrap();
    let object = shown["reduction"]["outputs"]["o"]["object"].as_str().unwrap();
    let script = format!("find {} -name '{object}*' -print -exec rm -rf {{}} +", project.store().display());
    assert!(!project.sh(&script).ok().stdout.is_empty(), "{object} was not there");
}

#[test]
fn what_functions_made_is_fetched() {
    let (cloud, project) = (Cloud::start(&[]), Project::new());
    // More than comes with an answer, and does not shrink.
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[(state >> 58) as usize])
    };
    let long: String = (0..9_000_000).map(|_| next()).collect();
    project
        .write("Makefile", "app: main.o big.o\n\t$(CC) $^ -o $@\n%.o: %.c\n\t$(CC) -c $< -o $@\n")
        .write("main.c", "extern const char big[]; int main(void) { return big[0] == 0; }\n")
        .write("big.c", format!("const char big[] = \"{long}\";\n"));
    run(&mut cloud.gg(&project, &["infer", "--", "make"])).ok();
    run(&mut cloud.gg(&project, &["force", "app"])).ok();
    lose(&project, "big.o");
    let unpack = ["reproduce", "--into", "sandbox", "app"];
    // Nobody has it who does not know of the remote store.
    let ran = project.gg(&unpack);
    assert!(ran.status == 2 && ran.stderr.contains("big.o"), "{}", ran.stderr);
    assert!(!project.path("sandbox").exists());
    run(&mut cloud.gg(&project, &unpack)).ok();
    let made = project.path(format!("sandbox/root{}/big.o", project.root().display()));
    assert!(std::fs::metadata(&made).unwrap().len() > 9_000_000);
    run(&mut cloud.gg(&project, &["reproduce", "app", "--", "run"])).ok();
    // What is lost there, too, is told by its path.
    lose(&project, "big.o");
    cloud.empty();
    let ran = run(&mut cloud.gg(&project, &["reproduce", "app", "--", "true"]));
    assert!(ran.status != 0 && ran.stderr.contains("big.o is kept neither here nor in s3://"), "{}", ran.stderr);
}
