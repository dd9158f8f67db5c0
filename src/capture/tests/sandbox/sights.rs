//! Whether a capture sees that it would be another now.

use std::time::{Duration, SystemTime};

use gg_capture::{Captured, Request, capture};

use crate::support::{Bench, PATH};

/// A capture, and its sight once that has settled.
fn settled(request: &Request) -> (Captured, gg_capture::Sight) {
    std::thread::sleep(Duration::from_millis(150));
    let begun = SystemTime::now();
    let captured = capture(request).unwrap_or_else(|error| panic!("{error}"));
    let sight = captured.sight().unwrap();
    assert!(sight.is_settled(begun));
    assert_eq!(captured.sight(), Some(sight));
    (captured, sight)
}

#[test]
fn what_changes_is_seen() {
    let bench = Bench::new();
    bench.here("/usr/bin/python3 -m venv --without-pip venv");
    let site = std::fs::read_dir(bench.root.join("venv/lib")).unwrap().next().unwrap().unwrap().path();
    let site = site.join("site-packages").strip_prefix(&bench.root).unwrap().to_str().unwrap().to_owned();
    bench.script("bin/tool", "#!/bin/sh\n");
    bench.file("first/tool", "#!/bin/sh\n");
    bench.link("link", "bin/tool");
    bench.file("data/inner/x", "x");
    bench.file("more/m.py", "");
    bench.file("main.py", "try: import later\nexcept ImportError: import m\n");
    bench.file(&format!("{site}/inst/__init__.py"), "");
    let program = |words: &[&str]| {
        let mut request = bench.request(words);
        request.env.insert("PATH".into(), format!("first:bin:{PATH}").into());
        request.env.insert("PYTHONPATH".into(), "more".into());
        request.env.insert("LD_LIBRARY_PATH".into(), "lib".into());
        request
    };
    let python = |more: &[&str]| program(&[&["venv/bin/python"], more].concat());
    let mut with_data = program(&["true"]);
    with_data.also.push("data".into());
    let cases: &[(&str, Request, &str)] = &[
        ("a link", program(&["./link"]), "ln -sf ../first/tool link"),
        ("a script", program(&["tool"]), "cp /dev/null log"),
        ("a script's text", program(&["bin/tool"]), "cp main.py bin/tool.new"),
        ("one that comes first", program(&["tool"]), "chmod +x first/tool"),
        ("a directory", with_data.clone(), "cp main.py data/inner/y"),
        ("a file in a directory", with_data, "cp main.py data/inner/x"),
        ("a module that was not there", python(&["main.py"]), "cp main.py more/later.py"),
        ("one that is installed", python(&["-c", "import inst, json"]), &format!("cp main.py {site}/inst/new.py")),
        ("one that comes before", python(&["-m", "m"]), "cp more/m.py m.py"),
        ("where packages are", python(&["main.py"]), &format!("cp main.py {site}/x.pth")),
        ("a library", program(&["true"]), "mkdir lib"),
    ];
    for (what, request, change) in cases {
        let (captured, before) = settled(request);
        bench.here(change);
        // What has nothing to do with it changes nothing.
        let is_same = change.ends_with(" log") || change.ends_with(".new");
        assert_eq!(captured.sight() == Some(before), is_same, "{what}");
    }
    let (captured, before) = settled(&python(&["main.py"]));
    bench.file("main.py", "import json\n");
    assert_ne!(captured.sight(), Some(before));
}

#[test]
fn a_script_that_picks_an_interpreter_is_asked_each_time() {
    let bench = Bench::new();
    bench.script("shims/python3", "#!/bin/sh\nexec /usr/bin/python3 \"$@\"\n");
    let captured = capture(&bench.request(&["shims/python3", "-c", "pass"])).unwrap();
    assert_eq!(captured.sight(), None);
}
