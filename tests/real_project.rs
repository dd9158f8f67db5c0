//! A real project, fetched as a Debian source: Lua, with its sub-makes, archives and calls without `-o`.

use std::process::Command;

use crate::project::{Project, assert_same};

#[test]
fn lua() {
    let project = Project::new();
    std::fs::remove_dir(project.root()).unwrap();
    let fetch = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fetch");
    let fetched = Command::new(fetch).arg("lua5.4").arg(project.root()).output().unwrap();
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));

    project.same_as_make(&["-j4", "linux"]);
    let report = project.report();
    let steps = report["steps"].as_array().unwrap();
    let count = |kind: &str| steps.iter().filter(|step| step["kind"] == kind).count();
    assert_eq!((count("compile"), count("link")), (34, 2), "{:?}", project.served());
    assert!(count("archive") >= 1);
    let avoidable: Vec<_> = project.ran_here();
    assert_eq!(avoidable, [] as [String; 0]);

    let want = project.manifest();
    project.gg_make(&["clean"]).ok();
    project.gg_make(&["-j4", "linux"]).ok();
    assert_eq!(project.executed(), [] as [String; 0], "everything was known");
    assert_same(&want, &project.manifest());
}
