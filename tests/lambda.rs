//! Every step on functions, with what can go wrong there.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cloud::{Cloud, SECRET};
use crate::project::{Manifest, Project, assert_same, run};
use crate::screen::Screen;

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
fn plain(project: &Project) -> Manifest {
    project.make(&["-j2"]).ok();
    let want = project.manifest();
    clean(project);
    want
}

/// A project of many steps, so that things can happen meanwhile.
fn long() -> Project {
    let project = Project::new();
    let mut makefile = String::from("app: $(patsubst %,f%.o,$(shell seq 24))\n\t$(CC) $^ -o $@\n");
    makefile += "%.o: %.c\n\t$(CC) -O2 -c $< -o $@\n";
    project.write("Makefile", makefile).write("f1.c", "int main(void) { return 0; }\n");
    for number in 2..=24 {
        let code = format!(
            "#include <stdlib.h>\n#include <stdio.h>\nint f{number}(void) {{ return printf(\"{number}\"); }}\n"
        );
        project.write(format!("f{number}.c"), code);
    }
    project
}

/// Runs a build, and lets something happen when it is half-way.
fn meanwhile(cloud: &mut Cloud, command: &mut Command, happen: impl FnOnce(&mut Cloud)) -> (i32, String) {
    let mut build = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (begun, before) = (Instant::now(), cloud.invocations());
    while cloud.invocations() < before + 6 {
        assert!(build.try_wait().unwrap().is_none(), "the build was over before: {}", cloud.log());
        assert!(begun.elapsed() < Duration::from_secs(120), "{}", cloud.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    happen(cloud);
    let ended = build.wait_with_output().unwrap();
    (ended.status.code().unwrap(), String::from_utf8_lossy(&ended.stderr).into_owned())
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
    let head = "gg: failed: two.o (from two.c): exit status 1, on lambda (worker ";
    assert!(failed.stderr.contains(head) && failed.stderr.contains("), 2 times\n    cd "), "{}", failed.stderr);
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
fn connections_that_are_reset_are_made_again_and_told() {
    let (cloud, project) = (Cloud::start(&["--fault", "reset=3"]), project());
    let want = plain(&project);
    run(&mut cloud.gg_make(&project, &["-j4", "--no-fallback"])).ok();
    assert_same(&want, &project.manifest());
    assert_all_far(&project);
    assert_eq!(count(&project, "lost"), 3, "{}\n{}", project.report()["engines"], cloud.log());
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
    // The program is not at fault.
    assert!(
        told.stderr.contains("gg could not run its command, which is not at fault\n    engine 'lambda' "),
        "{}",
        told.stderr
    );
    assert!(!told.stderr.contains("exit status 1"), "{}", told.stderr);
    // What was tried, a line each, before the command.
    let (_, after) = told.stderr.split_once("which is not at fault\n").unwrap();
    let tries: Vec<&str> = after.lines().skip(1).take_while(|line| !line.starts_with("    cd ")).collect();
    assert!(!tries.is_empty(), "{}", told.stderr);
    for line in tries {
        assert!(
            line.starts_with("    a try on lambda, ") && line.contains(" after ") && line.contains(" s: "),
            "{line}"
        );
    }
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

#[test]
fn a_service_that_goes_away_in_mid_build() {
    let (mut cloud, project) = (Cloud::start(&[]), long());
    let want = plain(&project);
    let mut build = cloud.gg_make(&project, &["-j2", "--fallback"]);
    let (status, told) = meanwhile(&mut cloud, &mut build, Cloud::end_door);
    assert_eq!(status, 0, "{told}");
    assert_eq!(told.matches("AWS Lambda cannot be used any more").count(), 1, "{told}");
    assert_same(&want, &project.manifest());
}

#[test]
fn a_service_that_goes_away_is_an_error_without_fallback() {
    let (mut cloud, project) = (Cloud::start(&[]), long());
    let mut build = cloud.gg_make(&project, &["-j2", "--no-fallback"]);
    let (status, told) = meanwhile(&mut cloud, &mut build, Cloud::end_door);
    assert_eq!(status, 2, "{told}");
    assert!(told.contains("AWS Lambda cannot be used any more"), "{told}");
}

#[test]
fn a_store_that_is_emptied_in_mid_build() {
    let (mut cloud, project) = (Cloud::start(&[]), long());
    let want = plain(&project);
    let mut build = cloud.gg_make(&project, &["-j2"]);
    let (status, told) = meanwhile(&mut cloud, &mut build, |cloud| {
        cloud.empty();
        cloud.kill_workers();
    });
    assert_eq!(status, 0, "{told}");
    assert_same(&want, &project.manifest());
    assert_all_far(&project);
    assert!(count(&project, "uploaded_again") > 0, "{}", project.report()["engines"]);
}

#[test]
fn what_is_damaged_in_the_store_is_uploaded_again() {
    let (cloud, project) = (Cloud::start(&[]), project());
    let want = plain(&project);
    run(&mut cloud.gg_make(&project, &["-j4"])).ok();
    clean(&project);
    std::fs::remove_dir_all(project.store().join("reductions")).unwrap();
    assert!(cloud.damage() > 2);
    cloud.kill_workers();
    run(&mut cloud.gg_make(&project, &["-j4"])).ok();
    assert_same(&want, &project.manifest());
    assert_all_far(&project);
    assert!(count(&project, "corrupt") > 0, "{}", project.report()["engines"]);
}

#[test]
fn credentials_of_a_profile() {
    let (cloud, project) = (Cloud::start(&[]), project());
    let want = plain(&project);
    let profiles = project.store().with_file_name("credentials");
    std::fs::write(&profiles, cloud.profile("builds")).unwrap();
    let mut build = cloud.gg_make(&project, &["-j4"]);
    build.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    run(build.env("AWS_SHARED_CREDENTIALS_FILE", &profiles).env("AWS_PROFILE", "builds")).ok();
    assert_same(&want, &project.manifest());
    assert_all_far(&project);
}

#[test]
fn a_step_that_says_more_than_fits_into_an_answer() {
    let (cloud, project) = (Cloud::start(&[]), Project::new());
    project.write("Makefile", "a.o: a.c\n\t$(CC) -Wall -c a.c\n");
    // Each is shown twice, as a message and as a line of the source.
    let code: String = (0..500).map(|number| format!("#warning unused {number} {}\n", "x".repeat(8000))).collect();
    project.write("a.c", code);
    let told = project.make(&[]).ok().stderr;
    let want = project.manifest();
    assert!(told.len() > 5_000_000, "{}", told.len());
    clean(&project);
    let ran = run(&mut cloud.gg_make(&project, &[])).ok();
    assert_same(&want, &project.manifest());
    assert_all_far(&project);
    assert_eq!(ran.stderr.matches("#warning unused").count(), told.matches("#warning unused").count());
}

#[test]
fn a_terminal_says_where_steps_run_and_what_they_cost() {
    let (cloud, project) = (Cloud::start(&[]), long());
    let mut screen = Screen::start(cloud.gg_make(&project, &["-j2"]), (24, 100));
    let bottom = |screen: &Screen| screen.rows()[20..].join("\n");
    screen.until(|screen| bottom(screen).starts_with("gg  0:") && bottom(screen).contains(" up  "));
    let last = screen.rows()[23].clone();
    assert!(last.starts_with("    lambda ") && last.contains("  $0.0") && last.ends_with(" down"), "{last}");
    assert!(screen.end().success());
    let last = screen.text().lines().last().unwrap().to_owned();
    assert!(last.starts_with("gg: ") && last.contains(", about $0.0"), "{last}");
}

#[test]
fn each_try_on_a_function_is_in_the_record() {
    let (cloud, project) = (Cloud::start(&[]), project());
    run(&mut cloud.gg_make(&project, &["-j4"])).ok();
    let report = project.report();
    let mut workers = std::collections::BTreeSet::new();
    for step in report["steps"].as_array().unwrap() {
        let tries = step["attempts"].as_array().unwrap();
        let done = tries.iter().find(|attempt| attempt["end"] == "done").unwrap_or_else(|| panic!("{step}"));
        assert_eq!(done["engine"], "lambda", "{step}");
        workers.insert(done["worker"].as_u64().unwrap_or_else(|| panic!("no worker: {step}")));
        let time = |name: &str| done[name].as_u64().unwrap_or(0);
        assert!(time("queue_us") > 0 && time("run_us") > 0 && time("bytes_up") > 0 && time("bytes_down") > 0, "{step}");
        let phases = ["upload_us", "queue_us", "fetch_us", "prepare_us", "run_us", "store_us"];
        let sum: u64 = phases.into_iter().map(time).sum();
        assert!(time("sent_us") < time("ended_us") && sum <= time("ended_us") - time("sent_us") + 1000, "{step}");
    }
    assert!(workers.iter().copied().eq(0..workers.len() as u64) && workers.len() <= 4, "{workers:?}");
    let why = project.gg(&["why", "app"]).ok().stdout;
    assert!(why.starts_with("app (link, exit status 0, on lambda (worker "), "{why}");
    assert!(why.contains("  until a worker had it") && why.contains("  for its program\n"), "{why}");
}

#[test]
fn why_tells_of_the_duplicate_of_a_step_that_lagged() {
    // One of the four workers takes a hundred times as long.
    let (cloud, project) = (Cloud::start(&["--fault", "slow=1x100"]), long());
    run(&mut cloud.gg_make(&project, &["-j8"])).ok();
    assert!(count(&project, "duplicates_won") > 0, "{}\n{}", project.report()["engines"], cloud.log());
    let report = project.report();
    let beaten = |step: &&serde_json::Value| {
        let tries = step["attempts"].as_array().unwrap();
        tries.iter().any(|attempt| attempt["end"] == "beaten" && attempt["duplicate"] != true)
            && tries.iter().any(|attempt| attempt["end"] == "done" && attempt["duplicate"] == true)
    };
    let step = report["steps"].as_array().unwrap().iter().find(beaten).unwrap_or_else(|| panic!("{report}"));
    let why = project.gg(&["why", step["label"].as_str().unwrap()]).ok().stdout;
    assert!(why.contains("  a try on lambda, beaten\n"), "{why}");
    assert!(why.contains("  a duplicate, since the first one lagged on lambda (worker "), "{why}");
    assert!(why.contains("), done\n"), "{why}");
}
