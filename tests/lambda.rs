//! Every step on functions, with what can go wrong there.

use std::process::Command;

use crate::cloud::{Cloud, SECRET};
use crate::project::{Project, assert_same, run};

/// A project with every kind of step, and outputs that are too large to come with an answer.
fn project() -> Project {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: app app.stripped\n\
             app: main.o libpart.a big.o\n\t$(CC) -flto main.o big.o -L. -lpart -o app\n\
             app.stripped: app\n\tcp app $@ && strip $@\n\
             libpart.a: one.o two.o\n\t$(AR) rcs $@ one.o two.o\n\
             %.o: %.c part.h\n\t$(CC) -O2 -g -Wall -c $< -o $@\n",
        )
        .write("part.h", "int one(void); int two(void); extern const char big[600000];\n")
        .write("main.c", "#include <stdio.h>\n#include \"part.h\"\nint main(void) { int unused; return printf(\"%d\\n\", one() + two()) < 0; }\n")
        .write("one.c", "#include \"part.h\"\nint one(void) { return 1; }\n")
        .write("two.c", "#include \"part.h\"\nint two(void) { return 2; }\n")
        .write("big.c", format!("#include \"part.h\"\nconst char big[600000] = \"{}\";\n", "x7!".repeat(150_000)));
    project
}

/// What plain make leaves.
fn plain(project: &Project) -> crate::project::Manifest {
    project.make(&["-j2"]).ok();
    let want = project.manifest();
    clean(project);
    want
}

fn clean(project: &Project) {
    project.sh("rm -f app app.stripped *.o *.a").ok();
}

fn assert_all_far(project: &Project) {
    let report = project.report();
    for step in report["steps"].as_array().unwrap() {
        assert_eq!((step["served"].as_str(), step["engine"].as_str()), (Some("executed"), Some("lambda")), "{step}");
    }
    assert_eq!(report["here"].as_array().unwrap().len(), 0, "{}", report["here"]);
}

fn count(project: &Project, name: &str) -> u64 {
    project.report()["engines"][0]["counts"][name].as_u64().unwrap_or(0)
}

#[test]
fn every_step_runs_on_functions() {
    let (cloud, project) = (Cloud::start(&[]), project());
    let want = plain(&project);
    let ran = run(&mut cloud.gg_make(&project, &["-j4"])).ok();
    assert_same(&want, &project.manifest());
    assert_all_far(&project);
    assert_eq!(ran.stderr.matches("unused variable").count(), 1, "{}", ran.stderr);
    // Once more: nothing is asked of anybody.
    clean(&project);
    run(&mut cloud.gg_make(&project, &["-j4"])).ok();
    assert_same(&want, &project.manifest());
    assert_eq!(count(&project, "requests"), 0);
    // What the tool says is the program's own failure, and is told once.
    project.write("two.c", "int two(void) { return nothing; }\n");
    let failed = run(&mut cloud.gg_make(&project, &["-k"]));
    assert_eq!(failed.status, 2);
    assert_eq!(failed.stderr.matches("undeclared (first use").count(), 1, "{}", failed.stderr);
    assert!(!project.path("two.o").exists());
    // Nobody has written down who we are.
    let everything =
        Command::new("grep").args(["-rl", SECRET]).arg(project.store()).arg(project.root()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&everything.stdout), "");
    assert!(!cloud.all_logs().windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
}

#[test]
fn what_goes_wrong_on_the_way_is_overcome() {
    let faults = ["crash=0.15", "throttle=0.15", "error500=0.1", "lost=0.1", "corrupt-reply=1", "slow=1x4"];
    let arguments: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).chain(["--seed", "7"]).collect();
    let (cloud, project) = (Cloud::start(&arguments), project());
    let want = plain(&project);
    run(&mut cloud.gg_make(&project, &["-j4"])).ok();
    assert_same(&want, &project.manifest());
    assert_all_far(&project);
    let overcome = ["throttled", "failed", "crashed", "lost", "corrupt"].map(|name| count(&project, name));
    assert!(overcome.iter().sum::<u64>() > 0, "{}\n{}", project.report()["engines"], cloud.log());
}

#[test]
fn an_emptied_store_costs_uploading_again() {
    let (cloud, project) = (Cloud::start(&[]), project());
    let want = plain(&project);
    run(&mut cloud.gg_make(&project, &[])).ok();
    clean(&project);
    std::fs::remove_dir_all(project.store().join("reductions")).unwrap();
    run(&mut cloud.gg(&project, &["infer", "--", "make"])).ok();
    cloud.empty();
    run(&mut cloud.gg(&project, &["force"])).ok();
    assert_same(&want, &project.manifest());
}

#[test]
fn a_service_that_is_gone_is_replaced_or_told() {
    let (mut cloud, project) = (Cloud::start(&[]), project());
    let want = plain(&project);
    cloud.end_door();
    let told = run(&mut cloud.gg_make(&project, &["-j4", "--no-fallback"]));
    assert_eq!(told.status, 2, "{}", told.stderr);
    assert!(told.stderr.contains("AWS Lambda cannot be used any more"), "{}", told.stderr);
    clean(&project);
    let ran = run(cloud.gg_make(&project, &["-j4", "--fallback"]).env("GG_DIR", project.store())).ok();
    assert_same(&want, &project.manifest());
    assert_eq!(ran.stderr.matches("AWS Lambda cannot be used any more").count(), 1, "{}", ran.stderr);
}

#[test]
fn results_are_shared_between_machines() {
    let (cloud, project) = (Cloud::start(&[]), project());
    let want = plain(&project);
    run(cloud.gg_make(&project, &["-j4"]).env("GG_REDUCTIONS", "read-write")).ok();
    assert_same(&want, &project.manifest());
    clean(&project);
    // Another machine has another store.
    std::fs::remove_dir_all(project.store()).unwrap();
    run(cloud.gg_make(&project, &["-j4"]).env("GG_REDUCTIONS", "read")).ok();
    assert_same(&want, &project.manifest());
    assert_eq!(project.served().get("executed"), None, "{:?}", project.served());
    assert_eq!(count(&project, "requests"), 0);
}
