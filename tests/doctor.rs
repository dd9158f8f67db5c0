//! `gg doctor`: what is in order, what is not, whose fault it is, and what to do.

use std::process::Command;

use serde_json::Value;

#[cfg(feature = "lambda")]
use crate::cloud::{Cloud, SECRET};
use crate::project::{Project, Ran, run};

fn doctor(project: &Project, arguments: &[&str]) -> Command {
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    command.arg("doctor").args(arguments).env("XDG_CONFIG_HOME", project.path("config"));
    command
}

/// What was found: `group/check` and how it stands.
fn found(ran: &Ran) -> Vec<(String, String)> {
    let list: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let text = |finding: &Value, part: &str| finding[part].as_str().unwrap().to_owned();
    let all = list.as_array().unwrap().iter();
    all.map(|one| (format!("{}/{}", text(one, "group"), text(one, "check")), text(one, "state"))).collect()
}

fn state(ran: &Ran, check: &str) -> String {
    let all = found(ran);
    let found = all.iter().find(|(name, _)| name == check);
    found.unwrap_or_else(|| panic!("no {check} in {all:?}")).1.clone()
}

#[test]
fn a_healthy_machine() {
    let project = Project::new();
    let told = run(&mut doctor(&project, &[])).ok().stdout;
    for line in [
        "  ok    version",
        "  ok    sandbox",
        "  ok    leading",
        "  ok    local         C, C++ and a link: the same bytes",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains("engine lambda"), "{told}");
    // A look leaves nothing behind.
    assert!(!project.store().join("reports").read_dir().is_ok_and(|mut left| left.next().is_some()));
}

#[test]
fn what_is_wrong_here() {
    let project = Project::new();
    project.write("gg.toml", "engine = ['moon']\n");
    let told = run(&mut doctor(&project, &["--json"]));
    assert_eq!((told.status, state(&told, "configuration/settings")), (1, "fail".to_owned()));
    // The rest is looked at all the same.
    assert_eq!(state(&told, "canary/local"), "ok");
    project.sh("rm gg.toml && mkdir nothing").ok();
    let told = run(doctor(&project, &["--json"]).env("PATH", project.path("nothing")).env("GG_ENGIN", "x"));
    assert_eq!((told.status, state(&told, "tools/compiler")), (1, "fail".to_owned()));
    assert_eq!(state(&told, "canary/local"), "skipped");
    assert!(told.stdout.contains("GG_ENGIN mean nothing to gg"), "{}", told.stdout);
    let told = run(doctor(&project, &["--json"]).env("GG_DIR", "/proc/nowhere"));
    assert_eq!((told.status, state(&told, "gg/directory")), (1, "fail".to_owned()));
    assert_eq!(state(&told, "canary/local"), "skipped");
    let told = run(doctor(&project, &["--json"]).env("GG_SANDBOX", "plain"));
    assert_eq!((told.status, state(&told, "this machine/sandbox")), (0, "warn".to_owned()));
}

#[test]
fn a_compiler_that_gg_would_break_is_found() {
    let project = Project::new();
    // It makes another file each time, as an engine that garbles what it makes would.
    for name in ["cc", "c++"] {
        let script = "for a; do case $a in *.o) echo $$ >>$a; esac; done";
        project.write(format!("bin/{name}"), format!("#!/bin/sh\n/usr/bin/{name} \"$@\" || exit\n{script}\n"));
    }
    project.sh("chmod +x bin/*").ok();
    let path = format!("{}:/usr/bin:/bin", project.path("bin").display());
    let told = run(doctor(&project, &[]).env("PATH", path).env("TMPDIR", project.root()));
    assert_eq!(told.status, 1, "{}", told.stdout);
    assert!(told.stdout.contains("FAIL  local         C, C++ and a link: these files are not"), "{}", told.stdout);
    // Both are kept, for whoever looks into it.
    let kept = project.sh("echo gg-canary-*/plain/canary.o gg-canary-*/work/canary.o").ok().stdout;
    assert!(kept.split_whitespace().all(|file| project.path(file).exists()), "{kept}");
}

#[test]
#[cfg(feature = "lambda")]
fn a_healthy_function() {
    let (cloud, project) = (Cloud::start(&[]), Project::new());
    for arguments in [&["--json"][..], &[]] {
        let mut command = doctor(&project, arguments);
        cloud.environment(&mut command);
        let told = run(&mut command).ok();
        if !arguments.is_empty() {
            for check in ["credentials", "store", "function"] {
                assert_eq!(state(&told, &format!("engine lambda/{check}")), "ok", "{}", told.stdout);
            }
            assert_eq!(state(&told, "canary/lambda"), "ok", "{}", told.stdout);
        }
        assert!(told.stdout.contains("the key that ends in ESTS, from the environment"), "{}", told.stdout);
        assert!(!told.stdout.contains(SECRET) && !told.stderr.contains(SECRET));
    }
    // Each time one visit, two compiles and a link.
    assert!(cloud.invocations() >= 2 * 4, "{}", cloud.log());
}

#[test]
#[cfg(feature = "lambda")]
fn what_is_wrong_with_a_function() {
    let (mut cloud, project) = (Cloud::start(&[]), Project::new());
    let told = |cloud: &Cloud, name: &str, value: &str| {
        let mut command = doctor(&project, &["--json"]);
        cloud.environment(&mut command);
        let told = run(command.env(name, value));
        assert_eq!((told.status, state(&told, "canary/lambda")), (1, "skipped".to_owned()), "{}", told.stdout);
        told
    };
    let none = told(&cloud, "GG_FUNCTION", "");
    assert_eq!(state(&none, "engine lambda/function"), "fail");
    let other = told(&cloud, "GG_FUNCTION", "another");
    assert!(state(&other, "engine lambda/function") == "fail" && other.stdout.contains("`gg deploy aws` makes it"));
    let endpoint = cloud.store_endpoint();
    let bucket = told(&cloud, "GG_STORE", &format!("s3://no-such-bucket/x?region=us-east-1&endpoint={endpoint}"));
    assert!(state(&bucket, "engine lambda/store") == "fail" && bucket.stdout.contains("there is no such bucket"));
    cloud.end_door();
    let gone = told(&cloud, "GG_STATUS", "0");
    assert_eq!(state(&gone, "engine lambda/store"), "ok");
    assert_eq!(state(&gone, "engine lambda/function"), "fail");
    // Without credentials nothing is asked.
    let mut command = doctor(&project, &["--json"]);
    cloud.environment(&mut command);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env_remove("AWS_PROFILE");
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    let nobody = run(command.env("AWS_EC2_METADATA_DISABLED", "true"));
    assert_eq!((nobody.status, state(&nobody, "engine lambda/credentials")), (1, "fail".to_owned()));
    assert_eq!(state(&nobody, "engine lambda/store"), "skipped");
}
