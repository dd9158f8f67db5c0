//! `gg reproduce` opens the sandbox that a step ran in.

use std::process::Stdio;

use crate::project::{Project, Ran, run};
use crate::sandboxes::without_namespaces;
use crate::screen::Screen;

fn project() -> Project {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: sub/bad.o good.o app\napp: good.o\n\t$(CC) $^ -o $@\n%.o: %.c\n\t$(CC) -Isub -c $< -o $@\n",
        )
        .write("good.c", "#include \"good.h\"\nint main(void) { return GOOD; }\n")
        .write("sub/good.h", "#define GOOD 0\n")
        .write("sub/bad.c", "int f(void) { return undeclared_thing; }\n")
        .write("other.h", "#define OTHER 1\n");
    project
}

/// What a shell says that reads this.
fn shell(project: &Project, file: &str, script: &str) -> Ran {
    project.write("script", script);
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    command.args(["reproduce", file]).env_remove("SHELL");
    run(command.stdin(Stdio::from(std::fs::File::open(project.path("script")).unwrap())))
}

#[test]
fn a_shell_where_a_step_failed() {
    let project = project();
    assert_eq!(project.gg_make(&["-k"]).status, 2);
    project.write("sub/bad.c", "int f(void) { return changed_meanwhile; }\n");
    let ran = shell(&project, "sub/bad.o", "pwd\nls\nrun\necho status $?\nexit 7\n");
    assert_eq!(ran.status, 7, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, format!("{}\nsub\nstatus 1\n", project.root().display()), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("undeclared (first use").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("undeclared_thing") && !ran.stderr.contains("changed_meanwhile"), "{}", ran.stderr);
    assert!(ran.stderr.contains("\n    cc -Isub -c sub/bad.c -o sub/bad.o\n"), "{}", ran.stderr);
}

#[test]
fn a_command_by_source_for_a_step_that_succeeded() {
    let project = project();
    project.gg_make(&["good.o", "app"]).ok();
    let script = "run && cat good.o";
    let made = project
        .command(env!("CARGO_BIN_EXE_gg"))
        .args(["reproduce", "good.c", "--", "sh", "-c", script])
        .output()
        .unwrap();
    assert_eq!(made.stdout, project.read("good.o"), "{}", String::from_utf8_lossy(&made.stderr));
    // What another step has made is there, and what no input is, is not.
    let ran = project.gg(&["reproduce", "app", "--", "ls"]).ok();
    assert_eq!((&*ran.stdout, &*ran.stderr), ("good.o\n", ""));
    assert_eq!(project.gg(&["reproduce", "app", "--", "no-such-program"]).status, 127);
}

#[test]
fn nothing_is_changed_from_within() {
    let project = project();
    project.gg_make(&["good.o"]).ok();
    let before = project.manifest();
    let script = "echo x >good.c; echo x >/usr/bin/cc; rm -rf /usr/lib /.gg/host/usr/lib/os-release; echo x >/.gg/host/usr/new; \
                  mount -o remount,rw /.gg/host/usr && echo mounted; echo x >good.o; cat good.c";
    let ran = project.gg(&["reproduce", "good.o", "--", "sh", "-c", script]);
    assert_eq!(ran.stdout, "x\n", "{}", ran.stderr);
    assert!(ran.stderr.contains("Read-only file system"), "{}", ran.stderr);
    assert_eq!(project.manifest(), before);
    assert!(std::path::Path::new("/usr/lib/os-release").exists() && !std::path::Path::new("/usr/new").exists());
    // All of it comes whole from the store again.
    project.sh("rm -f good.o").ok();
    project.gg_make(&["good.o"]).ok();
    assert_eq!(project.manifest(), before);
    assert_eq!(project.served().get("cached"), Some(&1));
}

#[test]
fn a_folder_that_needs_no_gg() {
    let project = project();
    assert_eq!(project.gg_make(&["-k"]).status, 2);
    let object = project.read("good.o");
    let told = project.gg(&["reproduce", "good.o", "--into", "out"]).ok();
    assert_eq!(told.stdout, "out: the sandbox of good.o; run.sh runs its command\n");
    project.gg(&["reproduce", "sub/bad.c", "--into", "bad"]).ok();
    // Without gg's data, and moved.
    project.sh("mv out moved && rm -rf \"$GG_DIR\"").ok();
    project.sh("./moved/run.sh").ok();
    let made = |folder: &str| project.path(folder).join("root").join(project.path("good.o").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(made("moved")).unwrap(), object);
    let ran = project.sh("bad/run.sh");
    assert!(ran.status == 1 && ran.stderr.contains("undeclared (first use"), "{}", ran.stderr);
    let readme = String::from_utf8(project.read("bad/README")).unwrap();
    assert!(readme.contains("sub/bad.o (compile), failed: exit status 1, on this machine\n"), "{readme}");
    let again = project.gg(&["reproduce", "good.o", "--into", "bad"]);
    assert_eq!(again.status, 2);
}

#[test]
fn a_source_from_standard_input() {
    let project = Project::new();
    project.write("Makefile", "in.o: in.c\n\t$(CC) -x c - -c -o in.o <in.c\n").write("in.c", "int in;\n");
    project.gg_make(&[]).ok();
    assert_eq!(project.served().get("executed"), Some(&1));
    let object = project.read("in.o");
    let args = ["reproduce", "in.o", "--", "sh", "-c", "run && cat in.o"];
    let made = project.command(env!("CARGO_BIN_EXE_gg")).args(args).output().unwrap();
    assert_eq!(made.stdout, object, "{}", String::from_utf8_lossy(&made.stderr));
    project.gg(&["reproduce", "in.o", "--into", "out"]).ok();
    project.sh("out/run.sh").ok();
    let made = project.path("out/root").join(project.path("in.o").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(made).unwrap(), object);
}

#[test]
fn what_cannot_be_reproduced() {
    let project = project();
    assert_eq!(project.gg_make(&["-k"]).status, 2);
    project.sh("rm -rf \"$GG_DIR\"/objects \"$GG_DIR\"/packs").ok();
    let ran = project.gg(&["reproduce", "app"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("not kept any more"), "{}", ran.stderr);
}

#[test]
fn a_shell_has_the_terminal() {
    let project = project();
    assert_eq!(project.gg_make(&["-k"]).status, 2);
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    command.args(["reproduce", "sub/bad.o"]).env("SHELL", "/bin/bash");
    let mut screen = Screen::start(command, (40, 100));
    screen.until(|screen| screen.text().ends_with("(gg) $"));
    // Job control, and a Ctrl-C that is for the program in front alone.
    // Not before it is in front: a shell that has forked and not yet executed loses the signal.
    screen.type_in("sleep 600 & jobs %1; sh -c 'echo it is in \"\"front; exec sleep 600'\n");
    screen.until(|screen| screen.text().contains("[1]+  Running") && screen.text().contains("it is in front"));
    screen.type_in("\x03");
    screen.until(|screen| screen.text().contains("^C"));
    screen.type_in("echo ended by $?\n");
    screen.until(|screen| screen.text().contains("\nended by 130\n"));
    screen.type_in("exit 5\n");
    assert_eq!(screen.end().code(), Some(5));
    let text = screen.text();
    let head = "gg: the sandbox of sub/bad.o (compile, failed: exit status 1, on this machine); its command, which";
    assert!(text.starts_with(head), "{text}");
    assert!(!text.contains("job control"), "{text}");
}

#[test]
fn a_step_that_ran_without_a_sandbox() {
    let project = project();
    assert_eq!(run(project.gg_make_command(&["-k"]).env("GG_SANDBOX", "plain")).status, 2);
    let script = "run && cat app";
    let made = project
        .command(env!("CARGO_BIN_EXE_gg"))
        .args(["reproduce", "app", "--", "sh", "-c", script])
        .output()
        .unwrap();
    assert_eq!(made.stdout, project.read("app"), "{}", String::from_utf8_lossy(&made.stderr));
    let ran = project.gg(&["reproduce", "sub/bad.o", "--", "run"]);
    assert!(ran.status == 1 && ran.stderr.contains("undeclared (first use"), "{}", ran.stderr);
}

#[test]
fn where_there_are_no_namespaces_it_can_be_unpacked() {
    let project = project();
    let ran = run(without_namespaces(&mut project.gg_make_command(&["-k"])));
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    let ran = run(without_namespaces(command.args(["reproduce", "good.o", "--", "run"])));
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("a sandbox cannot be entered here; --into DIR unpacks it instead"), "{}", ran.stderr);
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    run(without_namespaces(command.args(["reproduce", "good.o", "--into", "out"]))).ok();
    // What it then needs is said by its own script, and by the README; here, it can have it.
    let ran = run(without_namespaces(&mut project.command("out/run.sh")));
    assert!(ran.status != 0 && ran.stderr.contains("unshare"), "{}", ran.stderr);
    project.sh("out/run.sh").ok();
    let made = project.path("out/root").join(project.path("good.o").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(made).unwrap(), project.read("good.o"));
}
