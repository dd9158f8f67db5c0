//! What a person sees at a terminal while a build runs, and afterwards.

use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::project::Project;
use crate::screen::Screen;

const SIZE: (u16, u16) = (30, 80);

/// A source that takes a compiler long enough to be caught at it, and says something at its end.
fn slow(said: &str) -> String {
    let mut source = String::from("#define A0(x) x += __COUNTER__ * x;\n");
    for n in 1..=5 {
        let p = n - 1;
        source += &format!("#define A{n}(x) A{p}(x) A{p}(x) A{p}(x) A{p}(x) A{p}(x) A{p}(x) A{p}(x) A{p}(x)\n");
    }
    source + "unsigned f(unsigned x) { A5(x) return x; }\n" + said + "\n"
}

/// One step that lasts, and one that is soon over.
fn project() -> Project {
    let project = Project::new();
    project
        .write("Makefile", "all: quick.o slow.o\n%.o: %.c\n\t$(CC) -O1 -c -o $@ $<\n")
        .write("quick.c", "#warning quick says so\nint quick;\n")
        .write("slow.c", slow("#warning slow says so"));
    project
}

/// A build in a terminal, and its slow compile, which lasts for as long as it is held.
fn start(project: &Project, args: &[&str]) -> (Screen, Held) {
    hold(Screen::start(project.gg_make_command(args), SIZE))
}

/// A process that has been stopped, and goes on when this is dropped.
struct Held(i32);

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: plain numbers; one that is gone is no error.
        unsafe { libc::kill(self.0, libc::SIGCONT) };
    }
}

/// Stops the slow compile below a terminal's program, so that no test needs to be as fast as it.
#[track_caller]
fn hold(mut screen: Screen) -> (Screen, Held) {
    let found = Cell::new(0);
    let is_compiling = |pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words.next().is_some_and(|program| program.ends_with(b"/cc1")) && words.any(|word| word == b"slow.c")
    };
    screen.until(|screen| {
        let below = gg_watch::descendants(screen.child.id() as i32).unwrap_or_default();
        below.into_iter().find(is_compiling).inspect(|pid| found.set(*pid)).is_some()
    });
    // SAFETY: plain numbers.
    unsafe { libc::kill(found.get(), libc::SIGSTOP) };
    (screen, Held(found.get()))
}

/// Whether the block stands at the bottom.
fn is_shown(screen: &Screen) -> bool {
    let rows = screen.rows();
    rows[rows.len() - 3].starts_with("gg  0:") && rows[rows.len() - 2].contains(" running  ")
}

#[test]
fn running_then_done() {
    let project = project();
    let (mut screen, held) = start(&project, &["-j2"]);
    screen.until(|screen| is_shown(screen) && screen.rows()[28].contains("1 running"));
    let rows = screen.rows();
    assert_eq!(rows[0], "cc -O1 -c -o quick.o quick.c", "{}", screen.text());
    assert!(screen.text().contains("quick.c:1:2: warning: #warning quick says so [-Wcpp]\n"), "{}", screen.text());
    assert!(rows[27].contains(" done of 2 inferred") || rows[27].contains(" of 2 done"), "{}", screen.text());
    assert!(rows[28].contains("1 running  0 waiting  0 from cache"), "{}", screen.text());
    assert!(rows[29].starts_with("    oldest: compile slow.o  "), "{}", screen.text());
    drop(held);
    assert!(screen.end().success());
    let text = screen.text();
    assert!(text.contains("slow says so [-Wcpp]"), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("gg: 2 steps, in "), "{text}");
    assert!(!text.contains("running") && screen.scrolls_whole(), "{text}");
    // Again: nothing is to be done, and nothing is said.
    let mut screen = Screen::start(project.gg_make_command(&["-j2"]), SIZE);
    assert!(screen.end().success());
    assert_eq!(screen.text(), "make: Nothing to be done for 'all'.");
}

#[test]
fn failed() {
    let project = Project::new();
    project
        .write("Makefile", "all: app\napp: a.o b.o\n\t$(CC) $^ -o $@\n")
        .write("a.c", "int f(void) { return undeclared; }\n")
        .write("b.c", "int main(void) { return missing_too; }\n");
    let mut screen = Screen::start(project.gg_make_command(&[]), SIZE);
    assert_eq!(screen.end().code(), Some(2));
    let text = screen.text();
    assert!(text.contains("gg: failed: a.o (from a.c): exit status 1\n"), "{text}");
    assert_eq!(
        text.matches("'undeclared' undeclared").count() + text.matches("‘undeclared’ undeclared").count(),
        1,
        "{text}"
    );
    assert!(screen.said().contains("\x1b[01;31m"), "the compiler's colours are kept");
    let mut screen = Screen::start(project.gg_make_command(&["-k"]), SIZE);
    assert_eq!(screen.end().code(), Some(2));
    let text = screen.text();
    let end = "gg: 2 steps failed, and 1 more was not run because of them\n    a.o: exit status 1\n    b.o: exit status 1\n\
               to see one again: gg log FILE";
    let (first, second) =
        ("    a.o: exit status 1\n    b.o: exit status 1\n", "    b.o: exit status 1\n    a.o: exit status 1\n");
    assert!(text.ends_with(end) || text.ends_with(&end.replace(first, second)), "{text}");
    // The command can be copied and runs as it stands.
    let command = text.lines().find(|line| line.starts_with("    cd ")).unwrap();
    let ran = crate::project::run(Command::new("sh").args(["-c", command]).current_dir("/"));
    assert!(ran.status == 1 && ran.stderr.contains("undeclared"), "{command}\n{}", ran.stderr);
}

#[test]
fn questions_at_the_terminal() {
    let project = project();
    project.write(
        "Makefile",
        "all: slow.o\n\t@printf 'Go on? '; read answer </dev/tty; echo \"So: $$answer.\"\n\
         \t@stty -echo; printf 'Password: ' >/dev/tty; read word; stty echo; echo \"[$$word]\"\n\
         \t@stty -icanon; printf 'A key: '; dd bs=1 count=1 2>/dev/null; stty icanon; echo ' it was'\n\
         slow.o: slow.c\n\t$(CC) -O1 -c -o $@ $<\n",
    );
    let (mut screen, held) = start(&project, &[]);
    screen.until(|screen| is_shown(screen) && screen.text().contains("Go on?"));
    assert_eq!(screen.rows()[1], "Go on?", "{}", screen.text());
    screen.type_in("yes\n");
    screen.until(|screen| screen.text().contains("Password:"));
    assert_eq!(screen.rows()[1..4], ["Go on? yes", "So: yes.", "Password:"], "{}", screen.text());
    screen.type_in("secret\n");
    screen.until(|screen| screen.text().contains("A key:"));
    // The whole screen is the program's, for as long as it reads keys.
    screen.until(|screen| screen.said().ends_with("\x1b7\x1b[r\x1b8"));
    screen.type_in("k");
    screen.until(|screen| screen.text().contains("it was"));
    assert_eq!(screen.rows()[3..5], ["Password: [secret]", "A key: kk it was"], "{}", screen.text());
    screen.until(is_shown);
    drop(held);
    assert!(screen.end().success());
    assert!(screen.scrolls_whole(), "{}", screen.text());
}

#[test]
fn who_opens_the_terminal_has_all_of_it() {
    let project = project();
    let recipe = "all: slow.o\n\t@read start; exec 3<>/dev/tty; echo mine >&3; read end\nslow.o: slow.c\n\t$(CC) -O1 -c -o $@ $<\n";
    project.write("Makefile", recipe);
    let (mut screen, held) = start(&project, &[]);
    screen.until(is_shown);
    screen.type_in("\n");
    screen.until(|screen| screen.text().contains("mine"));
    let said = screen.said();
    let before = &said[..said.find("mine").unwrap()];
    let (shown, hidden) = (before.rfind("waiting").unwrap(), before.rfind("\x1b[J\x1b8"));
    assert!(hidden.is_some_and(|hidden| hidden > shown), "{before:?}");
    screen.type_in("\n");
    drop(held);
    assert!(screen.end().success());
}

#[test]
fn another_size() {
    let project = project();
    let (mut screen, held) = start(&project, &["-j2"]);
    screen.until(is_shown);
    for size in [(40, 60), (20, 100), (24, 30)] {
        screen.resize(size);
        screen.until(is_shown);
        assert_eq!(screen.text().matches(" running  ").count(), 1, "{}", screen.text());
    }
    // Too small for both.
    screen.resize((6, 30));
    screen.until(|screen| !screen.text().contains(" running "));
    drop(held);
    assert!(screen.end().success());
}

#[test]
fn plain_terminals_get_no_block() {
    let project = project();
    for (name, value) in
        [("TERM", "dumb"), ("CI", "true"), ("GG_STATUS", "0"), ("GG_STATUS", "plain"), ("GG_OUTPUT", "quiet")]
    {
        let mut screen = Screen::start_with(project.gg_make_command(&[]), SIZE, |command| {
            command.env(name, value);
        });
        assert!(screen.end().success());
        let (text, said) = (screen.text(), screen.said());
        assert!(!said.contains("\x1b7") && !said.contains(" running"), "{name}={value}: {said:?}");
        let is_summed_up = text.lines().last().unwrap().starts_with("gg: 2 steps");
        assert_eq!(is_summed_up, name != "GG_OUTPUT" && value != "0", "{name}={value}: {text}");
        project.sh("rm -f *.o").ok();
    }
}

#[test]
fn a_log_gets_lines() {
    let project = project();
    let log = tempfile::NamedTempFile::new().unwrap();
    let (mut screen, held) = hold(Screen::start_with(project.gg_make_command(&["-j2"]), SIZE, |command| {
        command.env("GG_STATUS", "plain:1").stderr(Stdio::from(log.reopen().unwrap()));
    }));
    let told = || std::fs::read_to_string(log.path()).unwrap();
    while !told().contains("gg: 1 of 2 steps done after 0:") {
        std::thread::sleep(Duration::from_millis(20));
        assert!(screen.child.try_wait().unwrap().is_none(), "{}", told());
    }
    drop(held);
    assert!(screen.end().success());
    let told = told();
    assert!(told.contains(", 1 running, 0 waiting, 0 from cache\n"), "{told}");
    assert!(told.lines().last().unwrap().starts_with("gg: 2 steps, in ") && !told.contains('\x1b'), "{told}");
}

#[test]
fn no_colour_of_its_own() {
    let project = project();
    let (mut screen, held) = hold(Screen::start_with(project.gg_make_command(&["-j2"]), SIZE, |command| {
        command.env("NO_COLOR", "1");
    }));
    screen.until(is_shown);
    assert!(!screen.said().contains("\x1b[1m"), "{:?}", screen.said());
    drop(held);
    assert!(screen.end().success());
}

#[test]
fn standard_output_is_makes() {
    let project = project();
    let want = project.make(&["-j1"]).ok().stdout;
    project.sh("rm -f *.o").ok();
    let out = tempfile::NamedTempFile::new().unwrap();
    let (mut screen, held) = hold(Screen::start_with(project.gg_make_command(&["-j1"]), SIZE, |command| {
        command.stdout(Stdio::from(out.reopen().unwrap()));
    }));
    screen.until(is_shown);
    drop(held);
    assert!(screen.end().success());
    assert_eq!(std::fs::read_to_string(out.path()).unwrap(), want);
}

#[test]
fn interrupted_or_killed_the_terminal_is_whole() {
    let project = project();
    let (mut screen, _held) = start(&project, &["-j2"]);
    screen.until(is_shown);
    screen.type_in("\x03");
    assert_eq!(screen.end().signal(), Some(libc::SIGINT));
    assert!(!screen.text().contains("running") && screen.scrolls_whole(), "{}", screen.text());

    let (mut screen, _held) = start(&project, &["-j2"]);
    screen.until(is_shown);
    screen.child.kill().unwrap();
    screen.end();
    assert!(!screen.text().contains("running") && screen.scrolls_whole(), "{}", screen.text());
}

#[test]
fn stopped_and_gone_on() {
    let project = project();
    let make = env!("CARGO_BIN_EXE_gg-make");
    let script = format!("set -m; {make} -j2; echo stopped; fg >/dev/null; echo \"status $?\"");
    let mut command = project.command("bash");
    command.args(["-c", &script]);
    let (mut screen, held) = hold(Screen::start(command, SIZE));
    screen.until(is_shown);
    screen.type_in("\x1a");
    screen.until(|screen| screen.text().lines().any(|line| line == "stopped"));
    screen.until(is_shown);
    drop(held);
    screen.until(|screen| screen.text().contains("status 0"));
    let said = screen.said();
    let (hidden, stopped) = (said.find("\x1b[J").unwrap(), said.find("stopped\r\n").unwrap());
    assert!(hidden < stopped, "{said:?}");
    assert!(screen.end().success());
    assert!(screen.scrolls_whole(), "{}", screen.text());
}

#[test]
fn one_gg_within_another() {
    let project = project();
    let make = env!("CARGO_BIN_EXE_gg-make");
    project.write("outer.mk", format!("all:\n\t+{make} -f Makefile\n"));
    let (mut screen, held) = start(&project, &["-f", "outer.mk"]);
    screen.until(is_shown);
    assert_eq!(screen.text().matches(" running  ").count(), 1, "{}", screen.text());
    drop(held);
    assert!(screen.end().success());
    assert!(screen.scrolls_whole(), "{}", screen.text());
}
