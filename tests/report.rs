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
