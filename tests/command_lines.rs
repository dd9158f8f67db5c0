//! Command lines that are hard to read.

use crate::project::Project;

#[test]
fn response_files_and_long_lines() {
    let project = Project::new();
    let many: String = (0..900).map(|n| format!("-DVARIABLE_NUMBER_{n}_WITH_A_LONG_NAME={n} ")).collect();
    assert!(many.len() > 30_000);
    project
        .write(
            "Makefile",
            format!("all:\n\t$(CC) @flags.rsp -c a.c -o a.o\n\t$(CC) {many} -c a.c -o long.o\n\t$(CC) @link.rsp\n"),
        )
        .write("flags.rsp", "-O1 -I'inc dir' \"-DTEXT=\\\"a b\\\"\"\n")
        .write("link.rsp", "a.o -o\napp")
        .write("inc dir/i.h", "int i;\n")
        .write("a.c", "#ifdef TEXT\n#include \"i.h\"\nconst char *t = TEXT;\n#endif\nint main(void) { return 0; }\n");
    project.same_as_make(&[]);
    assert_eq!(project.ran_here(), [] as [String; 0]);
}

#[test]
fn the_linkers_ways_of_finding() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: app thin script\n\
             libs/liba.a: a.o\n\tmkdir -p libs\n\tar rcs $@ $^\n\
             libs/libb.so: b.o\n\tmkdir -p libs\n\t$(CC) -shared -o $@ $^ -Wl,--version-script=b.map\n\
             %.o: %.c\n\t$(CC) -fPIC -c $< -o $@\n\
             app: main.o libs/liba.a libs/libb.so\n\t$(CC) main.o -Llibs -la -l:libb.so -Wl,-rpath,libs -o $@\n\
             libthin.a: a.o\n\tar rcsT $@ $^\n\
             thin: main.o libthin.a b.o\n\t$(CC) main.o b.o libthin.a -o $@\n\
             script: main.o a.o b.o\n\techo 'INPUT(a.o b.o)' > both.ld\n\t$(CC) main.o both.ld -o $@\n",
        )
        .write("b.map", "{ global: b; local: *; };\n")
        .write("main.c", "int a(void), b(void); int main(void) { return a() + b(); }\n")
        .write("a.c", "int a(void) { return 0; }\n")
        .write("b.c", "int b(void) { return 0; }\n");
    project.same_as_make(&["-j2"]);
    assert_eq!(project.ran_here(), [] as [String; 0]);
}
