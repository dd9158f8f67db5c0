//! Sources that come from standard input.

use crate::project::Project;

#[test]
fn from_pipes_files_and_here_documents() {
    let project = Project::new();
    project
        .write(
            "build",
            "set -e\n\
             echo 'int a = A;' | gcc -DA=1 -c -x c - -o a.o\n\
             gcc -c -x c - <b.c -o b.o\n\
             gcc -E -dM - </dev/null | sort >macros\n\
             gcc -x c -E -P - -o c.i <<END\n#include \"h.h\"\nint c = H;\nEND\n\
             printf '.text\\n.globl d\\nd: ret\\n' | gcc -c -x assembler-with-cpp -o d.o -\n\
             echo 'int main(void) { return 0; }' | gcc -x c - -o main\n\
             echo '#include \"h.h\"' | gcc -x c -MM - >deps\n\
             (gcc -E -P -x c -; cat) <b.c >rest\n\
             echo 'not C' | gcc -x c -fno-diagnostics-color -c - -o none.o 2>errors || echo failed >>errors\n",
        )
        .write("b.c", "int b;\n")
        .write("h.h", "#define H 7\n")
        .write("Makefile", "all:\n\tsh build\n");
    project.same_as_make(&[]).ok();
    assert_eq!(project.ran_here(), Vec::<String>::new());
    assert_eq!(project.read("rest"), b"int b;\n");
    assert!(String::from_utf8_lossy(&project.read("errors")).contains("<stdin>:1:1: error"));
    project.sh("rm -f *.o macros *.i main deps rest errors").ok();
    project.same_as_make(&[]).ok();
    assert_eq!(project.executed(), Vec::<String>::new());
    // What is included is seen, and so is another text.
    project.write("h.h", "#define H 8\n");
    project.same_as_make(&[]).ok();
    assert_eq!(String::from_utf8_lossy(&project.read("c.i")), "int c = 8;\n");
}

#[test]
fn what_cannot_be_looked_at_is_the_tools() {
    let project = Project::new();
    project.write(
        "Makefile",
        "all: slow.o long.o both\n\
         slow.o:\n\t(echo 'int a;'; sleep 2; echo 'int b;') | $(CC) -c -x c - -o $@\n\
         long.o:\n\t(yes '/* a long text */' | head -n 20000; echo 'int long_text;') | $(CC) -c -x c - -o $@\n\
         both:\n\techo '#warning in the middle' | $(CC) -E -x c - 2>&1 | cat >$@\n",
    );
    project.same_as_make(&["-j2"]).ok();
    assert_eq!(project.ran_here().len(), 2, "{:?}", project.ran_here());
}
