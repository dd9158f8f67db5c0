//! The two halves: placeholders now, files later.

use crate::project::Project;

#[test]
fn infer_then_force() {
    let project = Project::new();
    project
        .write("Makefile", "app: a.o b.o\n\t$(CC) a.o b.o -o app\n")
        .write("a.c", "int b(void); int main(void) { return b(); }\n")
        .write("b.c", "int b(void) { return 0; }\n");
    project.make(&[]).ok();
    let want = project.manifest();
    project.sh("rm -f app a.o b.o").ok();
    project.gg(&["infer", "--", "make"]).ok();
    assert!(project.is_placeholder("app"), "nothing has been linked yet");
    let described = project.gg(&["describe", "app"]).ok().stdout;
    assert!(described.contains("/app"), "{described}");
    // The sources may go: what is needed has been kept.
    project.sh("mv a.c a.away").ok();
    project.gg(&["force", "app"]).ok();
    project.sh("mv a.away a.c && ./app").ok();
    assert!(project.is_placeholder("a.o"), "only what was asked for");
    project.gg(&["force"]).ok();
    crate::project::assert_same(&want, &project.manifest());
}

#[test]
fn describe_speaks_to_programs() {
    let project = Project::new();
    project.write("Makefile", "a.o: a.c\n\t$(CC) -c a.c\n").write("a.c", "int a;\n");
    project.gg_make(&[]).ok();
    let report = project.report();
    let thunk = report["steps"][0]["thunk"].as_str().unwrap();
    let shown: serde_json::Value =
        serde_json::from_str(&project.gg(&["describe", "--json", thunk]).ok().stdout).unwrap();
    assert_eq!(shown["args"], serde_json::json!(["cc", "-c", "a.c"]));
    let object = shown["reduction"]["outputs"]["o"]["object"].as_str().unwrap();
    let file: serde_json::Value =
        serde_json::from_str(&project.gg(&["describe", "--json", "a.o"]).ok().stdout).unwrap();
    assert_eq!(file["name"], object);
    let graph = project.gg(&["graph", "--dot"]).ok().stdout;
    assert!(graph.starts_with("digraph"), "{graph}");
    assert!(project.gg(&["describe", "Vnonsense"]).status == 2);
}

#[test]
fn make_finds_real_files_where_an_earlier_infer_left_placeholders() {
    let project = Project::new();
    project.write("Makefile", "all: a.o size\nsize: a.o\n\t/usr/bin/wc -c < a.o > size\n").write("a.c", "int a;\n");
    project.make(&[]).ok();
    let want = project.manifest();
    project.sh("rm -f a.o size").ok();
    project.gg(&["infer", "--", "make", "a.o"]).ok();
    assert!(project.is_placeholder("a.o"));
    project.gg_make(&[]).ok();
    crate::project::assert_same(&want, &project.manifest());
}

#[test]
fn the_time_of_day_is_not_remembered() {
    let project = Project::new();
    project
        .write("Makefile", "a: a.c\n\t$(CC) a.c -o a\n")
        .write("a.c", "#include <stdio.h>\nint main(void) { puts(__TIME__); return 0; }\n");
    let mut shown = Vec::new();
    for _ in 0..2 {
        project.sh("rm -f a").ok();
        project.gg(&["infer", "--", "make"]).ok();
        project.gg(&["force"]).ok();
        shown.push(project.sh("./a").ok().stdout);
        project.sh("sleep 1.1").ok();
    }
    assert_ne!(shown[0], shown[1]);
}
