//! Build systems, from configuration to tests and installation.

use crate::project::{Project, run};

/// A program, a library of each kind, a generator that is built and then run, and a test.
fn cmake_project() -> Project {
    let project = Project::new();
    project
        .write(
            "CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.20)\nproject(example C CXX ASM)\ninclude(CheckIncludeFile)\n\
             include(CheckFunctionExists)\ncheck_include_file(unistd.h HAVE_UNISTD_H)\ncheck_include_file(none.h HAVE_NONE_H)\n\
             check_function_exists(getpid HAVE_GETPID)\ninclude(CheckCSourceRuns)\n\
             check_c_source_runs(\"int main(void) { return 0; }\" RUNS)\nconfigure_file(config.h.in config.h)\n\
             add_executable(generator generator.c)\n\
             add_custom_command(OUTPUT made.c COMMAND generator > made.c DEPENDS generator)\n\
             add_library(common STATIC common.cc made.c answer.s)\nadd_library(shared SHARED shared.cc)\n\
             target_include_directories(common PRIVATE ${CMAKE_CURRENT_BINARY_DIR})\n\
             add_executable(app main.c)\ntarget_link_libraries(app common shared)\n\
             set_target_properties(app PROPERTIES LINKER_LANGUAGE CXX)\n\
             enable_testing()\nadd_test(NAME runs COMMAND app)\ninstall(TARGETS app shared common)\n",
        )
        .write("config.h.in", "#cmakedefine HAVE_UNISTD_H\n#cmakedefine HAVE_NONE_H\n#cmakedefine HAVE_GETPID\n#cmakedefine RUNS\n")
        .write("generator.c", "#include <stdio.h>\nint main(void) { puts(\"int made = 7;\"); return 0; }\n")
        .write("common.cc", "#include \"config.h\"\n#ifdef RUNS\nextern \"C\" int common() { return 7; }\n#endif\n")
        .write("answer.s", ".globl answer\nanswer: ret\n.section .note.GNU-stack,\"\",@progbits\n")
        .write("shared.cc", "extern \"C\" int shared() { return 0; }\n")
        .write("main.c", "int common(void), shared(void); extern int made;\nint main(void) { return common() - made + shared(); }\n");
    project
}

#[test]
fn cmake_with_ninja_and_with_make() {
    let project = cmake_project();
    project.write(
        "Makefile",
        "all: with-ninja with-make\n\
         with-ninja:\n\tcmake -S . -B n -G Ninja -DCMAKE_INSTALL_PREFIX=/usr && ninja -C n -j2 && cd n && ctest && rm -r Testing && DESTDIR=$(CURDIR)/in-n ninja install\n\
         with-make:\n\tcmake -S . -B m -DCMAKE_INSTALL_PREFIX=/usr && $(MAKE) -C m && cd m && ctest && rm -r Testing && $(MAKE) install DESTDIR=$(CURDIR)/in-m && rm CMakeFiles/Makefile2\n",
    );
    // In Makefile2 CMake puts the targets now in this order and now in that, mostly in one.
    project.same_as_make(&["-j2"]).ok();
    assert_eq!(project.ran_here(), Vec::<String>::new());
    for name in ["n/CMakeCache.txt", "m/CMakeCache.txt"] {
        let cache = String::from_utf8_lossy(&project.read(name)).into_owned();
        assert!(cache.contains("RUNS:INTERNAL=1"), "{cache}");
        assert!(!cache.contains(&project.store().display().to_string()), "{cache}");
    }
    // There is nothing left to do, for anybody.
    let ninja = project.sh("ninja -C n -n -d explain").ok();
    assert!(ninja.stdout.contains("no work to do"), "{}{}", ninja.stdout, ninja.stderr);
    // After an edit, what make would do, and no more.
    project.sh("sleep 1.1").ok();
    project.write("shared.cc", "extern \"C\" int shared() { return 0 * 1; }\n");
    project.gg(&["build", "--", "ninja", "-C", "n"]).ok();
    assert!(
        project.executed().iter().all(|step| step.contains("shared") || step.ends_with("app")),
        "{:?}",
        project.executed()
    );
    // Configured again from the beginning, nothing is compiled.
    project.sh("rm -rf n m in-n in-m").ok();
    project.gg(&["build", "--", "cmake", "-S", ".", "-B", "n", "-G", "Ninja"]).ok();
    assert_eq!(project.served().into_keys().collect::<Vec<_>>(), ["cached"], "{:?}", project.executed());
    assert_eq!(project.ran_here(), Vec::<String>::new());
}

#[test]
fn cmake_with_a_toolchain_file() {
    let project = cmake_project();
    project.write("own.cmake", "set(CMAKE_C_FLAGS_INIT -DOWN_TOOLCHAIN)\n");
    for (lazy, generator) in [("1", "Ninja"), ("0", "Unix Makefiles")] {
        let mut asked = project.command(env!("CARGO_BIN_EXE_gg"));
        let file = run(asked.arg("toolchain-file").env("GG_LAZY", lazy)).ok().stdout;
        let script = format!(
            "rm -rf b && cmake -S . -B b -G '{generator}' --toolchain '{}' && cmake --build b -j2 && b/app",
            file.trim_end()
        );
        let mut build = project.command(env!("CARGO_BIN_EXE_gg"));
        build.args(["build", "--", "sh", "-c", &script]).env("GG_LAZY", lazy);
        run(build.env("GG_CHAINLOAD_TOOLCHAIN_FILE", project.path("own.cmake"))).ok();
        let cache = String::from_utf8_lossy(&project.read("b/CMakeCache.txt")).into_owned();
        assert!(cache.contains("CMAKE_C_FLAGS:STRING=-DOWN_TOOLCHAIN"), "{cache}");
        // Steps, whichever way they came there.
        let steps = project.report()["steps"].as_array().unwrap().len();
        assert!(steps >= 9, "{generator}: {steps}, {:?}", project.ran_here());
        // Without gg it is a toolchain file like any other.
        project.sh("touch main.c && cmake --build b && b/app").ok();
    }
}

#[test]
fn ninja_with_all_it_has() {
    let project = Project::new();
    project
        .write("Makefile", "all:\n\tninja -j2\n")
        .write(
            "build.ninja",
            "ninja_required_version = 1.10\npool heavy\n  depth = 1\n\
             rule cc\n  command = gcc -MD -MF $out.d $flags -c $in -o $out\n  deps = gcc\n  depfile = $out.d\n\
             rule ccmake\n  command = gcc -MMD -MF $out.d -c $in -o $out\n  depfile = $out.d\n\
             rule link\n  command = gcc @$out.rsp -o $out\n  rspfile = $out.rsp\n  rspfile_content = $in\n  pool = heavy\n\
             rule run\n  command = ./$in > $out\n  pool = console\n\
             rule header\n  command = echo '#define VALUE 3' > $out.new; cmp -s $out.new $out || cp $out.new $out; rm $out.new\n  restat = 1\n\
             rule scan\n  command = printf 'ninja_dyndep_version = 1\\nbuild b.o: dyndep | made.h\\n' > $out\n\
             rule cc_dyn\n  command = gcc -c $in -o $out\n  dyndep = b.dd\n\
             build made.h: header stamp\nbuild b.dd: scan b.c\n\
             build a.o: cc a.c || made.h\nbuild b.o: cc_dyn b.c || b.dd\nbuild c.o: ccmake c.c\n\
             build app: link a.o b.o c.o\nbuild out.txt: run app\n",
        )
        .write("stamp", "")
        .write("a.c", "#include <stdio.h>\n#include \"made.h\"\nint b(void), c(void);\nint main(void) { printf(\"%d\\n\", VALUE + b() + c()); return 0; }\n")
        .write("b.c", "#include \"made.h\"\nint b(void) { return VALUE; }\n")
        .write("c.c", "int c(void) { return 1; }\n");
    project.same_as_make(&[]).ok();
    assert_eq!(project.read("out.txt"), b"7\n");
    assert_eq!(project.ran_here(), Vec::<String>::new());
    assert!(project.sh("ninja -n").ok().stdout.contains("no work to do"));
    // restat: the header is made again, stays as it is, and nothing follows.
    project.sh("sleep 1.1; touch stamp").ok();
    project.gg(&["build", "--", "ninja"]).ok();
    assert_eq!(project.report()["steps"].as_array().unwrap().len(), 0);
    // What ninja keeps of the .d files is what they said.
    project.sh("sleep 1.1; echo '#define VALUE 4' > made.h && touch -d 'next second' made.h").ok();
    let deps = project.sh("ninja -t deps a.o").ok().stdout;
    assert!(deps.contains("made.h"), "{deps}");
}

#[test]
fn make_with_all_it_has() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: sub-build one.o two.o\n\
             one.o two.o: %.o: %.c\n\t$(CC) -Wall -c $< -o $@\n\
             sub-build:\n\t+$(MAKE) -C sub both\n\
             .PHONY: all sub-build\n",
        )
        .write(
            "sub/Makefile",
            ".ONESHELL:\nboth: a.o b.o\n\tset -e\n\tfor o in $^\n\tdo test -s $$o && nm $$o | grep -c ' [DB] ' >$$o.count\n\tdone\n\
             %.o: %.c\n\t$(CC) -c $< -o $@.tmp\n\tmv $@.tmp $@\n",
        )
        .write("one.c", "static int unused_one; int one;\n")
        .write("two.c", "static int unused_two; int two;\n")
        .write("sub/a.c", "int a = 1;\n")
        .write("sub/b.c", "int b;\n");
    for args in [&["-j2", "-O"][..], &["-j3", "-Oline"], &["--output-sync=recurse", "-j2", "-l", "9"], &["-j"]] {
        let ran = project.same_as_make(args).ok();
        assert!(ran.stderr.contains("unused_one") && ran.stderr.contains("unused_two"), "{}", ran.stderr);
        project.sh("rm -f *.o sub/*.o sub/*.count").ok();
    }
    // A make that was given a jobserver by another passes it on.
    project.write("outer.mk", "all:\n\t+$(GG_MAKE) all\n");
    let mut outer = project.command("make");
    run(outer.args(["-j2", "-f", "outer.mk"]).env("GG_MAKE", env!("CARGO_BIN_EXE_gg-make"))).ok();
    assert!(project.path("sub/b.o.count").exists());
}

#[test]
fn a_package_of_debians() {
    let project = Project::new();
    project
        .write("debian/control", "Source: small\nSection: misc\nPriority: optional\nMaintainer: Nobody <nobody@example.org>\nStandards-Version: 4.6.2\n\nPackage: small\nArchitecture: any\nDescription: small\n Nothing more.\n")
        .write("debian/changelog", "small (1.0) unstable; urgency=low\n\n  * Small.\n\n -- Nobody <nobody@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n")
        .write(
            "debian/rules",
            "#!/usr/bin/make -f\nclean:\n\trm -rf app app.o debian/small debian/files\nbuild build-arch: app\n\
             app: app.o\n\t$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) app.o -o app\n\
             app.o: app.c\n\t$(CC) $(shell dpkg-buildflags --get CFLAGS) -c app.c\n\
             binary binary-arch: build\n\tinstall -D -s app debian/small/usr/bin/app\n\tmkdir -p debian/small/DEBIAN\n\
             \tdpkg-shlibdeps -Tdebian/substvars app\n\tdpkg-gencontrol -Pdebian/small\n\
             \tdpkg-deb --root-owner-group -b debian/small ..\n",
        )
        .write("app.c", "#include <stdio.h>\nint main(void) { puts(\"small\"); return 0; }\n")
        .write("Makefile", "all:\n\tSOURCE_DATE_EPOCH=1700000000 dpkg-buildpackage -b -us -uc -d\n\tmv ../small_1.0_*.deb small.deb && rm -f ../small_*\n");
    project.sh("chmod +x debian/rules").ok();
    project.same_as_make(&[]).ok();
    project.sh("dpkg-deb -x small.deb x && test \"$(x/usr/bin/app)\" = small").ok();
}
