//! A cross compiler: its steps are steps as any other's.

use crate::project::Project;

#[test]
fn programs_and_libraries_for_another_machine() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "T = aarch64-linux-gnu-\nall: app libs.so tiny\n\
             app: main.o lib.a\n\t$(T)gcc -o $@ main.o lib.a -lm\n\
             lib.a: a.o\n\t$(T)ar rcs $@ a.o\n\
             libs.so: a.c\n\t/usr/bin/$(T)gcc -shared -fPIC -O2 -g -o $@ a.c\n\
             tiny: app\n\tcp app $@ && $(T)strip $@ && $(T)readelf -h $@ | grep Machine >machine\n\
             %.o: %.c\n\t$(T)gcc -O2 -g -MMD -c -o $@ $<\n",
        )
        .write("a.h", "double half(double);\n")
        .write("a.c", "#include <math.h>\n#include \"a.h\"\ndouble half(double x) { return floor(x / 2); }\n")
        .write(
            "main.c",
            "#include <stdio.h>\n#include \"a.h\"\nint main(void) { printf(\"%f\\n\", half(5)); return 0; }\n",
        );
    project.same_as_make(&["-j2"]).ok();
    assert!(String::from_utf8_lossy(&project.read("machine")).contains("AArch64"));
    let here = project.ran_here();
    assert!(here.iter().all(|call| call.starts_with("aarch64-linux-gnu-readelf")), "{here:?}");
    project.sh("rm -f app lib.a libs.so tiny *.o").ok();
    project.same_as_make(&["-j2"]).ok();
    assert_eq!(project.executed(), Vec::<String>::new());
}
