//! After `gg-make`, every file has the bytes and mode that make gives.

use crate::project::Project;

/// A small program in C with a library, a generated header, dependency files and a stripped copy.
pub fn small(project: &Project) {
    project
        .write(
            "Makefile",
            "CFLAGS = -O2 -g -MD -MP -Iinclude -Wall\n\
             all: app app.stripped\n\
             generated.h: gen\n\t./gen > $@\n\
             gen: gen.c\n\t$(CC) $(CFLAGS) -o $@ $<\n\
             main.o util.o other.o: generated.h\n\
             libutil.a: util.o other.o\n\trm -f $@\n\tar cru $@ $^\n\tranlib $@\n\
             app: main.o libutil.a\n\t$(CC) -o $@ main.o -L. -lutil -lm\n\
             app.stripped: app\n\tcp app $@\n\tstrip $@\n\
             clean:\n\trm -f *.o *.d *.a app app.stripped gen generated.h\n\
             -include main.d util.d other.d\n",
        )
        .write("gen.c", "#include <stdio.h>\nint main(void) { puts(\"#define ANSWER 42\"); return 0; }\n")
        .write("include/util.h", "int util(int);\nint other(int);\n")
        .write(
            "main.c",
            "#include <stdio.h>\n#include \"util.h\"\nint main(void) { printf(\"%d\\n\", util(1)); return 0; }\n",
        )
        .write(
            "util.c",
            "#include \"util.h\"\n#include \"generated.h\"\nint util(int x) { return other(x) + ANSWER; }\n",
        )
        .write(
            "other.c",
            "#include <math.h>\n#include \"util.h\"\nint other(int x) { int unused; return (int)sqrt((double)x); }\n",
        );
}

#[test]
fn a_small_program() {
    let project = Project::new();
    small(&project);
    let ran = project.same_as_make(&["-j4"]);
    assert!(ran.stderr.contains("unused variable"), "warnings are shown: {}", ran.stderr);
    assert_eq!(project.ran_here(), [] as [String; 0]);
    let kinds: std::collections::BTreeSet<_> = project.report()["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["archive", "compile", "compile+link", "link", "strip"]);
    // And nothing is left to do.
    let again = project.gg_make(&[]).ok();
    assert!(again.stdout.contains("Nothing to be done"), "{}", again.stdout);
}

#[test]
fn several_sources_in_one_call() {
    let project = Project::new();
    project
        .write("Makefile", "all: app objects\napp: a.c b.c\n\t$(CC) -g a.c b.c -o app\nobjects:\n\t$(CC) -c a.c b.c\n")
        .write("a.c", "int b(void); int main(void) { return b(); }\n")
        .write("b.c", "int b(void) { return 0; }\n");
    project.same_as_make(&[]);
    assert_eq!(project.ran_here(), [] as [String; 0]);
}

#[test]
fn side_outputs() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all:\n\tmkdir -p out\n\
             \t$(CC) -c -g -gsplit-dwarf -fstack-usage -MD -MF out/x.dep a.c -o out/split.o\n\
             \t$(CC) -c --coverage a.c -o out/cov.o\n\
             \t$(CC) -c -save-temps=obj a.c -o out/temps.o\n\
             \t$(CC) -c -O2 -flto a.c -o out/lto.o\n\
             \t$(CC) -O2 -flto out/lto.o -o out/lto\n\
             \t$(CC) -c -fdump-tree-optimized a.c -o out/dump.o\n\
             \t$(CC) -S a.c -o out/a.s\n\t$(CC) -c out/a.s -o out/s.o\n\
             \t$(CC) -E a.c -o out/a.i\n\
             \t$(CC) out/s.o -o out/map -Wl,-Map,out/a.map\n\
             \tld -r out/s.o -o out/r.o\n\
             \tobjcopy --strip-debug out/split.o out/nodebug.o\n\
             \t$(CC) -shared -fPIC a.c -o out/liba.so -Wl,-soname,liba.so.1\n\
             \t$(CC) -static out/s.o -o out/static\n",
        )
        .write("a.c", "int square(int x) { return x * x; }\nint main(void) { return square(0); }\n");
    project.same_as_make(&[]);
    assert_eq!(project.ran_here(), [] as [String; 0]);
}

#[test]
fn cplusplus() {
    let project = Project::new();
    project
        .write("Makefile", "app: a.o b.o\n\t$(CXX) $^ -o $@\n%.o: %.cc\n\t$(CXX) -std=c++20 -O1 -g -pipe -MMD -c $< -o $@\n")
        .write("a.cc", "#include <iostream>\n#include <vector>\nint f(std::vector<int> const&);\nint main() { std::cout << f({1, 2}) << '\\n'; }\n")
        .write("b.cc", "#include <vector>\n#include <numeric>\nint f(std::vector<int> const& v) { return std::accumulate(v.begin(), v.end(), 0); }\n");
    project.same_as_make(&["-j2"]);
}

#[test]
fn strange_names() {
    let project = Project::new();
    project
        .write("dir with space/a b.c", "#include \"h h.h\"\nint main(void) { return X; }\n")
        .write("dir with space/h h.h", "#define X 0\n")
        .write("it's/x.c", "int x;\n")
        .write("Makefile", "all:\n\tcd 'dir with space' && $(CC) -c 'a b.c' && $(CC) 'a b.o' -o 'p q'\n\tcd \"it's\" && $(CC) -c x.c\n\tprintf 'int y;\\n' > \"$$(printf 'n\\nl').c\" && $(CC) -c \"$$(printf 'n\\nl').c\"\n\tprintf 'int y;\\n' > \"$$(printf 'b\\351').c\" && $(CC) -c \"$$(printf 'b\\351').c\"\n");
    project.same_as_make(&[]);
}
