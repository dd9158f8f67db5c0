//! `gg deploy aws`: what a first, a second and a last time do to an account.

use std::process::Command;

use crate::cloud::{Cloud, SECRET};
use crate::project::{Project, assert_same, run};

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split(before)
        .nth(1)
        .and_then(|rest| rest.split(after).next())
        .unwrap_or_else(|| panic!("no {before} in {text}"))
}

fn bucket(project: &Project) -> String {
    let toml = String::from_utf8(project.read("config/gg/gg.toml")).unwrap();
    between(&toml, "s3://", "/store?region=us-east-1&endpoint=http://127.0.0.1:").to_owned()
}

#[test]
fn from_nothing_to_a_build_and_back() {
    let (cloud, project) = (Cloud::start(&[]), Project::new());
    let gg = |arguments: &[&str]| run(&mut cloud.deploy(&project, &[&["--name", "gg-tests"], arguments].concat()));
    assert_eq!(gg(&["--status"]).status, 1);
    project.write("config/gg/gg.toml", "# mine\nengine = [\"lambda:2\"]\n");
    gg(&[]).ok();
    let status = gg(&["--status"]).ok().stdout;
    assert!(status.contains("function  gg-tests, x86_64, 1769 MiB\nprogram   as this gg's"), "{status}");
    // The function may use its bucket and its log, and nothing else.
    let role = cloud.ask("iam", "Action=ListRoles&Version=2010-05-08");
    let role = between(&role, "<RoleName>", "<");
    let policy = format!("Action=GetRolePolicy&Version=2010-05-08&RoleName={role}&PolicyName=store-and-log");
    let policy = cloud.ask("iam", &policy);
    let allowed =
        between(&policy, "<PolicyDocument>", "<").replace("%22", "\"").replace("%3A", ":").replace("%2F", "/");
    let place = format!("arn:aws:s3:::{}", bucket(&project));
    assert!(allowed.contains(&place) && !allowed.contains("\"*\"") && !allowed.contains(":*\""), "{allowed}");
    // A build needs nothing but what was written down.
    project
        .write("Makefile", "app: main.c\n\t$(CC) -O2 main.c -o app\n")
        .write("main.c", "int main(void) { return 0; }\n");
    project.make(&[]).ok();
    let want = project.manifest();
    project.sh("rm app").ok();
    run(&mut cloud.gg_make_as_deployed(&project, &["--no-fallback"])).ok();
    assert_same(&want, &project.manifest());
    assert_eq!(project.report()["steps"][0]["engine"], "lambda");
    assert!(cloud.keys(&bucket(&project)).iter().any(|key| key.starts_with("store/packs/")));
    // Again: as it was; then with other memory, which stays when it is not said again.
    gg(&[]).ok();
    assert_eq!(gg(&["--status"]).ok().stdout, status);
    gg(&["--memory", "3008", "--larger-memory", "10240"]).ok();
    gg(&[]).ok();
    let status = gg(&["--status"]).ok().stdout;
    assert!(
        status.contains("gg-tests, x86_64, 3008 MiB\n") && status.contains("gg-tests-large, x86_64, 10240"),
        "{status}"
    );
    let nowhere = Command::new("grep").args(["-rl", SECRET]).arg(project.root()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&nowhere.stdout), "");
    // All of it goes, and the configuration is what it was.
    let asked = gg(&["--delete"]);
    assert!(asked.status == 2 && asked.stderr.contains("say --yes"), "{}", asked.stderr);
    gg(&["--delete", "--yes"]).ok();
    assert_eq!(gg(&["--status"]).status, 1);
    assert_eq!(String::from_utf8(project.read("config/gg/gg.toml")).unwrap().trim(), "# mine\nengine = [\"lambda:2\"]");
    let gone = gg(&["--delete", "--yes"]).ok();
    assert!(gone.stderr.contains("nothing to delete"), "{}", gone.stderr);
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let (cloud, project) = (Cloud::start(&[]), Project::new());
    // Somebody's stack of that name.
    let template = "%7B%22Resources%22%3A%7B%22Q%22%3A%7B%22Type%22%3A%22AWS%3A%3ASQS%3A%3AQueue%22%7D%7D%7D";
    cloud.ask("cloudformation", &format!("Action=CreateStack&Version=2010-05-15&StackName=gg&TemplateBody={template}"));
    for arguments in [&[][..], &["--delete", "--yes"], &["--status"]] {
        let refused = run(&mut cloud.deploy(&project, arguments));
        assert!(refused.status == 2 && refused.stderr.contains("is not gg's"), "{}", refused.stderr);
    }
    assert!(!project.path("config").exists());
    // A store that somebody has written down stays.
    project.write("config/gg/gg.toml", "[store]\nuri = \"s3://mine\"\n");
    let told = run(&mut cloud.deploy(&project, &["--name", "other"])).ok();
    assert!(told.stdout.contains("function = \"other\""), "{}{}", told.stdout, told.stderr);
    assert_eq!(project.read("config/gg/gg.toml"), b"[store]\nuri = \"s3://mine\"\n");
}

#[test]
fn what_cannot_be_deployed_is_told() {
    let (mut cloud, project) = (Cloud::start(&[]), Project::new());
    let told = |cloud: &Cloud, arguments: &[&str]| {
        let ran = run(&mut cloud.deploy(&project, arguments));
        assert_eq!(ran.status, 2, "{}", ran.stderr);
        ran.stderr
    };
    project.write("script", "#!/bin/sh\n");
    assert!(told(&cloud, &["--worker", "script"]).contains("script cannot be a function: it is no 64-bit ELF program"));
    assert!(told(&cloud, &["--worker", "nowhere"]).contains("cargo build --release -p gg-lambda"));
    assert!(told(&cloud, &["--name", "a b"]).contains("a name begins with a letter"));
    let mut lost = cloud.deploy(&project, &[]);
    let lost =
        run(lost.env_remove("AWS_REGION").env("AWS_CONFIG_FILE", "/dev/null").env("AWS_EC2_METADATA_DISABLED", "true"));
    assert!(lost.status == 2 && lost.stderr.contains("which region?"), "{}", lost.stderr);
    cloud.end_moto();
    let told = told(&cloud, &[]);
    assert!(told.contains("cannot look at the stack gg: CloudFormation was not asked"), "{told}");
}

#[test]
fn the_template_is_printed() {
    let project = Project::new();
    let printed = project.gg(&["deploy", "aws", "--print"]).ok().stdout;
    assert!(printed.contains("AWS::Lambda::Function"), "{printed}");
}
