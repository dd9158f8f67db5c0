//! `gg run`, `gg parallel`, `gg thunk create`: commands that a person states.

use std::fs;
use std::process::Stdio;

use crate::project::{Project, run};

#[test]
fn a_command_finds_its_inputs_and_nothing_else() {
    let project = Project::new();
    project.write("a.txt", "one two\n").write("b.txt", "three\n");
    let ran = project.gg(&["run", "--in", "a.txt", "--", "wc", "-w", "a.txt"]).ok();
    assert_eq!(ran.stdout, "2 a.txt\n");
    let ran = project.gg(&["run", "--in", "a.txt", "--", "wc", "-w", "a.txt", "b.txt"]);
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("b.txt: No such file or directory"), "{}", ran.stderr);
    assert!(ran.stderr.contains("b.txt is here, but no input of the command"), "{}", ran.stderr);
}

#[test]
fn an_input_may_be_named_by_a_link() {
    let project = Project::new();
    project.write("d/a.txt", "x");
    project.sh("ln -s d/a.txt file; ln -s d directory; ln -s a.txt d/inner; ln -s nowhere broken").ok();
    let args = ["run", "-i", "file", "-i", "directory", "--", "cat", "file", "directory/a.txt", "directory/inner"];
    assert_eq!(project.gg(&args).ok().stdout, "xxx");
    let ran = project.gg(&["run", "-i", "broken", "--", "true"]);
    assert!(ran.status == 2 && ran.stderr.contains("cannot read") && ran.stderr.contains("broken"), "{}", ran.stderr);
}

#[test]
fn outputs_are_put_where_they_belong_with_their_mode() {
    let project = Project::new();
    project.write("a.txt", "x");
    let script = "cat a.txt a.txt >out/two; chmod 755 out/two; echo said; echo warned >&2";
    let args = ["run", "-i", "a.txt", "-o", "out/two", "--", "sh", "-c", script];
    for _ in 0..2 {
        let ran = project.gg(&args).ok();
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("said\n", "warned\n"));
        assert_eq!(project.read("out/two"), b"xx");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(project.path("out/two")).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o755);
        fs::remove_file(project.path("out/two")).unwrap();
    }
}

#[test]
fn what_is_known_is_not_run_again_unless_it_is_volatile() {
    let project = Project::new();
    let now = ["--", "cat", "/proc/sys/kernel/random/uuid"];
    let said = |more: &[&str]| project.gg(&[&["run"], more, &now].concat()).ok().stdout;
    let first = said(&[]);
    assert_eq!(said(&[]), first);
    assert_ne!(said(&["--volatile"]), first);
    assert_eq!(said(&[]), first);
    assert_ne!(said(&["--env", "A=1"]), first);
}

#[test]
fn its_exit_status_is_the_commands() {
    let project = Project::new();
    assert_eq!(project.gg(&["run", "--", "sh", "-c", "exit 7"]).status, 7);
    assert_eq!(project.gg(&["run", "--", "sh", "-c", "kill -9 $$"]).status, 128 + 9);
    let ran = project.gg(&["run", "--", "no-such-program"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("there is no program \"no-such-program\" in PATH"), "{}", ran.stderr);
}

#[test]
fn a_program_that_lacks_a_library_is_told_of() {
    let project = Project::new();
    project.write("l.c", "int f(void) { return 0; }").write("m.c", "int f(void); int main(void) { return f(); }");
    project.sh("cc -shared -o libl.so l.c && cc m.c -o m -L. -ll && cp m alone").ok();
    let ran = project.gg(&["run", "--", "./alone"]);
    assert!(ran.stderr.contains("needs the shared library libl.so, which the loader does not find"), "{}", ran.stderr);
    let ran = run(project.command(env!("CARGO_BIN_EXE_gg")).env("LD_LIBRARY_PATH", ".").args(["run", "--", "./alone"]));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
}

#[test]
fn many_commands_say_what_they_have_to_in_order() {
    let project = Project::new();
    let items: Vec<String> = (0..20).map(|n| format!("{n}.in")).collect();
    for (number, item) in items.iter().enumerate() {
        project.write(item, format!("{number}\n"));
    }
    // The first takes longest.
    let script = "case {/.} in 0) sleep 0.5;; esac; cat {}; cat {} {} >{.}.out";
    let mut args = vec!["parallel", "-o", "{.}.out", "--", "sh", "-c", script, ":::"];
    args.extend(items.iter().map(String::as_str));
    let ran = project.gg(&args).ok();
    assert_eq!(ran.stdout, (0..20).map(|n| format!("{n}\n")).collect::<String>());
    assert_eq!(project.read("7.out"), b"7\n7\n");
}

#[test]
fn items_are_read_and_some_may_fail() {
    let project = Project::new();
    project.write("list", "a\nb c\nd\n");
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    command.args(["xargs", "--", "sh", "-c", "test '{}' != d && echo {#} {}"]);
    let ran = run(command.stdin(Stdio::from(fs::File::open(project.path("list")).unwrap())));
    assert_eq!((ran.status, ran.stdout.as_str()), (1, "1 a\n2 b c\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("gg: 1 of 3 failed"), "{}", ran.stderr);
    let ran = project.gg(&["parallel", "-o", "same", "--", "sh", "-c", "echo {} >same", ":::", "a", "b"]);
    assert!(ran.status == 2 && ran.stderr.contains("same is an output of several items"), "{}", ran.stderr);
}

#[test]
fn a_thunk_can_be_made_now_and_forced_later() {
    let project = Project::new();
    project.write("a.txt", "x");
    let create =
        ["thunk", "create", "--place", "-i", "a.txt", "-o", "b.txt", "--", "sh", "-c", "cat a.txt a.txt >b.txt"];
    let name = project.gg(&create).ok().stdout;
    assert_eq!(project.gg(&create).ok().stdout, name);
    assert!(project.is_placeholder("b.txt"));
    // What is not computed yet can be an input.
    let next = ["thunk", "create", "--place", "-i", "b.txt", "-o", "c.txt", "--", "sh", "-c", "cat b.txt b.txt >c.txt"];
    project.gg(&next).ok();
    project.gg(&["force", "c.txt"]).ok();
    assert_eq!(project.read("c.txt"), b"xxxx");
    assert!(project.is_placeholder("b.txt"));
}

#[test]
fn recipes_are_read_from_a_file() {
    let project = Project::new();
    project.write("a.json", r#"{"program": "cat", "args": ["/w/a"], "inputs": {"/w/a": {"text": "x"}}}"#);
    let ran = project.gg(&["thunk", "create", "--recipe", "a.json"]).ok();
    assert!(ran.stdout.starts_with('T'), "{}", ran.stdout);
    project.write("b.json", r#"{"a": {"program": "cat", "outputs": {"o": "/o"}}, "b": {"program": "cat", "inputs": {"/a": {"thunk": "a"}}}}"#);
    let ran = project.gg(&["thunk", "create", "--recipe", "b.json"]).ok();
    assert!(ran.stdout.starts_with("a\tT") && ran.stdout.contains("\nb\tT"), "{}", ran.stdout);
    project.write("c.json", r#"{"program": "cat", "input": {}}"#);
    let ran = project.gg(&["thunk", "create", "--recipe", "c.json"]);
    assert!(ran.status == 2 && ran.stderr.contains("unknown field `input`"), "{}", ran.stderr);
}

#[test]
fn many_commands_leave_a_record() {
    let project = Project::new();
    project.write("Makefile", "a.o: a.c\n\t$(CC) -c a.c\n").write("a.c", "int a;\n");
    project.gg(&["infer", "--", "make"]).ok();
    project.gg(&["parallel", "--", "sh", "-c", "test {} != 7", ":::", "6", "7"]);
    let record = project.report();
    assert_eq!((record["status"].as_i64(), record["stated"].as_bool()), (Some(1), Some(true)));
    let told = |step: &serde_json::Value, what: &str| step[what].as_str().unwrap().to_owned();
    let mut steps: Vec<_> =
        record["steps"].as_array().unwrap().iter().map(|it| (told(it, "label"), told(it, "served"))).collect();
    steps.sort();
    let of = |item: &str, served: &str| (format!("sh -c test {item} != 7"), served.to_owned());
    assert_eq!(steps, [of("6", "executed"), of("7", "failed")]);
    assert!(project.gg(&["report"]).ok().stdout.contains("gg parallel sh -c"));
    // What a build has left goes by what that called it.
    project.gg(&["force"]).ok();
    assert_eq!(project.report()["steps"][0]["kind"], "compile");
    // A single command is not worth one.
    project.gg(&["run", "--", "true"]).ok();
    assert_eq!(project.report()["command"][1], "force");
}

#[test]
fn the_environment_that_is_said_chooses_what_is_captured() {
    let project = Project::new();
    for place in ["one", "two"] {
        project.write(format!("{place}/m.py"), format!("print('{place}')\n"));
        project.write(format!("{place}/tool"), format!("#!/bin/sh\necho {place}\n"));
    }
    project.sh("chmod +x one/tool two/tool").ok();
    let here = project.path("one").display().to_string();
    let gg = |args: &[&str]| {
        let path = format!("{here}:/usr/bin:/bin");
        run(project.command(env!("CARGO_BIN_EXE_gg")).env("PATH", path).env("PYTHONPATH", &here).args(args)).ok().stdout
    };
    let python = ["--", "/usr/bin/python3", "-c", "import m"];
    assert_eq!(gg(&[&["run"], &python[..]].concat()), "one\n");
    assert_eq!(gg(&[&["run", "--env", "PYTHONPATH=two"], &python[..]].concat()), "two\n");
    assert_eq!(gg(&["run", "--", "tool"]), "one\n");
    let two = format!("PATH={}:/usr/bin:/bin", project.path("two").display());
    assert_eq!(gg(&["run", "--env", &two, "--", "tool"]), "two\n");
    assert_eq!(gg(&["run", "--env", &two, "--", "sh", "-c", "tool"]), "two\n");
}

#[test]
fn a_thunk_is_the_same_for_people_with_other_languages() {
    let project = Project::new();
    let name = |variables: &[(&str, &str)], more: &[&str]| {
        let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
        command.env_remove("LANG").args(["thunk", "create"]).args(more).args(["--", "ls"]);
        run(command.envs(variables.iter().copied())).ok().stdout
    };
    let plain = name(&[], &[]);
    assert_eq!(
        name(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C.UTF-8"), ("LANGUAGE", "de"), ("LOCPATH", "/")], &[]),
        plain
    );
    assert_eq!(name(&[("LD_LIBRARY_PATH", "/usr/lib:/lib:/none")], &[]), plain);
    assert_ne!(name(&[], &["--env", "LANG=C.UTF-8"]), plain);
}

#[test]
fn a_program_is_captured_once_for_all_items() {
    let project = Project::new();
    let python = format!("#!/bin/sh\necho >>{}\nexec /usr/bin/python3 \"$@\"\n", project.path("asked").display());
    project.write("bin/python3", python).write("m.py", "import sys\nprint(*sys.argv[1:])\n");
    project.sh("chmod +x bin/python3").ok();
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    command.env("PATH", format!("{}:/usr/bin:/bin", project.path("bin").display()));
    command.args(["parallel", "--", "python3", "m.py", "{}", "x{}", ":::", "1", "2", "3"]);
    let ran = run(&mut command).ok();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("1 x1\n2 x2\n3 x3\n", ""));
    assert_eq!(project.read("asked"), b"\n");
    // Nor is one that cannot be tried again and again.
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    command.env("PATH", format!("{}:/usr/bin:/bin", project.path("bin").display()));
    let ran = run(command.args(["parallel", "--", "python3", "-m", "no_such_module", "{}", ":::", "1", "2", "3"]));
    assert!(ran.status != 0 && ran.stderr.matches("no module \"no_such_module\"").count() == 3, "{}", ran.stderr);
    assert_eq!(project.read("asked"), b"\n\n");
}

#[test]
fn what_may_be_missing_is_told_once() {
    let project = Project::new();
    project.write("m.py", "import sys, os\nsys.path.append(os.environ.get('MORE', '/none'))\nimport json\nprint(1)\n");
    let ran = project.gg(&["parallel", "--no-input", "--", "/usr/bin/python3", "m.py", "{}", ":::", "1", "2"]).ok();
    assert_eq!(ran.stdout, "1\n1\n");
    let told: Vec<_> = ran.stderr.lines().collect();
    let [told] = &told[..] else { panic!("{told:?}") };
    assert!(told.starts_with("gg: ") && told.contains("m.py, line 2, changes sys.path"), "{told}");
    let created = project.gg(&["thunk", "create", "--", "/usr/bin/python3", "m.py"]).ok();
    assert_eq!(created.stderr.lines().collect::<Vec<_>>(), [*told]);
}

#[test]
fn words_of_a_script_that_are_no_programs() {
    let project = Project::new();
    project.write("bin/broken", "#!/no/such/interpreter\n");
    project.sh("chmod +x bin/broken").ok();
    let path = format!("{}:/usr/bin:/bin", project.path("bin").display());
    let gg = |args: &[&str]| run(project.command(env!("CARGO_BIN_EXE_gg")).env("PATH", &path).args(args));
    assert_eq!(gg(&["run", "--", "sh", "-c", "echo broken | cat"]).ok().stdout, "broken\n");
    // What is said is not guessed.
    let ran = gg(&["run", "--program", "broken", "--", "true"]);
    assert!(ran.status == 2 && ran.stderr.contains("/no/such/interpreter"), "{}", ran.stderr);
}

#[test]
fn standard_input_may_be_a_pipe() {
    let project = Project::new();
    let gg = env!("CARGO_BIN_EXE_gg");
    let script = format!(
        "exec 3<<END\nthree\nEND\necho one | {gg} run --stdin /dev/stdin -- cat; {gg} run --stdin /dev/null -- cat\n\
         {gg} run --stdin <(echo two) -- cat; {gg} parallel --stdin <(echo all) -- sh -c 'cat; echo {{}}' ::: 1 2\n"
    );
    let ran = run(project.command("bash").args(["-c", &script]));
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("one\ntwo\nall\n1\nall\n2\n", ""));
    let ran = project.gg(&["run", "--stdin", "none", "--", "cat"]);
    assert!(ran.status == 2 && ran.stderr.starts_with("gg: inputs: /dev/stdin"), "{}", ran.stderr);
}
