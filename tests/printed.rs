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

/// Questions whose answers are where files are.
const QUESTIONS: &str = "\
gcc -print-prog-name=ld
gcc -print-prog-name=cc1
gcc -print-prog-name=no-such-program
gcc -print-file-name=libc.so
gcc -print-file-name=crt1.o
gcc -print-file-name=plugin
gcc -print-file-name=no-such-file
gcc -m32 -print-file-name=libc.so
g++ --print-file-name=libstdc++.a
gcc -print-libgcc-file-name
gcc -print-search-dirs
gcc -print-multi-lib
gcc -print-sysroot
gcc a.c -o a.o -c -DX --print-search-dirs
gcc -Wl,--version
gcc -v -E -x c /dev/null
g++ -v -E -x c++ /dev/null
gcc -v -c a.c -o a.o
gcc -v a.c -o a -lm -L.
gcc -c none.c
gcc a.c -lno_such_library -o a
gcc a.c none.o -o a
";

#[test]
fn questions_are_answered_as_the_tools_do() {
    let project = Project::new();
    project.write("a.c", "int main(void) { return 0; }\n").write("questions", QUESTIONS).write(
        "Makefile",
        "all:\n\twhile read line; do echo \"$$line\"; $$line 2>&1; echo \"status $$?\"; done <questions | \
         sed 's|/tmp/cc[A-Za-z0-9]*\\.|/tmp/cc.|g' >answers; rm -f a a.o\n",
    );
    project.same_as_make(&[]).ok();
    let answers = String::from_utf8_lossy(&project.read("answers")).into_owned();
    assert!(answers.contains("cannot find -lno_such_library") && answers.contains("LIBRARY_PATH="), "{answers}");
    // A source that is not there is the tool's to report.
    assert_eq!(project.ran_here().len(), 1, "{:?}", project.ran_here());
    project.sh("rm answers").ok();
    project.same_as_make(&[]).ok();
    assert_eq!(project.served().into_keys().collect::<Vec<_>>(), ["cached"], "{:?}", project.executed());
}
