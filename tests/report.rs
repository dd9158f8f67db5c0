//! `gg report`.

use crate::project::Project;

#[test]
fn reasons_are_counted() {
    let project = Project::new();
    project
        .write("Makefile", "all:\n\t$(CC) --help=common | wc -l\n\t$(CC) -S a.c -o - | wc -l\n\t$(CC) -c a.c\n\tar t /dev/null || true\n\t(echo 'int x;'; sleep 2) | $(CC) -c -x c - -o x.o\n")
        .write("a.c", "int a;\n");
    project.gg_make(&[]).ok();
    let text = project.gg(&["report"]).ok().stdout;
    for reason in ["asks the tool about itself", "writes to standard output", "only reads", "reads standard input"] {
        assert!(text.contains(reason), "{reason}: {text}");
    }
    assert!(text.contains("compile"), "{text}");
}

#[test]
fn no_report_yet() {
    let project = Project::new();
    let ran = project.gg(&["report"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("build something"), "{}", ran.stderr);
}

/// A project of three steps: two compiles and a link.
fn small() -> Project {
    let project = Project::new();
    project
        .write("Makefile", "app: main.o 'b c.o'\n\t$(CC) -o $@ main.o 'b c.o'\nmain.o: main.c\n\t$(CC) -c main.c\n'b c.o': b.c\n\t$(CC) -DTEXT=\"\\\"it's\\\"\" -c b.c -o 'b c.o'\n")
        .write("main.c", "int b(void);\nint main(void) { return b(); }\n")
        .write("b.c", "const char *text = TEXT;\nint b(void) { return 0; }\n");
    project
}

#[test]
fn a_step_from_its_call_to_its_end() {
    let project = small();
    project.gg_make(&[]).ok();
    let record = project.report();
    assert_eq!((record["version"].as_u64(), record["run"].as_u64()), (Some(1), Some(1)));
    let steps = record["steps"].as_array().unwrap();
    let place =
        |name: &str| steps.iter().position(|step| step["label"] == project.path(name).to_str().unwrap()).unwrap();
    let (app, main, b) = (place("app"), place("main.o"), place("b c.o"));
    let needs: Vec<u64> = steps[app]["needs"].as_array().unwrap().iter().map(|need| need.as_u64().unwrap()).collect();
    assert_eq!(needs, [main.min(b) as u64, main.max(b) as u64]);
    for step in steps {
        let time = |name: &str| step[name].as_u64().unwrap_or_else(|| panic!("{name}: {step}"));
        assert!(time("inferred_us") <= time("ready_us") && time("ready_us") <= time("ended_us"), "{step}");
        assert!(time("peak_kib") > 0 && time("cpu_us") > 0 && step["status"] == 0, "{step}");
        let [attempt] = &step["attempts"].as_array().unwrap()[..] else { panic!("{step}") };
        let (sent, ended) = (attempt["sent_us"].as_u64().unwrap(), attempt["ended_us"].as_u64().unwrap());
        assert!(time("ready_us") <= sent && sent < ended && ended <= time("ended_us"), "{step}");
        assert_eq!((&attempt["engine"], &attempt["end"]), (&"local".into(), &"done".into()));
        let phases = ["queue_us", "fetch_us", "prepare_us", "run_us", "store_us"];
        let spent: u64 = phases.iter().map(|phase| attempt[phase].as_u64().unwrap_or(0)).sum();
        assert!(attempt["run_us"].as_u64().unwrap() > 0 && spent <= ended - sent + 5, "{step}");
    }
    assert!(steps[app]["ready_us"].as_u64() >= steps[b]["ended_us"].as_u64(), "{record}");
    // The command runs as it stands in its directory.
    let want = project.read("b c.o");
    std::fs::remove_file(project.path("b c.o")).unwrap();
    let (directory, command) = (steps[b]["directory"].as_str().unwrap(), steps[b]["command"].as_str().unwrap());
    project.sh(&format!("cd {directory} && {command}")).ok();
    assert_eq!(project.read("b c.o"), want);
}

#[test]
fn what_was_made_before_is_needed_too() {
    let project = small();
    // The link is inferred when its objects are real files: somebody has opened them.
    project.write(
        "Makefile",
        "app: main.o 'b c.o'\n\tcat main.o 'b c.o' >/dev/null\n\t$(CC) -o $@ main.o 'b c.o'\nmain.o: main.c\n\t$(CC) -c main.c\n'b c.o': b.c\n\t$(CC) -DTEXT='\"\"' -c b.c -o 'b c.o'\n",
    );
    project.gg_make(&[]).ok();
    let record = project.report();
    let steps = record["steps"].as_array().unwrap();
    let app = steps.iter().find(|step| step["label"].as_str().unwrap().ends_with("/app")).unwrap();
    assert_eq!(app["needs"], serde_json::json!([0, 1]), "{record}");
}

#[test]
fn runs_are_kept_and_have_numbers() {
    let project = small();
    project.gg_make(&[]).ok();
    project.write("b.c", "const char *text = TEXT;\nint b(void) { return 1; }\n").gg_make(&[]).ok();
    let run = |name: &str| -> serde_json::Value {
        serde_json::from_str(&project.gg(&["report", name, "--json"]).ok().stdout).unwrap()
    };
    assert_eq!((run("last")["run"].clone(), run("2")["steps"].as_array().unwrap().len()), (2.into(), 2));
    assert_eq!((run("previous")["run"].clone(), run("1")["steps"].as_array().unwrap().len()), (1.into(), 3));
    let none = project.gg(&["report", "3"]);
    assert!(none.status == 2 && none.stderr.contains("there are 1, 2"), "{}", none.stderr);
}

#[test]
fn a_failure_and_what_it_keeps_from_running() {
    let project = small();
    project.write("b.c", "int b(void) { return 0 }\n");
    assert_eq!(project.gg_make(&[]).status, 2);
    let record = project.report();
    let steps = record["steps"].as_array().unwrap();
    let step = |end: &str| steps.iter().find(|step| step["label"].as_str().unwrap().ends_with(end)).unwrap();
    let failed = step("b c.o");
    assert_eq!((&failed["served"], &failed["status"]), (&"failed".into(), &1.into()), "{failed}");
    assert!(failed["stderr"].as_str().unwrap().contains("expected"), "{failed}");
    assert!(failed["failure"].as_str().unwrap().contains("exit status 1"), "{failed}");
    // A failure is not believed at once.
    let ends: Vec<&str> =
        failed["attempts"].as_array().unwrap().iter().map(|attempt| attempt["end"].as_str().unwrap()).collect();
    assert_eq!(ends, ["failed", "failed"]);
    assert_eq!(step("app")["served"], "not run");
    assert_eq!(record["status"], 2);
}

#[test]
fn what_ran_here_has_times() {
    let project = Project::new();
    project.write("Makefile", "all:\n\t$(CC) --help=common | wc -l\n");
    project.gg_make(&[]).ok();
    let record = project.report();
    let call = &record["here"][0];
    let (began, ended) = (call["began_us"].as_u64().unwrap(), call["ended_us"].as_u64().unwrap());
    assert!(began < ended && ended <= record["wall_ms"].as_u64().unwrap() * 1000 + 999, "{call}");
}

#[test]
fn a_summary_a_trace_and_a_comparison() {
    let project = small();
    project.gg_make(&[]).ok();
    let text = project.gg(&["report"]).ok().stdout;
    for part in ["(run 1)", "critical path", "2 steps", "slowest steps", "parallelism", "--html"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let trace: serde_json::Value = serde_json::from_str(&project.gg(&["report", "--trace", "-"]).ok().stdout).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let app = events.iter().find(|event| event["name"] == "app").unwrap();
    assert_eq!((&app["ph"], &app["cat"]), (&"X".into(), &"link".into()));
    let inside = |event: &&serde_json::Value| {
        let (from, to) = (app["ts"].as_u64().unwrap(), app["ts"].as_u64().unwrap() + app["dur"].as_u64().unwrap());
        let ts = event["ts"].as_u64().unwrap();
        event["name"] == "run" && event["tid"] == app["tid"] && (from..=to).contains(&ts)
    };
    assert!(events.iter().any(|event| inside(&event)), "{trace}");

    project.write("b.c", "const char *text = TEXT;\nint b(void) { return 1; }\n");
    project.sh("rm -f main.o app").ok();
    project.gg_make(&[]).ok();
    let text = project.gg(&["report", "--against", "previous"]).ok().stdout;
    assert!(text.contains("run 2 against run 1") && text.contains("cached, and was executed: 1"), "{text}");
    assert!(text.contains("compile      main.o"), "{text}");
    let list = project.gg(&["report", "--list"]).ok().stdout;
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(project.gg(&["report", "1", "--against", "previous"]).stderr.contains("no run before"));
    let said = project.gg(&["report", "--html"]).ok().stdout;
    assert!(said.contains("gg-report.html") && !project.read("gg-report.html").is_empty(), "{said}");
}
