//! What configure scripts ask: answered at once, with the real status and text, and remembered.

use crate::project::Project;

/// What a configure script does, by and large.
const CONFIGURE: &str = r#"
exec 5>config.log
try() { echo "$*" >&5; "$@" >&5 2>&5; echo "status $?" | tee -a config.status >&5; }
try cc --version
try cc -V
try cc -qversion
try cc -dumpmachine
try ld -v
echo 'int main(void) { return 0; }' >conftest.c
try cc -o conftest conftest.c
try ./conftest
echo 'int main(void) { return not_declared; }' >conftest.c
try cc -c conftest.c
try cc -o conftest conftest.c
echo '#include <no_such_header.h>' >conftest.c
cc -E conftest.c >conftest.i 2>&5; echo "status $?" >&5
try cc -c conftest.c -o /dev/null
echo 'char no_such_function(void); int main(void) { return no_such_function(); }' >conftest.c
try cc -o conftest conftest.c
try cc -Wno-such-warning -c -x c /dev/null -o /dev/null
rm -f conftest*
"#;

#[test]
fn a_second_configure_runs_no_compiler() {
    let project = Project::new();
    project.write("configure", CONFIGURE).write("Makefile", "all:\n\tsh ./configure\n");
    project.same_as_make(&[]).ok();
    assert_eq!(project.ran_here(), Vec::<String>::new());
    project.sh("rm -f config.*").ok();
    project.same_as_make(&[]).ok();
    assert_eq!(project.ran_here(), Vec::<String>::new());
    // Not even those that fail.
    assert_eq!(project.served().into_keys().collect::<Vec<_>>(), ["cached"]);
}

#[test]
fn a_failure_is_forgotten_when_its_reason_has_gone() {
    let project = Project::new();
    project
        .write("Makefile", "all:\n\tcc -Iinclude -c conftest.c 2>err; echo $$? >status; rm -f conftest.o\n")
        .write("include/other.h", "")
        .write("conftest.c", "#include <wanted.h>\nint a = A;\n");
    project.same_as_make(&[]).ok();
    assert_eq!(project.read("status"), b"1\n");
    project.write("include/wanted.h", "#define A 1\n");
    project.same_as_make(&[]).ok();
    assert_eq!(project.read("status"), b"0\n");
    project.write("include/wanted.h", "#define A nothing\n");
    project.same_as_make(&[]).ok();
    assert_eq!(project.read("status"), b"1\n");
}
