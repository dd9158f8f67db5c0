//! More of the toolchain than C compiled, archived and linked.

use crate::project::Project;

const MAIN: &str = "int part(int);\nint main(void) { return part(0); }\n";
const PART: &str = "int part(int n) { return n; }\n";

#[test]
fn precompiled_headers() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: a.o b.o c.o\n\
             pch.h.gch: pch.h\n\t$(CXX) -O1 -x c++-header pch.h\n\
             sub/p.h.gch/c++: sub/p.h\n\tmkdir -p sub/p.h.gch && $(CXX) -O1 -x c++-header sub/p.h -o $@\n\
             a.o: a.cc pch.h.gch\n\t$(CXX) -O1 -Winvalid-pch -MD -c a.cc\n\
             b.o: b.cc pch.h.gch\n\t$(CXX) -O1 -Winvalid-pch -include pch.h -c b.cc\n\
             c.o: c.cc sub/p.h.gch/c++\n\t$(CXX) -O1 -Winvalid-pch -H -Isub -c c.cc 2>included\n",
        )
        .write("pch.h", "#include <vector>\ninline int pch = 1;\n")
        .write("sub/p.h", "#include <string>\n")
        .write("a.cc", "#include \"pch.h\"\nstd::vector<int> a{pch};\n")
        .write("b.cc", "std::vector<int> b{pch};\n")
        .write("c.cc", "#include <p.h>\nstd::string c;\n");
    project.same_as_make(&["-j2"]).ok();
    assert!(String::from_utf8_lossy(&project.read("included")).contains("! sub/p.h.gch/c++"));
    assert_eq!(project.ran_here(), Vec::<String>::new());
    // Another header is another precompiled one.
    project.write("pch.h", "#include <vector>\ninline int pch = 2;\n");
    project.same_as_make(&["-j2"]).ok();
    assert_eq!(project.executed(), ["a.o", "b.o", "pch.h.gch"]);
}

#[test]
fn modules_run_here() {
    // A compiled module holds the time, so it goes in the end.
    let project = Project::new();
    project
        .write(
            "Makefile",
            "app: main.cc part.cc\n\t$(CXX) -std=c++20 -fmodules-ts -c part.cc\n\
             \t$(CXX) -std=c++20 -fmodules-ts -c main.cc\n\t$(CXX) main.o part.o -o app\n\t./app && rm -r gcm.cache\n",
        )
        .write("part.cc", "export module part;\nexport int part(int n) { return n; }\n")
        .write("main.cc", "import part;\nint main() { return part(0); }\n");
    project.same_as_make(&[]).ok();
    let here = project.ran_here();
    assert!(here.len() == 2 && here.iter().all(|call| call.ends_with("depends on C++ modules")), "{here:?}");
}

#[test]
fn link_time_optimisation() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: gcc-app fat-app thin-app full-app\n\
             gcc-app: main.c part.c\n\tgcc -O2 -flto -c main.c -o g-main.o && gcc -O2 -flto -c part.c -o g-part.o\n\
             \tgcc-ar rcs g.a g-part.o && gcc -O2 -flto=2 g-main.o g.a -o $@\n\
             fat-app: main.c part.c\n\tgcc -O2 -flto -ffat-lto-objects -c main.c -o f-main.o\n\
             \tgcc -O2 -flto -ffat-lto-objects f-main.o part.c -o $@\n\
             thin-app: main.c part.c\n\tclang -O2 -flto=thin -c main.c -o t-main.o && clang -O2 -flto=thin -c part.c -o t-part.o\n\
             \tclang -O2 -flto=thin -fuse-ld=lld t-main.o t-part.o -o $@\n\
             full-app: main.c part.c\n\tclang -O2 -flto -c main.c -o c-main.o && clang -O2 -flto -c part.c -o c-part.o\n\
             \tclang -O2 -flto -fuse-ld=lld -Wl,--thinlto-jobs=2 c-main.o c-part.o -o $@\n",
        )
        .write("main.c", MAIN)
        .write("part.c", PART);
    project.same_as_make(&["-j2"]).ok();
    assert_eq!(project.ran_here(), Vec::<String>::new());
    project.sh("./gcc-app && ./fat-app && ./thin-app && ./full-app").ok();
}

#[test]
fn linkers_by_choice() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: bfd gold lld direct\n\
             bfd gold: main.o part.o\n\tgcc -fuse-ld=$@ main.o part.o -o $@\n\
             lld: main.o part.o\n\tclang -fuse-ld=lld main.o part.o -o $@\n\
             direct: part.o\n\tld.lld -shared part.o -o $@\n",
        )
        .write("main.c", MAIN)
        .write("part.c", PART);
    project.same_as_make(&["-j2"]).ok();
    assert_eq!(project.ran_here(), Vec::<String>::new());
}

#[test]
fn rules_of_every_shape() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: plain named quoted phony missing old\n\
             plain: a.c\n\tcc -MD -c a.c -o a1.o && touch $@\n\
             named: a.c\n\tcc -MMD -MF deps/named.d -MT 'x y' -MT z -c a.c -o a2.o && touch $@\n\
             quoted: a.c\n\tcc -MMD -MQ '$$(objdir)/a.o' -MF quoted.d -c a.c -o a3.o && touch $@\n\
             phony: a.c\n\tcc -MMD -MP -MF phony.d -c a.c -o a4.o && touch $@\n\
             missing: b.c\n\tcc -M -MG b.c -MF missing.d && cc -MM -MG b.c >mm.d && touch $@\n\
             old: a.c\n\tcc -Wp,-MD,old.d -c a.c -o a5.o && cc -Wp,-MMD,old2.d,-MT,q -c a.c -o a6.o; touch $@\n",
        )
        .write("deps/.keep", "")
        .write("a.h", "#include <stddef.h>\n")
        .write("a.c", "#include \"a.h\"\n#include <stdio.h>\n")
        .write("b.c", "#include \"made.h\"\n#include \"a.h\"\n");
    project.same_as_make(&["-j2"]).ok();
    assert_eq!(project.ran_here(), Vec::<String>::new());
}

#[test]
fn fortran_and_resources() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: app icon.o app.exe\n\
             app: main.f90 part.f90\n\tgfortran -c part.f90 && gfortran -c main.f90 && gfortran main.o part.o -o app\n\
             icon.o: icon.rc\n\tx86_64-w64-mingw32-windres icon.rc icon.o\n\
             app.exe: main.c part.c icon.o\n\tx86_64-w64-mingw32-gcc -c main.c -o m.obj && x86_64-w64-mingw32-gcc -c part.c -o p.obj\n\
             \tx86_64-w64-mingw32-gcc m.obj p.obj icon.o -Wl,--no-insert-timestamp -o app.exe\n",
        )
        .write("part.f90", "module part\ncontains\nsubroutine hello\nprint *, 'hello'\nend subroutine\nend module\n")
        .write("main.f90", "program main\nuse part\ncall hello\nend program\n")
        .write("icon.rc", "#include \"icon.h\"\n1 RCDATA \"data.bin\"\n")
        .write("icon.h", "/* nothing */\n")
        .write("data.bin", "some data")
        .write("main.c", MAIN)
        .write("part.c", PART);
    project.same_as_make(&["-j2"]).ok();
    let here = project.ran_here();
    assert!(here.iter().all(|call| call.contains("gfortran -c") || call.contains("windres")), "{here:?}");
}
