//! Where namespaces are not to be had, or not wanted, steps run in the tree itself.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::project::{Project, Ran, assert_same, run};
use crate::same_tree::small;

/// `gg-make` without a sandbox.
fn plainly(project: &Project, args: &[&str]) -> Ran {
    run(project.gg_make_command(args).env("GG_SANDBOX", "plain"))
}

/// As in a container whose seccomp profile forbids new namespaces: `unshare` fails with `EPERM`, for root too.
pub fn without_namespaces(command: &mut Command) -> &mut Command {
    let forbid = || {
        let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
        // BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K; the first field of `seccomp_data` is the call's number.
        let mut filter = [
            instruction(0x20, 0, 0, 0),
            instruction(0x15, 0, 1, libc::SYS_unshare as u32),
            instruction(0x06, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
            instruction(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: plain system calls; the program lives through the second.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the closure only makes system calls.
    unsafe { command.pre_exec(forbid) }
}

#[test]
fn the_same_tree_without_a_sandbox() {
    let project = Project::new();
    small(&project);
    project.make(&["-j2"]).ok();
    let want = project.manifest();
    project.make(&["clean"]).ok();
    let ran = plainly(&project, &["-j2"]).ok();
    assert!(ran.stderr.contains("unused variable"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("gg:"), "it was asked for, so nothing is said: {}", ran.stderr);
    assert_same(&want, &project.manifest());
    let report = project.report();
    assert_eq!(report["lazy"], false);
    assert!(report["sandbox"].as_str().unwrap().contains("none"), "{}", report["sandbox"]);
    assert_eq!(project.ran_here(), [] as [String; 0]);
    assert!(plainly(&project, &[]).ok().stdout.contains("Nothing to be done"));
}

#[test]
fn namespaces_that_are_not_to_be_had_are_named_once() {
    let project = Project::new();
    small(&project);
    project.make(&["-j2"]).ok();
    let want = project.manifest();
    project.make(&["clean"]).ok();
    let ran = run(without_namespaces(&mut project.gg_make_command(&["-j2"]))).ok();
    let said: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("gg:")).collect();
    assert_eq!(said.len(), 1, "{}", ran.stderr);
    assert!(said[0].contains("not isolated") && said[0].contains("unprivileged user namespaces"), "{}", said[0]);
    assert_same(&want, &project.manifest());

    // Who insists on them gets an error, and nothing is built.
    project.make(&["clean"]).ok();
    let before = project.manifest();
    let ran = run(without_namespaces(project.gg_make_command(&[]).env("GG_SANDBOX", "namespace")));
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("no namespace sandbox"), "{}", ran.stderr);
    assert_same(&before, &project.manifest());
}

#[test]
fn only_isolated_steps_are_believed_later() {
    let project = Project::new();
    project.write("Makefile", "a.o: a.c\n\t$(CC) -c a.c\nclean:\n\trm -f a.o\n").write("a.c", "int a = 1;\n");
    let again = |sandboxed: bool| {
        project.sh("rm -f a.o").ok();
        if sandboxed { project.gg_make(&[]) } else { plainly(&project, &[]) }.ok();
        project.served()
    };
    let one = |how: &str| [(how.to_owned(), 1)].into();
    assert_eq!(again(false), one("executed"));
    assert_eq!(again(false), one("executed"));
    assert_eq!(again(true), one("executed"));
    assert_eq!(again(false), one("cached"));
}

#[test]
fn a_failing_step_without_a_sandbox() {
    let project = Project::new();
    project
        .write("Makefile", "app: a.o\n\t$(CC) a.o -o app\na.o: a.c\n\t$(CC) -c a.c\n")
        .write("a.c", "int main(void) { return undeclared_thing; }\n");
    let ran = plainly(&project, &[]);
    assert_eq!(ran.status, 2);
    assert_eq!(ran.stderr.matches("undeclared (first use").count(), 1, "{}", ran.stderr);
    assert!(!project.path("a.o").exists());
    project.write("a.c", "int main(void) { return 0; }\n");
    plainly(&project, &[]).ok();
    project.sh("./app").ok();
}

#[test]
fn placeholders_are_forced_without_a_sandbox() {
    let project = Project::new();
    project
        .write("Makefile", "app: a.o b.o\n\t$(CC) a.o b.o -o app\n\tstrip app\n")
        .write("a.c", "int b(void); int main(void) { return b(); }\n")
        .write("b.c", "int b(void) { return 0; }\n");
    project.make(&[]).ok();
    let want = project.manifest();
    project.sh("rm -f app a.o b.o").ok();
    project.gg(&["infer", "--", "make"]).ok();
    assert!(project.is_placeholder("app"), "nothing has been linked yet");
    let force = |args: &[&str]| {
        run(project.command(env!("CARGO_BIN_EXE_gg")).arg("force").args(args).env("GG_SANDBOX", "plain"))
    };
    force(&["app"]).ok();
    project.sh("./app").ok();
    force(&[]).ok();
    assert_same(&want, &project.manifest());
}
