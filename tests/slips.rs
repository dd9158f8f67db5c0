//! What a person does by mistake ends as it does with make: said, and at once.

use crate::project::Project;

#[test]
fn a_compile_into_its_own_source_fails_and_the_source_stays() {
    let project = Project::new();
    let source = "int f(void) { return 1; }\n";
    project.write("foo.c", source).write("Makefile", "all:\n\t$(CC) -c foo.c -o foo.c\n");
    let plain = project.make(&[]);
    let ran = project.gg_make(&[]);
    assert_eq!((plain.status, ran.status), (2, 2), "{}", ran.stderr);
    let text = "is the same as output file";
    assert!(plain.stderr.contains(text) && ran.stderr.contains(text), "{}", ran.stderr);
    assert_eq!(project.read("foo.c"), source.as_bytes());
}

#[test]
fn a_source_that_is_mended_too_late_does_not_hide_the_failure() {
    let project = Project::new();
    project.write(
        "Makefile",
        "all:\n\techo 'int f(void) { return none; }' > t.c; $(CC) -c t.c -o a.o; \
         echo 'int f(void) { return 1; }' > t.c; $(CC) -c t.c -o b.o\n",
    );
    let ran = project.gg_make(&[]);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("none") && !project.path("a.o").exists(), "{}", ran.stderr);
}
