//! A build whose gg is killed has no record, and `gg report` says so.

use std::time::{Duration, Instant};

use crate::project::{Project, Ran};

/// A build whose gg is killed in the middle of it.
fn killed(project: &Project) {
    project.write("slow.mk", "all:\n\ttouch started\n\tsleep 60\n");
    let mut build = project.gg_make_command(&["-f", "slow.mk"]).spawn().unwrap();
    let begun = Instant::now();
    while !project.path("started").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    let meanwhile = project.gg(&["report", "--list"]);
    assert!(meanwhile.status != 0 || meanwhile.stdout.contains("(make -f slow.mk, begun "), "{}", meanwhile.stdout);
    assert!(
        meanwhile.stdout.contains(" still goes on\n") || meanwhile.stderr.contains(" still goes on"),
        "{meanwhile:?}"
    );
    build.kill().unwrap();
    build.wait().unwrap();
    project.sh("rm started").ok();
}

const KILLED: &str = " UTC) did not end in order, since gg was killed or the machine stopped: it has no record";

fn report(project: &Project) -> Ran {
    project.gg(&["report"])
}

#[test]
fn the_last_build_was_killed() {
    let project = Project::new();
    project.write("Makefile", "a.o: a.c\n\t$(CC) -c a.c\n").write("a.c", "int a;\n");
    killed(&project);
    let none = report(&project);
    assert!(none.status == 2 && none.stderr.contains(KILLED), "{}", none.stderr);
    project.gg_make(&[]).ok();
    assert_eq!(report(&project).ok().stderr, "", "the record of the last build is there");
    killed(&project);
    let told = report(&project).ok();
    assert!(told.stderr.starts_with("gg: the last build here (make -f slow.mk, begun "), "{}", told.stderr);
    let end = format!("{KILLED}; what follows is run 1, the one before it\n");
    assert!(told.stderr.ends_with(&end), "{}", told.stderr);
    assert!(told.stdout.contains("(run 1)") && told.stdout.contains("compile"), "{}", told.stdout);
    let list = project.gg(&["report", "--list"]).ok().stdout;
    assert!(list.lines().count() == 3 && list.trim_end().ends_with(KILLED), "{list}");
    // Who asks for that very run, or for a record, gets it without words.
    assert_eq!(project.gg(&["report", "1"]).ok().stderr, "");
    project.gg_make(&[]).ok();
    assert_eq!(report(&project).ok().stderr, "");
}
