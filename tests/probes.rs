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

/// Asks the same in directories and files that are called otherwise each time.
const ANOTHER_NAME: &str = r#"
dir=$(mktemp -d ${TMPDIR:-/tmp}/ffprobe.XXXXXXXX)
name=$dir/test
echo 'const char name[] = __FILE__; int main(void) { return 0; }' >$name.c
echo 'int f(void) { return not_declared; }' >$name-no.c
exec 6>log
cc -O2 -c -o $name.o $name.c >&6 2>&6 || echo failed
grep -c "$name.c" $name.o >told
cc -o $name $name.o >&6 2>&6 && $name && echo runs >>told
cc -c -o $name.o $name-no.c 2>err || sed "s|$dir|DIR|" err >>told
cc -g -c -o $name.o $name.c 2>&6 && grep -c "$name.c" $name.o >>told
cc -g -gz -c -o $name.o $name.c 2>&6 && echo compressed >>told
rm -rf $dir err
mkdir -p CMakeFiles/CMakeScratch
try=$(mktemp -d CMakeFiles/CMakeScratch/TryCompile-XXXXXX)
(cd $try && echo 'int main(void) { return 0; }' >src.c && mkdir -p CMakeFiles/cmTC_$1.dir &&
    cc -v -o CMakeFiles/cmTC_$1.dir/src.c.o -c $PWD/src.c && cc -v CMakeFiles/cmTC_$1.dir/src.c.o -o cmTC_$1) >verbose 2>&1
grep -v '/cc......\.' verbose | sed "s|$try|TRY|g; s|cmTC_$1|TARGET|g" >>told
rm -rf CMakeFiles verbose log
"#;

#[test]
fn the_same_question_under_another_name() {
    let project = Project::new();
    project.write("ask", ANOTHER_NAME).write("Makefile", "all:\n\tsh ask $(NAME)\n");
    project.make(&["NAME=0fa3b"]).ok();
    let want = project.read("told");
    assert!(want.starts_with(b"1\nruns\n"), "{}", String::from_utf8_lossy(&want));
    for name in ["NAME=1bcde", "NAME=2cdef"] {
        project.sh("rm told").ok();
        project.gg_make(&[name]).ok();
        assert_eq!(String::from_utf8_lossy(&project.read("told")), String::from_utf8_lossy(&want));
        assert_eq!(project.ran_here(), Vec::<String>::new());
    }
    // But for what is compressed with the name in it.
    assert_eq!(project.executed().len(), 1, "{:?}", project.executed());
    assert_eq!(project.served().get("failed"), None);
}
