//! `gg graph --record`, and `gg simulate` on what it writes.

use serde_json::Value;

use crate::project::Project;

/// Four sources, an archive of two of them, and two programs that link it.
fn build() -> Project {
    let project = Project::new();
    let makefile = "all: one two\nlib.a: a.o b.o\n\tar rcs $@ $^\none two: %: %.o lib.a\n\t$(CC) -o $@ $^\n";
    project.write("Makefile", makefile).write("a.h", "int a(int);\n");
    for (name, text) in [("a", "#include \"a.h\"\nint a(int x) { return x + 1; }\n"), ("b", "int b;\n")] {
        project.write(format!("{name}.c"), text);
    }
    for name in ["one", "two"] {
        project.write(format!("{name}.c"), "#include \"a.h\"\nint main(void) { return a(-1); }\n");
    }
    project.gg_make(&["-j2"]).ok();
    project
}

/// The recorded steps, by label.
fn recorded<'a>(text: &'a str, label: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.ends_with(&format!("\t{label}")));
    line.unwrap_or_else(|| panic!("no {label} in {text}")).split('\t').collect()
}

fn simulate(project: &Project, args: &[&str]) -> Value {
    let ran = project.gg(&[&["simulate", "--json"], args].concat()).ok();
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_build_is_recorded_and_built_again_on_imagined_workers() {
    let project = build();
    let said = project.gg(&["graph", "--record", "graph.txt"]).ok().stdout;
    assert!(said.contains("7 steps"), "{said}");
    let text = String::from_utf8(project.read("graph.txt")).unwrap();
    assert!(text.starts_with("gg-recording 1\n"));
    let step = |label| recorded(&text, label);
    let id = |label| step(label)[0].to_owned();
    let needs = |label| {
        let mut ids: Vec<String> = step(label)[7].split(',').map(str::to_owned).collect();
        ids.sort();
        ids
    };
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!((step("a.o")[1], step("lib.a")[1], step("one")[1]), ("compile", "archive", "link"));
    assert_eq!(needs("a.o"), ["-"]);
    assert_eq!(needs("lib.a"), sorted(vec![id("a.o"), id("b.o")]));
    assert_eq!(needs("two"), sorted(vec![id("two.o"), id("lib.a")]));
    let number = |label, field: usize| step(label)[field].parse::<u64>().unwrap();
    for label in ["a.o", "one.o", "lib.a", "one"] {
        assert!(number(label, 2) > 0 && number(label, 3) > 0 && number(label, 6) > 0, "{label}: {text}");
    }
    // The header counts for each that reads it, and as new for the first of them.
    let length = |name| project.read(name).len() as u64;
    // One that the compiler reads by itself.
    let system = number("b.o", 4) - length("b.c");
    assert_eq!(number("a.o", 4) - system, length("a.c") + length("a.h"));
    assert_eq!(number("lib.a", 4), 0);
    let new: u64 = ["a.o", "b.o", "one.o", "two.o"].iter().map(|label| number(label, 5)).sum();
    // The two programs have one source.
    assert_eq!(new - system, ["a.c", "b.c", "a.h", "one.c"].map(length).iter().sum::<u64>());

    let results = simulate(&project, &["graph.txt", "--workers", "1,100", "--policy", "fifo", "--policy", "chains"]);
    let results = results.as_array().unwrap();
    assert_eq!(results.len(), 4);
    for result in results {
        let figure = |name: &str| result[name].as_f64().unwrap();
        assert_eq!((figure("steps"), figure("failed")), (7.0, 0.0));
        assert!(figure("makespan_s") > figure("bound_s") && figure("dollars") > 0.0, "{result}");
        let chain = result["chain"].as_array().unwrap().iter();
        let sum: f64 = chain.map(|share| share["seconds"].as_f64().unwrap()).sum();
        assert!((sum - figure("makespan_s")).abs() < 1e-3, "{result}");
    }
    let (one, many) = (&results[0], &results[1]);
    assert!(one["makespan_s"].as_f64() > many["makespan_s"].as_f64());
}

#[test]
fn a_step_from_the_cache_is_recorded_as_it_once_ran() {
    let project = build();
    project.gg(&["graph", "--record", "first.txt"]).ok();
    project.sh("rm -f *.o *.a one two").ok();
    project.gg_make(&["-j2"]).ok();
    assert_eq!(project.served().get("cached"), Some(&7));
    project.gg(&["graph", "--record", "second.txt"]).ok();
    let read = |name| {
        let mut lines: Vec<String> = Vec::new();
        let text = String::from_utf8(project.read(name)).unwrap();
        for label in ["a.o", "b.o", "one.o", "lib.a", "one", "two"] {
            lines.push(recorded(&text, label)[2..4].join(" "));
        }
        lines
    };
    assert_eq!(read("first.txt"), read("second.txt"));
}

#[test]
fn the_report_of_a_simulated_build_is_shown_and_replaces_none() {
    let project = build();
    let before = project.gg(&["report"]).ok().stdout;
    let args = ["simulate", "--synthetic", "300", "--workers", "50", "--report", "report.json"];
    let shown = project.gg(&args).ok().stdout;
    assert!(shown.contains("makespan") && shown.contains("of the chain that decided it"), "{shown}");
    let report = project.gg(&["report", "--file", "report.json"]).ok().stdout;
    assert!(report.contains("simulated (at most 50 at once)") && report.contains("compile"), "{report}");
    assert_eq!(project.gg(&["report"]).ok().stdout, before);
}

#[test]
fn the_model_and_the_seed_count() {
    let project = Project::new();
    project.write("slow.toml", "[function]\nspeed = 0.01\n");
    let makespan = |args: &[&str]| {
        simulate(&project, &[&["--synthetic", "200"], args].concat())[0]["makespan_s"].as_f64().unwrap()
    };
    assert!(makespan(&["--model", "slow.toml"]) > 10.0 * makespan(&[]));
    assert_eq!(makespan(&["--seed", "3"]), makespan(&["--seed", "3"]));
    assert_ne!(makespan(&["--seed", "3"]), makespan(&["--seed", "4"]));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let project = Project::new();
    project
        .write("graph.txt", "gg-recording 1\na\tcompile\t1\tx\t0\t0\t0\t-\ta.o\n")
        .write("empty.txt", "gg-recording 1\n");
    project.write("model.toml", "[store]\nlatency = 1\n");
    let said = |args: &[&str]| {
        let ran = project.gg(args);
        assert_eq!(ran.status, 2, "{args:?}: {}", ran.stderr);
        ran.stderr
    };
    let line = said(&["simulate", "graph.txt"]);
    assert!(line.contains("graph.txt: line 2: `cpu_us` is \"x\""), "{line}");
    assert!(said(&["simulate", "empty.txt"]).contains("no steps"));
    assert!(said(&["simulate", "nowhere.txt"]).contains("nowhere.txt"));
    let key = said(&["simulate", "--synthetic", "9", "--model", "model.toml"]);
    assert!(key.contains("model.toml") && key.contains("latency"), "{key}");
    assert!(said(&["simulate", "--synthetic", "9", "--policy", "lifo"]).contains("critical-path"));
    assert!(said(&["simulate"]).contains("--synthetic"));
    assert!(said(&["simulate", "graph.txt", "--synthetic", "9"]).contains("cannot be used with"));
    let report = said(&["simulate", "--synthetic", "9", "--workers", "1,2", "--report", "r.json"]);
    assert!(report.contains("one number of workers"), "{report}");
    assert!(said(&["graph", "--record", "g.txt"]).contains("build something"));
}

#[test]
fn what_was_real_before_it_was_used_is_needed_all_the_same() {
    let project = Project::new();
    // A reader opens the objects, so they are real when they are archived, and one of them has been moved since.
    project
        .write(
            "Makefile",
            "app:\n\t$(CC) -c a.c\n\t$(CC) -c b.c\n\tcksum a.o b.o >/dev/null\n\tmv b.o moved.o\n\tar rcs app a.o moved.o\n",
        )
        .write("a.c", "int main(void) { return 0; }\n")
        .write("b.c", "int b;\n");
    project.gg_make(&[]).ok();
    project.gg(&["graph", "--record", "graph.txt"]).ok();
    let text = String::from_utf8(project.read("graph.txt")).unwrap();
    let id = |label| recorded(&text, label)[0].to_owned();
    let app = recorded(&text, "app");
    let needs: std::collections::BTreeSet<String> = app[7].split(',').map(str::to_owned).collect();
    assert_eq!(needs, [id("a.o"), id("b.o")].into(), "{text}");
    // What steps make is none of the files that the build began with.
    assert_eq!((app[4], app[5]), ("0", "0"), "{text}");
}
