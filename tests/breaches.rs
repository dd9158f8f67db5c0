//! What a thunk must not do, and how that is told: by its name and its input, on this machine and on functions.

#[cfg(feature = "lambda")]
use crate::cloud::Cloud;
#[cfg(feature = "lambda")]
use crate::project::run;
use crate::project::{Project, Ran};

/// A case: the arguments of `gg run` after its input, the exit status, and what is said.
type Case = (&'static [&'static str], i32, &'static str);

/// A program that writes a graph of ten million thunks, most of a hundred megabytes.
const TEN_MILLION: &str =
    "{ printf 'gg-graph 1\\n{\"output\": {\"text\": \"\"}, \"thunks\": {\\n'; seq -f '\"%.0f\": {},' 10000000; } >o";

const CASES: &[Case] = &[
    (&["--timeout", "1", "--", "sh", "-c", "echo so far; sleep 60"], 124, "it was ended after 1 s, its limit of time"),
    (&["--", "sh", "-c", "echo >side"], 2, "side: no outputs of its thunk"),
    (&["-o", "o", "--", "true"], 2, "exit status 0, but not written: out"),
    (
        &["--dynamic", "-o", "o", "--", "sh", "-c", "printf 'gg-graph 1\\n{' >o"],
        2,
        "its output 'out' is a malformed graph: EOF",
    ),
    (&["--dynamic", "-o", "o", "--", "sh", "-c", TEN_MILLION], 2, "its output 'out' is a malformed graph: it has"),
];

fn check(ran: &Ran, status: i32, what: &str, input: &str) {
    assert_eq!(ran.status, status, "{}", ran.stderr);
    for said in [what, input, "(thunk T"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
}

/// A project with an input, and a program that lacks a library.
fn project() -> Project {
    let project = Project::new();
    project.write("a.txt", "x");
    project.write("l.c", "int f(void) { return 0; }").write("m.c", "int f(void); int main(void) { return f(); }");
    project.sh("cc -shared -o libl.so l.c && cc m.c -o alone -L. -ll").ok();
    project
}

fn all(project: &Project, gg: impl Fn(&[&str]) -> Ran) {
    let input = project.path("a.txt").display().to_string();
    for (args, status, what) in CASES {
        let ran = gg(&[&["run", "-i", "a.txt"], *args].concat());
        check(&ran, *status, what, &input);
        assert_eq!(ran.stdout, if *status == 124 { "so far\n" } else { "" });
    }
    // The library of a program that is an input like any other is not looked for.
    let ran = gg(&["run", "-i", "a.txt", "-i", "alone", "--", "sh", "-c", "./alone a.txt"]);
    assert!(ran.status != 0 && ran.stderr.contains("libl.so") && ran.stderr.contains("(thunk T"), "{}", ran.stderr);
}

#[test]
fn here() {
    let project = project();
    all(&project, |args| project.gg(args));
    project.gg(&["run", "--loose", "--", "sh", "-c", "echo >side"]).ok();
    assert!(!project.path("side").exists());
}

#[cfg(feature = "lambda")]
#[test]
fn on_functions() {
    let (cloud, project) = (Cloud::start(&[]), project());
    all(&project, |args| run(&mut cloud.gg(&project, args)));
}
