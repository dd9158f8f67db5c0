//! Compilers that print their result: `-E` and `-M` without a file.

use crate::project::Project;

#[test]
fn what_is_printed_is_read_and_remembered() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: a.i deps count twice.i\n\
             a.i: a.c h.h\n\t$(CC) -E -DX=1 a.c >$@\n\
             deps:\n\t$(CC) -MM a.c b.c >$@\n\
             count:\n\t$(CC) -E a.c | grep -c h_is_here >$@\n\
             twice.i:\n\t$(CC) -E a.c >$@; $(CC) -E b.c >>$@\n",
        )
        .write("h.h", "int h_is_here;\n")
        .write("a.c", "#include \"h.h\"\n#include <stdio.h>\nint x = X;\n")
        .write("b.c", "#include \"h.h\"\n#warning said to the person\n");
    let ran = project.same_as_make(&["-j2"]).ok();
    assert!(ran.stderr.contains("said to the person"), "{}", ran.stderr);
    assert_eq!(project.ran_here(), Vec::<String>::new());
    assert_eq!(project.read("count"), b"1\n");
    project.sh("rm -f a.i deps count twice.i").ok();
    project.same_as_make(&["-j2"]).ok();
    assert_eq!(project.served().get("executed"), None, "{:?}", project.executed());
    // A header that changes is seen.
    project.sh("rm -f a.i deps count twice.i").ok();
    project.write("h.h", "int h_is_here, and_more;\n");
    project.same_as_make(&[]).ok();
    assert!(String::from_utf8_lossy(&project.read("a.i")).contains("and_more"));
}

#[test]
fn a_failure_is_the_callers() {
    let project = Project::new();
    project
        .write("Makefile", "all:\n\t$(CC) -E a.c >a.i || echo failed >>a.i\n\t$(CC) -E none.c >none.i\n")
        .write("a.c", "#error \"not like this\"\nint a;\n");
    let ran = project.same_as_make(&[]);
    assert!(ran.status == 2 && ran.stderr.contains("not like this"), "{}", ran.stderr);
    assert!(String::from_utf8_lossy(&project.read("a.i")).ends_with("failed\n"));
}

#[test]
fn results_and_messages_in_one_place_are_in_the_tools_order() {
    let project = Project::new();
    project
        .write("Makefile", "all:\n\t$(CC) -E a.c >a.out 2>&1\n\t$(CC) -c a.c >c.out 2>&1\n")
        .write("a.c", "#include <stdio.h>\nint a;\n#warning in the middle\n#include <stdlib.h>\n#include <string.h>\n");
    for _ in 0..2 {
        project.same_as_make(&[]).ok();
        assert_eq!(project.ran_here(), Vec::<String>::new());
        project.sh("rm -f *.out *.o").ok();
    }
    assert_eq!(project.executed(), Vec::<String>::new());
}
