//! `gg api`: thunks for other programs, in lines of JSON.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::Project;

/// One `gg api`.
struct Api {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Api {
    fn start(project: &Project, args: &[&str]) -> Self {
        Self::with(project.command(env!("CARGO_BIN_EXE_gg")).arg("api").args(args))
    }

    fn with(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut api = Self { child, input, output };
        api.say(json!({"id": 0, "do": "hello", "protocol": 1}));
        assert_eq!(api.hear()["ok"]["protocol"], 1);
        api
    }

    fn say(&mut self, line: impl std::fmt::Display) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "gg has ended");
        serde_json::from_str(&line).unwrap()
    }

    /// The final answer to a request, and the events before it.
    fn ask(&mut self, mut request: Value) -> (Value, Vec<Value>) {
        request["id"] = json!("it");
        self.say(&request);
        let mut events = Vec::new();
        loop {
            let heard = self.hear();
            assert_eq!(heard["id"], "it");
            if heard.get("event").is_none() {
                return (heard, events);
            }
            events.push(heard);
        }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

/// A recipe of a shell's script in /w.
fn script(text: &str) -> Value {
    json!({"program": "sh", "programs": ["cat"], "args": ["-c", text], "cwd": "/w", "outputs": {"out": "/w/out"}})
}

#[test]
fn thunks_that_use_each_other_are_forced_and_their_values_read() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    let mut second = script("cat in in >out; echo said; echo warned >&2");
    second["inputs"] = json!({"/w/in": {"thunk": "first"}});
    let force =
        json!({"do": "force", "thunks": {"first": script("echo hello >out"), "second": second}, "want": ["second"]});
    for cached in [false, true] {
        let (answer, events) = api.ask(force.clone());
        assert_eq!(answer["ok"], json!({"done": 1, "failed": 0}));
        let [done] = &events[..] else { panic!("{events:?}") };
        assert_eq!(done["cached"], cached);
        assert_eq!(
            (&done["key"], &done["stdout"], &done["stderr"]),
            (&json!("second"), &json!("said\n"), &json!("warned\n"))
        );
        let out = &done["outputs"]["out"];
        assert_eq!((&out["size"], &out["mode"]), (&json!(12), &json!("0644")));
        let (got, _) = api.ask(json!({"do": "get", "object": out["object"]}));
        assert_eq!(got["ok"]["text"], "hello\nhello\n");
        let (got, _) = api.ask(json!({"do": "get", "object": out["object"], "to": "x", "mode": "0600"}));
        assert_eq!(got["ok"], json!({}));
        assert_eq!(project.read("x"), b"hello\nhello\n");
    }
}

#[test]
fn files_and_directories_of_this_machine_are_inputs() {
    let project = Project::new();
    project.write("d/a", "1").write("d/e/b", "2").write("f", [0xff, 0x00]);
    let mut api = Api::start(&project, &[]);
    let mut both = script("cat d/a d/e/b f >out");
    both["inputs"] = json!({"/w/d": {"file": "d"}, "/w/f": {"file": "f"}});
    let (_, events) = api.ask(json!({"do": "force", "thunks": {"a": both}}));
    let (got, _) = api.ask(json!({"do": "get", "object": events[0]["outputs"]["out"]["object"]}));
    assert_eq!(got["ok"], json!({"base64": "MTL/AA=="}));
    // What changes is another input.
    project.write("d/a", "3");
    let (_, events) = api.ask(json!({"do": "force", "thunks": {"a": both}}));
    let (got, _) = api.ask(json!({"do": "get", "object": events[0]["outputs"]["out"]["object"]}));
    assert_eq!(got["ok"], json!({"base64": "MzL/AA=="}));
    let (put, _) = api.ask(json!({"do": "put", "file": "d"}));
    assert!(put["ok"]["tree"].as_str().unwrap().starts_with('V'));
}

#[test]
fn a_program_may_state_what_to_compute() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    let graph = r#"{"thunks": {"more": {"inherit": true, "args": ["sh", "-c", "cat given >out"], "inputs": {"/w/given": {"text": "grown"}}}},
        "output": {"thunk": "more"}}"#;
    let mut recipe = script(&format!("cat >out <<'E'\ngg-graph 1\n{graph}\nE"));
    recipe["outputs"]["out"] = json!({"path": "/w/out", "dynamic": true});
    let (answer, events) = api.ask(json!({"do": "force", "thunks": {"a": recipe}}));
    assert_eq!(answer["ok"]["done"], 1, "{events:?}");
    let (got, _) = api.ask(json!({"do": "get", "object": events[0]["outputs"]["out"]["object"]}));
    assert_eq!(got["ok"]["text"], "grown");
}

#[test]
fn whose_fault_a_failure_is() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    let mut second = script("cat in >out");
    second["inputs"] = json!({"/w/in": {"thunk": "bad"}});
    let mut bad = script("echo why >&2; exit 3");
    bad["label"] = json!("the bad one");
    let (answer, events) =
        api.ask(json!({"do": "force", "thunks": {"bad": bad, "second": second, "good": script("echo >out")}}));
    assert_eq!(answer["ok"], json!({"done": 1, "failed": 2}));
    let error = |key: &str| &events.iter().find(|event| event["key"] == key).unwrap()["error"];
    let own = error("bad");
    assert_eq!((&own["kind"], &own["status"], &own["stderr"]), (&json!("program"), &json!(3), &json!("why\n")));
    assert!(own["message"].as_str().unwrap().starts_with("the bad one: sh: exit status 3: why (thunk T"), "{own}");
    let other = error("second");
    assert_eq!(
        (&other["kind"], &other["label"], &other["thunk"]),
        (&json!("dependency"), &json!("the bad one"), &own["thunk"])
    );
}

#[test]
fn what_is_no_request_is_told_and_the_next_is_answered() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    for (line, id, what) in [
        ("garbage", Value::Null, "no JSON"),
        ("[]", Value::Null, "a request has an id"),
        (r#"{"id": 1}"#, json!(1), "missing field `do`"),
        (r#"{"id": 1, "do": "dance"}"#, json!(1), "unknown variant `dance`"),
        (r#"{"id": 1, "do": "hello", "protocol": 9}"#, json!(1), "version 1 of the protocol, not 9"),
        (r#"{"id": 1, "do": "get", "object": "x"}"#, json!(1), "is not an object's name"),
        (r#"{"id": 1, "do": "put"}"#, json!(1), "give one of text, base64 and file"),
        (r#"{"id": 1, "do": "put", "file": "none"}"#, json!(1), "cannot read"),
        (r#"{"id": 1, "do": "force", "want": ["x"]}"#, json!(1), "there is no thunk called \"x\" here"),
        (
            r#"{"id": 1, "do": "thunk", "thunks": {"a": {"program": "no-such"}}}"#,
            json!(1),
            "a: there is no program \"no-such\"",
        ),
        (
            r#"{"id": 1, "do": "thunk", "thunks": {"a": {"executable": "a"}}}"#,
            json!(1),
            "a: executable: \"a\" is not an absolute path",
        ),
    ] {
        api.say(line);
        let heard = api.hear();
        let message = heard["error"]["message"].as_str().unwrap_or_else(|| panic!("{heard}"));
        assert_eq!((&heard["id"], &heard["error"]["kind"]), (&id, &json!("request")), "{line}");
        assert!(message.contains(what), "{line}: {message}");
    }
    assert_eq!(api.ask(json!({"do": "put", "text": "x"})).0["ok"]["size"], 1);
}

/// A thunk that sleeps for `seconds`, which no other test does.
fn sleep(seconds: &str) -> Value {
    json!({"program": "sleep", "args": [seconds]})
}

/// Whether a program with these arguments runs.
fn runs(args: &[&str]) -> bool {
    let line = args.join("\0");
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|found| found.strip_suffix(b"\0") == Some(line.as_bytes()))
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_request_can_be_cancelled_and_its_programs_are_killed() {
    let project = Project::new();
    let mut api = Api::start(&project, &["-e", "local:1"]);
    let thunks = json!({"a": sleep("1234.25"), "b": sleep("1234.5")});
    api.say(json!({"id": 5, "do": "force", "thunks": thunks}));
    let is_one = || runs(&["sleep", "1234.25"]) || runs(&["sleep", "1234.5"]);
    until("one runs", is_one);
    api.say(json!({"id": 6, "do": "cancel", "of": 5}));
    let heard: Vec<Value> = (0..2).map(|_| api.hear()).collect();
    assert!(heard.iter().any(|it| it["id"] == 5 && it["error"]["kind"] == "cancelled"), "{heard:?}");
    assert!(heard.iter().any(|it| it["id"] == 6 && it["ok"] == json!({})), "{heard:?}");
    until("it is killed, and the other is not begun", || !is_one());
    // The only place is free again.
    let (answer, _) = api.ask(json!({"do": "force", "thunks": {"c": sleep("0.01")}}));
    assert_eq!(answer["ok"], json!({"done": 1, "failed": 0}));
    assert!(!is_one());
}

#[test]
fn one_of_a_request_can_be_cancelled() {
    let project = Project::new();
    let mut api = Api::start(&project, &["-e", "local:2"]);
    let thunks = json!({"a": sleep("1235.25"), "b": sleep("0.5"), "c": sleep("1235.5")});
    api.say(json!({"id": 5, "do": "force", "thunks": thunks}));
    // Another wants the same as the first does of `c`.
    api.say(json!({"id": 7, "do": "force", "thunks": {"same": sleep("1235.5")}}));
    until("they run", || runs(&["sleep", "1235.25"]) || runs(&["sleep", "1235.5"]));
    api.say(json!({"id": 6, "do": "cancel", "of": 5, "keys": ["a", "c", "none"]}));
    let mut heard = Vec::new();
    while !heard.iter().any(|it: &Value| it["id"] == 5 && !it["ok"].is_null()) {
        heard.push(api.hear());
    }
    let failed: Vec<_> = heard.iter().filter(|it| it["event"] == "failed").map(|it| &it["key"]).collect();
    assert_eq!(failed, ["a", "c"]);
    assert!(heard.iter().filter(|it| it["event"] == "failed").all(|it| it["error"]["kind"] == "cancelled"));
    assert!(heard.iter().any(|it| it["event"] == "done" && it["key"] == "b"), "{heard:?}");
    assert!(heard.iter().any(|it| it["id"] == 5 && it["ok"] == json!({"done": 1, "failed": 2})), "{heard:?}");
    until("the first is killed", || !runs(&["sleep", "1235.25"]));
    until("the other is wanted still", || runs(&["sleep", "1235.5"]));
    api.say(json!({"id": 8, "do": "cancel", "of": 7}));
    until("it is killed", || !runs(&["sleep", "1235.5"]));
}

#[test]
fn what_was_cancelled_can_be_asked_for_again() {
    let project = Project::new();
    let mut api = Api::start(&project, &["-e", "local:1"]);
    let thunks = || json!({"a": {"program": "sleep", "args": ["2.75"]}});
    for id in [1, 2] {
        api.say(json!({"id": id, "do": "force", "thunks": thunks()}));
        until("it runs", || runs(&["sleep", "2.75"]));
        api.say(json!({"id": id + 10, "do": "cancel", "of": id}));
        (0..2).for_each(|_| drop(api.hear()));
    }
    let (answer, events) = api.ask(json!({"do": "force", "thunks": thunks()}));
    assert_eq!((&answer["ok"]["done"], &events[0]["cached"]), (&json!(1), &json!(false)), "{answer} {events:?}");
}

#[test]
fn the_end_of_input_ends_all() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    api.say(json!({"id": 5, "do": "force", "thunks": {"a": sleep("1236.25")}}));
    until("it runs", || runs(&["sleep", "1236.25"]));
    drop(api);
    until("it is killed", || !runs(&["sleep", "1236.25"]));
}

#[test]
fn a_session_leaves_a_record() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    let thunks = json!({"a": {"program": "echo", "args": ["a"], "label": "the first"}});
    api.ask(json!({"do": "force", "thunks": thunks}));
    drop(api);
    let record = project.report();
    assert_eq!((&record["command"], &record["steps"][0]["label"]), (&json!(["gg", "api"]), &json!("the first")));
    // One that forces nothing leaves none.
    drop(Api::start(&project, &[]));
    assert_eq!(project.report()["run"], 1);
}

#[test]
fn answers_that_nobody_reads_do_not_keep_it() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    // More than a pipe holds.
    let text = "x".repeat(100_000);
    let object = api.ask(json!({"do": "put", "text": text})).0["ok"]["object"].clone();
    for id in 0..40 {
        api.say(json!({"id": id, "do": "get", "object": object}));
    }
    // Ended by what follows.
}

#[test]
fn nothing_can_be_said_twice() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    for (line, what) in [
        (
            r#"{"id": 1, "do": "force", "thunks": {"a": {"program": "true"}, "a": {"program": "false"}}}"#,
            "a is stated twice",
        ),
        (
            r#"{"id": 1, "do": "force", "thunks": {"a": {"program": "true", "inputs": {"/w": {"text": "1"}, "/w": {"text": "2"}}}}}"#,
            "\"/w\" is said twice",
        ),
        (r#"{"id": 1, "do": "put", "text": "a", "text": "b"}"#, "duplicate field `text`"),
    ] {
        api.say(line);
        let heard = api.hear();
        assert_eq!(heard["id"], 1);
        let message = heard["error"]["message"].as_str().unwrap_or_else(|| panic!("{heard}"));
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn what_failed_is_tried_again_when_it_is_asked_for_again() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    let lost = gg_ir::Name::of_value(b"not there yet").to_string();
    let thunks = json!({"a": {"program": "cat", "args": ["/w"], "inputs": {"/w": {"object": lost}}}});
    let force = json!({"do": "force", "thunks": thunks});
    assert_eq!(api.ask(force.clone()).0["ok"]["failed"], 1);
    api.ask(json!({"do": "put", "text": "not there yet"}));
    assert_eq!(api.ask(force).1[0]["stdout"], "not there yet");
    let now = json!({"do": "force", "thunks": {"now": {"program": "date", "args": ["+%N"], "volatile": true}}});
    let first = api.ask(now.clone()).1;
    let second = api.ask(now).1;
    assert_ne!(first[0]["stdout"], second[0]["stdout"]);
    assert_eq!(second[0]["cached"], false);
}

#[test]
fn a_graph_names_what_its_thunk_has_seen() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    let object = api.ask(json!({"do": "put", "text": "elsewhere"})).0["ok"]["object"].clone();
    let graph = |output: &Value| {
        let script = format!("printf 'gg-graph 1\\n%s' '{{\"output\": {output}}}' >/out");
        json!({"program": "sh", "args": ["-c", script], "inputs": {"/seen": {"text": "seen"}},
               "outputs": {"out": {"path": "/out", "dynamic": true}}})
    };
    let seen = gg_ir::Name::of_value(b"seen").to_string();
    for (output, is_right) in [
        (json!({"object": object}), false),
        (json!({"object": gg_ir::Name::of_value(b"nowhere").to_string()}), false),
        (json!({"object": seen}), true),
        (json!({"input": "/seen"}), true),
    ] {
        let events = api.ask(json!({"do": "force", "thunks": {"a": graph(&output)}})).1;
        assert_eq!(events[0]["event"], if is_right { "done" } else { "failed" }, "{}", events[0]);
        if !is_right {
            assert!(events[0]["error"]["message"].as_str().unwrap().contains("has not seen it"), "{}", events[0]);
        }
    }
}

#[test]
fn what_programs_are_is_seen_anew_in_each_request() {
    let project = Project::new();
    let python = "import importlib; print(importlib.import_module('pk' + '.m').WHERE)";
    let recipes = json!({
        "link": {"program": "./tool"},
        "path": {"program": "named"},
        "also": {"program": "cat", "args": ["plug/x"], "also": ["plug"]},
        "package": {"program": "/usr/bin/python3", "args": ["-c", python], "packages": ["pk"]},
        "module": {"program": "/usr/bin/python3", "args": ["-c", "try: import late; print(late.WHERE)\nexcept ImportError: print('none')"]},
    });
    let tool = |name: &str, says: &str| {
        project.write(name, format!("#!/bin/sh\necho {says}\n"));
        project.sh(&format!("chmod +x {name}")).ok();
    };
    tool("tool-1", "1");
    tool("tool-2", "2");
    tool("second/named", "1");
    project.sh("ln -s tool-1 tool; mkdir first").ok();
    project.write("plug/x", "1\n").write("pk/__init__.py", "").write("pk/m.py", "WHERE = '1'\n");
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    let path = format!("{}:{}:/usr/bin:/bin", project.path("first").display(), project.path("second").display());
    let mut api = Api::with(command.env("PATH", path).arg("api"));
    let said = |api: &mut Api| -> std::collections::BTreeMap<String, String> {
        let (_, events) = api.ask(json!({"do": "force", "thunks": recipes}));
        let text = |it: &Value| it.as_str().unwrap_or_default().trim_end().to_owned();
        events.iter().map(|it| (text(&it["key"]), text(&it["stdout"]))).collect()
    };
    let all = |value: &str, module: &str| {
        let other = ["also", "link", "package", "path"].map(|key| (key.to_owned(), value.to_owned()));
        other.into_iter().chain([("module".to_owned(), module.to_owned())]).collect()
    };
    assert_eq!(said(&mut api), all("1", "none"));
    tool("first/named", "2");
    project.sh("ln -sf tool-2 tool").ok();
    project.write("plug/x", "2\n").write("pk/m.py", "WHERE = '2'\n").write("late.py", "WHERE = 'late'\n");
    assert_eq!(said(&mut api), all("2", "late"));
}

#[test]
fn what_is_no_thunk_fails_by_itself() {
    let project = Project::new();
    let mut api = Api::start(&project, &[]);
    let thunks = json!({
        "good": {"program": "echo", "args": ["good"]},
        "bad": {"program": "no-such"},
        "user": {"program": "cat", "inputs": {"/w": {"thunk": "bad"}}},
        "missing": {"program": "cat", "inputs": {"/w": {"file": "missing"}}},
        "more": {"program": "echo", "args": ["more"]},
    });
    let (answer, events) = api.ask(json!({"do": "force", "thunks": thunks}));
    assert_eq!(answer["ok"], json!({"done": 2, "failed": 3}));
    let told = |key: &str| {
        let found = events.iter().filter(|event| event["key"] == key).collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{key}: {events:?}");
        found[0].clone()
    };
    assert_eq!((&told("good")["stdout"], &told("more")["stdout"]), (&json!("good\n"), &json!("more\n")));
    for (key, what) in [("bad", "no program \"no-such\""), ("user", "it uses \"bad\""), ("missing", "missing")] {
        let error = &told(key)["error"];
        assert!(error["kind"] == "request" && error["message"].as_str().unwrap().contains(what), "{error}");
    }
    // What is not wanted may be wrong.
    let thunks = json!({"good": {"program": "echo"}, "bad": {"program": "no-such"}});
    assert_eq!(api.ask(json!({"do": "force", "thunks": thunks, "want": ["good"]})).0["ok"]["done"], 1);
}

#[test]
fn what_is_still_so_is_not_asked_again() {
    let project = Project::new();
    // Python's start is seen; in a sandbox there is nothing to be written to.
    let start = format!("import os\ntry: open({:?}, 'a').write('x')\nexcept OSError: pass\n", project.path("asked"));
    project.write("start/sitecustomize.py", start).write("app/main.py", "import m\n").write("app/m.py", "print(1)\n");
    std::thread::sleep(Duration::from_millis(150));
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    let mut api = Api::with(command.env("PYTHONPATH", project.path("start")).arg("api"));
    let mut thunk = |args: Value| {
        let recipe = json!({"program": "/usr/bin/python3", "args": args});
        api.ask(json!({"do": "thunk", "thunks": {"a": recipe}})).0["ok"]["thunks"]["a"].to_string()
    };
    let first = thunk(json!(["app/main.py"]));
    assert_eq!(thunk(json!(["app/main.py"])), first);
    assert_ne!(thunk(json!(["app/main.py", "1"])), first);
    assert_eq!(project.read("asked"), b"x");
    project.write("app/m.py", "print(2)\n");
    assert_ne!(thunk(json!(["app/main.py"])), first);
    assert_eq!(project.read("asked"), b"xx");
}

#[test]
fn what_a_program_will_have_in_its_environment_decides_what_is_captured() {
    let project = Project::new();
    project.write("one/m.py", "print(1)\n").write("two/m.py", "print(2)\n");
    let mut command = project.command(env!("CARGO_BIN_EXE_gg"));
    let mut api = Api::with(command.env("PYTHONPATH", "one").arg("api"));
    let python = json!({"program": "/usr/bin/python3", "args": ["-c", "import m"]});
    for (env, expected) in [(json!({}), "1\n"), (json!({"PYTHONPATH": "two"}), "2\n")] {
        let mut recipe = python.clone();
        recipe["env"] = env.clone();
        let (_, events) = api.ask(json!({"do": "force", "thunks": {"a": recipe}}));
        assert_eq!(events[0]["stdout"], expected, "{events:?}");
        let mut capture = python.clone();
        (capture["do"], capture["env"]) = (json!("capture"), env);
        let mut recipe = api.ask(capture).0["ok"].clone();
        recipe.as_object_mut().unwrap().remove("notes");
        recipe["cwd"] = json!(project.root());
        let (_, events) = api.ask(json!({"do": "force", "thunks": {"a": recipe}}));
        assert_eq!(events[0]["stdout"], expected, "{events:?}");
    }
}
