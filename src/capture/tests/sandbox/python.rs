//! Python programs, with what they import.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use gg_capture::{Captured, Need, Note};
use gg_ir::AbsPath;
use gg_worker::{Outcome, SandboxChoice};

use crate::support::{Bench, PATH, below};

/// Several interpreters can be tested at once: a list of paths, as PATH is one.
const PYTHONS: &str = "GG_TEST_PYTHONS";

/// The interpreters that are tested: the system's, unless somebody names others.
fn pythons() -> Vec<PathBuf> {
    match std::env::var_os(PYTHONS) {
        Some(list) => std::env::split_paths(&list).collect(),
        None => vec!["/usr/bin/python3".into()],
    }
}

/// A virtual environment with packages from the package index (tests/pythons).
fn installed(python: &Path) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/pythons");
    let done = Command::new(script).arg(python).stderr(std::process::Stdio::inherit()).output().unwrap();
    assert!(done.status.success(), "{python:?}");
    PathBuf::from(String::from_utf8(done.stdout).unwrap().trim_end())
}

/// A virtual environment in the bench's directory, with nothing in it; where its packages go.
fn empty(bench: &Bench) -> PathBuf {
    bench.here("/usr/bin/python3 -m venv --without-pip venv");
    let libraries = std::fs::read_dir(bench.root.join("venv/lib")).unwrap().next().unwrap().unwrap();
    libraries.path().join("site-packages").strip_prefix(&bench.root).unwrap().to_owned()
}

/// Writes a distribution into a virtual environment as pip does: its files, its record, what it requires.
fn distribution(bench: &Bench, site: &Path, name: &str, files: &[(&str, &str)], requires: &[&str]) {
    let info = format!("{name}-1.0.dist-info");
    let mut record = format!("{info}/METADATA,,\n{info}/RECORD,,\n../../../bin/{name},,\n");
    for (file, content) in files {
        bench.file(site.join(file).to_str().unwrap(), content);
        record += &format!("{file},sha256=x,1\n");
    }
    let requires: String = requires.iter().map(|it| format!("Requires-Dist: {it}\n")).collect();
    bench.file(site.join(&info).join("METADATA").to_str().unwrap(), format!("Name: {name}\n{requires}"));
    bench.file(site.join(&info).join("RECORD").to_str().unwrap(), record);
}

fn has_tree(captured: &Captured, end: &str) -> bool {
    captured.needs.iter().any(|(path, need)| matches!(need, Need::Tree(_)) && path.as_path().ends_with(end))
}

#[test]
fn a_script_with_modules_beside_it_and_packages() {
    for python in pythons() {
        let bench = Bench::new();
        let venv = installed(&python);
        let text = "import json\nimport numpy\nfrom tabulate import tabulate\nimport local\nfrom package.inner import name\n\
            print(json.dumps(numpy.linalg.inv(numpy.eye(2) * 2).tolist()), local.NAME, name)\n\
            print(tabulate([[1, 2]], tablefmt='plain'))\n";
        bench.file("main.py", text);
        bench.file("local.py", "NAME = 'local'\n");
        bench.file("package/__init__.py", "");
        bench.file("package/inner.py", "from . import other\nname = other.NAME\n");
        bench.file("package/other.py", "NAME = 'other'\n");
        bench.file("package/unused.py", "");
        bench.file("unused.py", "");
        let interpreter = venv.join("bin/python");
        let (captured, said) = bench.run(&bench.request(&[interpreter.to_str().unwrap(), "main.py"]));
        assert_eq!(said, "[[0.5, 0.0], [0.0, 0.5]] local other\n1  2\n", "{python:?}");
        let own = ["local.py", "main.py", "package/__init__.py", "package/inner.py", "package/other.py"];
        assert_eq!(below(&captured, &bench.root), own.map(|it| format!("{it} file")));
        assert!(has_tree(&captured, "site-packages/numpy") && has_tree(&captured, "site-packages/numpy.libs"));
        assert_eq!(captured.args[0], interpreter.into_os_string());
        assert_eq!(captured.notes.iter().filter(|note| matches!(note, Note::MissingModule { .. })).count(), 0);
    }
}

#[test]
fn packages_with_libraries_of_their_own_on_a_function() {
    for python in pythons() {
        let bench = Bench::with(SandboxChoice::Relocated);
        let interpreter = installed(&python).join("bin/python");
        let text = "import numpy; print(numpy.linalg.det(numpy.eye(3)))";
        let (captured, said) = bench.run(&bench.request(&[interpreter.to_str().unwrap(), "-c", text]));
        assert_eq!(said, "1.0\n", "{python:?}");
        let list = captured.needs.get(&AbsPath::new("/etc/ld.so.conf").unwrap());
        let Some(Need::Text(list)) = list else { panic!("{list:?}") };
        assert!(String::from_utf8_lossy(list).contains("site-packages/numpy.libs\n"));
    }
}

#[test]
fn the_whole_standard_library() {
    for python in pythons() {
        let bench = Bench::new();
        let text = "import asyncio, bz2, ctypes, decimal, hashlib, lzma, sqlite3, ssl, xml.etree.ElementTree, zoneinfo\n\
            import concurrent.futures, email, multiprocessing, unittest, zlib, sysconfig, sys\n\
            sysconfig.get_config_vars()\n\
            print(asyncio.run(asyncio.sleep(0, 'done')), hashlib.sha256(b'').hexdigest()[:8], sys.flags.hash_randomization)\n";
        let (captured, said) = bench.run(&bench.request(&[python.to_str().unwrap(), "-c", text]));
        assert_eq!(said, "done e3b0c442 0\n", "{python:?}");
        let library = captured.needs.iter().find_map(|(path, need)| match need {
            Need::Tree(tree) if path.as_path().join("os.py").is_file() => Some(tree),
            _ => None,
        });
        let library = library.unwrap();
        for out in ["json/__pycache__/decoder.pyc", "test/support", "site-packages/x", "idlelib"] {
            assert!(library.leaves_out(Path::new(out)), "{python:?} {out}");
        }
        assert!(!library.leaves_out(Path::new("unittest/test")));
    }
}

#[test]
fn a_module_a_script_and_an_archive_as_the_program() {
    for python in pythons() {
        let bench = Bench::new();
        let interpreter = python.to_str().unwrap();
        bench.file("tool/__init__.py", "");
        bench.file("tool/__main__.py", "from tool.part import NAME\nprint(NAME)\n");
        bench.file("tool/part.py", "NAME = 'part'\n");
        assert_eq!(bench.says(&[interpreter, "-m", "tool"]), "part\n");
        bench.script("script", format!("#!{interpreter} -u\nimport tool.part\nprint(tool.part.NAME)\n"));
        assert_eq!(bench.says(&["./script"]), "part\n");
        bench.file("app/__main__.py", "import beside\nprint(beside.NAME)\n");
        bench.file("app/beside.py", "NAME = 'beside'\n");
        assert_eq!(bench.says(&[interpreter, "app"]), "beside\n");
        bench.here(&format!("{interpreter} -m zipapp app -o app.pyz"));
        let bare = bench.run(&bench.request(&[interpreter, "app.pyz"]));
        assert_eq!((below(&bare.0, &bench.root), bare.1), (vec!["app.pyz file".into()], "beside\n".into()));
    }
}

#[test]
fn packages_are_taken_whole_and_with_what_they_require() {
    let bench = Bench::new();
    let site = empty(&bench);
    let plugin = ("plugin/__init__.py", "NAME = 'plugin'\n");
    distribution(&bench, &site, "plugin", &[plugin, ("plugin/data.txt", "data\n")], &[]);
    distribution(&bench, &site, "extra", &[("extra.py", "")], &[]);
    let text = "import importlib, os\nname = importlib.import_module('plug' + 'in')\n\
        data = open(os.path.join(os.path.dirname(name.__file__), 'data.txt')).read().strip()\n";
    distribution(&bench, &site, "base", &[("base.py", text)], &["Plugin>=1", "extra; extra == 'all'"]);
    distribution(&bench, &site, "other", &[("other.py", "")], &[]);
    // Two distributions in one namespace, of which one is used.
    distribution(&bench, &site, "one", &[("space/one/__init__.py", "NAME = 'one'\n")], &[]);
    distribution(&bench, &site, "two", &[("space/two/__init__.py", "")], &[]);
    bench.file("main.py", "import base\nimport space.one\nprint(base.name.NAME, base.data, space.one.NAME)\n");
    let (captured, said) = bench.run(&bench.request(&["venv/bin/python", "main.py"]));
    assert_eq!(said, "plugin data one\n");
    let taken = below(&captured, &bench.root.join(&site));
    let expected = [
        "base-1.0.dist-info tree",
        "base.py file",
        "one-1.0.dist-info tree",
        "plugin tree",
        "plugin-1.0.dist-info tree",
        "space/one tree",
    ];
    assert_eq!(taken, expected);
}

#[test]
fn packages_that_are_installed_among_the_own_modules() {
    let bench = Bench::new();
    for place in ["app", "more"] {
        let text = "import os\nDATA = open(os.path.join(os.path.dirname(__file__), 'data.txt')).read()\n";
        let name = format!("{place}_package");
        let files = [(format!("{name}/__init__.py"), text), (format!("{name}/data.txt"), "data\n")];
        let files = files.each_ref().map(|(file, text)| (file.as_str(), *text));
        distribution(&bench, Path::new(place), &name, &files, &[]);
    }
    bench
        .file("app/main.py", "import app_package, more_package\nprint(app_package.DATA + more_package.DATA, end='')\n");
    let mut request = bench.request(&["/usr/bin/python3", "app/main.py"]);
    request.env.insert("PYTHONPATH".into(), bench.root.join("more").into());
    assert_eq!(bench.run(&request).1, "data\ndata\n");
}

#[test]
fn packages_of_one_of_two_interpreters() {
    let bench = Bench::new();
    let site = empty(&bench);
    distribution(&bench, &site, "plugin", &[("plugin.py", "")], &[]);
    bench.script("main", "#!/bin/sh\nvenv/bin/python -c 'print(__import__(\"plugin\").__name__)'\n");
    let mut request = bench.request(&["./main"]);
    request.programs = vec!["/usr/bin/python3".into(), "venv/bin/python".into()];
    request.packages = vec!["plugin".into()];
    assert_eq!(bench.run(&request).1, "plugin\n");
    request.programs.pop();
    assert!(bench.error(&request).contains("no Python package \"plugin\""));
}

#[test]
fn packages_that_are_imported_by_name() {
    let bench = Bench::new();
    let site = empty(&bench);
    distribution(&bench, &site, "the_plugin", &[("plugin/__init__.py", "NAME = 'plugin'\n")], &[]);
    bench.file("own/__init__.py", "");
    bench.file("own/late.py", "NAME = 'late'\n");
    bench.file("main.py", "import sys\nprint(*(__import__(name).__name__ for name in sys.argv[1:]))\n");
    let mut request = bench.request(&["venv/bin/python", "main.py", "plugin", "own.late"]);
    for name in ["plugin", "the-plugin"] {
        request.packages = vec![name.into(), "own".into()];
        let (captured, said) = bench.run(&request);
        assert_eq!(said, "plugin own\n");
        assert!(has_tree(&captured, "own"));
    }
    request.packages.clear();
    let captured = gg_capture::capture(&request).unwrap();
    assert!(matches!(bench.outcome(&captured, &request), Outcome::Failed(_)));
}

#[test]
fn packages_that_are_developed_elsewhere() {
    let bench = Bench::new();
    let site = empty(&bench);
    bench.file("src/dev/developed/__init__.py", "from . import part\nNAME = 'developed'\n");
    bench.file("src/dev/developed/part.py", "");
    bench.file(site.join("dev.pth").to_str().unwrap(), format!("{}/src/dev\n", bench.root.display()));
    bench.file(site.join("none.pth").to_str().unwrap(), "import no_such_module_anywhere_else if False else sys\n");
    bench.file("app/main.py", "import developed\nprint(developed.NAME)\n");
    let (captured, said) = bench.run(&bench.request(&["venv/bin/python", "app/main.py"]));
    assert_eq!(said, "developed\n");
    assert!(has_tree(&captured, "src/dev/developed"));
    assert!(below(&captured, &bench.root.join(&site)).contains(&"dev.pth file".to_owned()));
}

#[test]
fn packages_that_a_finder_of_their_own_leads_to() {
    let bench = Bench::new();
    let site = empty(&bench);
    // As setuptools installs a package for development.
    let finder = format!(
        "import sys\nfrom importlib.machinery import PathFinder\n\
        class Finder:\n    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n        \
        return PathFinder.find_spec(name, ['{}/src/dev']) if name == 'developed' else None\n\
        def install():\n    sys.meta_path.append(Finder)\n",
        bench.root.display()
    );
    let start = "import __editable___dev_finder; __editable___dev_finder.install()\n";
    let files = [("__editable___dev_finder.py", finder.as_str()), ("__editable__.dev.pth", start)];
    distribution(&bench, &site, "dev", &files, &[]);
    bench.file("src/dev/developed/__init__.py", "from .part import NAME\n");
    bench.file("src/dev/developed/part.py", "NAME = 'developed'\n");
    bench.file("app/main.py", "import developed\nprint(developed.NAME)\n");
    let (captured, said) = bench.run(&bench.request(&["venv/bin/python", "app/main.py"]));
    assert_eq!(said, "developed\n");
    assert!(has_tree(&captured, "src/dev/developed"));
}

#[test]
fn packages_of_the_user() {
    let bench = Bench::new();
    let python = Command::new("/usr/bin/python3")
        .args(["-c", "import sys; print('lib/python%d.%d/site-packages' % sys.version_info[:2])"])
        .output()
        .unwrap();
    let site = Path::new("home/.local").join(String::from_utf8(python.stdout).unwrap().trim_end());
    distribution(&bench, &site, "mine", &[("mine.py", "NAME = 'mine'\n")], &[]);
    let mut request = bench.request(&["/usr/bin/python3", "-c", "import mine; print(mine.NAME)"]);
    request.env.insert("HOME".into(), bench.root.join("home").into());
    assert_eq!(bench.run(&request).1, "mine\n");
}

#[test]
fn extension_modules_with_their_libraries() {
    let bench = Bench::new();
    let site = empty(&bench);
    let at = |name: &str| site.join(name).to_str().unwrap().to_owned();
    bench.file("answer.c", "int answer(void) { return 42; }\n");
    // As an extension module: loaded by ctypes, so that no headers of Python are needed.
    bench.file("native.c", "int answer(void);\nint twice(void) { return 2 * answer(); }\n");
    let text = "import ctypes, os\nlibrary = ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'native.so'))\n";
    distribution(&bench, &site, "native", &[("native/__init__.py", text), ("native/native.so", "")], &[]);
    std::fs::create_dir_all(bench.root.join("lib")).unwrap();
    bench.here("gcc -shared -fPIC -o lib/libanswer.so answer.c");
    bench.here(&format!(
        "gcc -shared -fPIC -o {} native.c -Llib -lanswer -Wl,-rpath,{}/lib",
        at("native/native.so"),
        bench.root.display()
    ));
    bench.file("main.py", "import native\nprint(native.library.twice())\n");
    let request = bench.request(&["venv/bin/python", "main.py"]);
    let (captured, said) = bench.run(&request);
    assert_eq!(said, "84\n");
    assert!(below(&captured, &bench.root).contains(&"lib/libanswer.so file".to_owned()));
    // A module may never be loaded: that it could not be is said, and no error.
    bench.here("rm lib/libanswer.so");
    let captured = gg_capture::capture(&request).unwrap();
    let library = bench.root.join(at("native/native.so"));
    assert!(captured.notes.contains(&Note::MissingLibrary { library, lacks: "libanswer.so".into() }));
    assert!(!captured.needs.contains_key(&AbsPath::new("/etc/ld.so.cache").unwrap()));
}

#[test]
fn modules_where_the_environment_says() {
    let bench = Bench::new();
    bench.file("more/found.py", "NAME = 'found'\n");
    bench.file("main.py", "import found\ntry:\n    import nowhere\nexcept ImportError:\n    print(found.NAME)\n");
    let mut request = bench.request(&["/usr/bin/python3", "main.py"]);
    request.env.insert("PYTHONPATH".into(), "more".into());
    let (captured, said) = bench.run(&request);
    assert_eq!(said, "found\n");
    let importer = bench.root.join("main.py");
    assert_eq!(captured.notes, [Note::MissingModule { module: "nowhere".into(), importer }]);
}

#[test]
fn a_script_that_picks_an_interpreter() {
    let bench = Bench::new();
    empty(&bench);
    let shim = format!("#!/bin/sh\nexec {}/venv/bin/python \"$@\"\n", bench.root.display());
    bench.script("shims/python3", shim);
    bench.script("main", "#!/usr/bin/env python3\nimport sys\nprint(sys.prefix)\n");
    let mut request = bench.request(&["./main"]);
    request.env.insert("PATH".into(), format!("{}/shims:{PATH}", bench.root.display()).into());
    let prefix = format!("{}\n", bench.root.join("venv").display());
    let (captured, said) = bench.run(&request);
    assert_eq!(said, prefix);
    let path = captured.env[OsStr::new("PATH")].to_str().unwrap();
    assert_eq!(path, format!("{}/venv/bin", bench.root.display()));
    request.program = "python3".into();
    request.args = vec!["main".into()];
    assert_eq!(bench.run(&request).1, prefix);
}

#[test]
fn compiled_modules_are_kept_and_used() {
    for python in pythons() {
        let bench = Bench::new();
        bench.file("more/package/__init__.py", "VALUE = 1\n");
        bench.file("more/package-1.0.dist-info/RECORD", "package/__init__.py,,\n");
        bench.file(
            "main.py",
            "import argparse, package\nprint(argparse.__cached__, package.__cached__, package.VALUE)\n",
        );
        bench.here(&format!("{} -m venv --without-pip venv", python.display()));
        let site = bench.root.join("venv/lib");
        let site = std::fs::read_dir(&site).unwrap().next().unwrap().unwrap().path().join("site-packages");
        std::fs::write(site.join("more.pth"), format!("{}/more\n", bench.root.display())).unwrap();
        let mut request = bench.request(&["venv/bin/python", "-v", "main.py"]);
        request.bytecode = Some("kept".into());
        let run = || {
            let captured = gg_capture::capture(&request).unwrap();
            assert_eq!(captured.notes, []);
            match bench.outcome(&captured, &request) {
                Outcome::Done(done) => {
                    (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
                }
                other => panic!("{other:?}"),
            }
        };
        let (said, steps) = run();
        let package = bench.root.join("more/package/__init__");
        assert!(said.starts_with("/var/cache/gg/python/") && said.ends_with(" 1\n"), "{said}");
        // What Python says when it need not compile.
        for module in ["argparse", "package/__init__"] {
            let matches = |line: &&str| line.contains("matches") && line.contains(&format!("{module}.cpython"));
            assert_eq!(steps.lines().filter(matches).count(), 1, "{python:?} {module}");
        }
        // Another text of the same length, as old as the one before.
        let before = std::fs::metadata(package.with_extension("py")).unwrap().modified().unwrap();
        bench.file("more/package/__init__.py", "VALUE = 2\n");
        let file = std::fs::File::options().write(true).open(package.with_extension("py")).unwrap();
        file.set_modified(before).unwrap();
        assert!(run().0.ends_with(" 2\n"), "{python:?}");
    }
}

#[test]
fn compiled_modules_that_cannot_be_kept() {
    let bench = Bench::new();
    bench.file("kept", "");
    let mut request = bench.request(&["/usr/bin/python3", "-c", "print('done')"]);
    request.bytecode = Some("kept".into());
    let (captured, said) = bench.run(&request);
    assert_eq!(said, "done\n");
    assert!(matches!(&captured.notes[..], [Note::NotCompiled { .. }]));
}

#[test]
fn modules_where_the_text_says() {
    let bench = Bench::new();
    for (name, place) in [
        ("m", "."),
        ("m", "vendor"),
        ("m", "app/vendor"),
        ("n", "."),
        ("n", "more"),
        ("late", "more"),
        ("o", "site/inner"),
    ] {
        bench.file(&format!("{place}/{name}.py"), format!("WHERE = {place:?}\n"));
    }
    bench.file("site/x.pth", "# a comment\ninner\n");
    bench.file("app/m.py", "WHERE = 'app'\n");
    bench.file(
        "app/paths.py",
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parent / 'vendor'))\n",
    );
    bench.file("app/cycle.py", "import cycle\nimport paths\n");
    // Each change of the search path, and what m.WHERE is then; `n` comes from PYTHONPATH, but for the second last.
    let cases = [
        ("", "app", "."),
        ("import sys\nsys.path.insert(0, 'vendor')", "vendor", "."),
        ("import sys\nsys.path.append('vendor')", "app", "."),
        ("import sys as s\ns.path[:0] = ['vendor']", "vendor", "."),
        ("from sys import path\npath += ['vendor']", "app", "."),
        ("import sys\nsys.path = ['vendor', *sys.path]", "vendor", "."),
        ("import sys\ndel sys.path[0]", ".", "."),
        (
            "import sys, os\nh = os.path.dirname(os.path.abspath(__file__))\nsys.path.insert(0, os.path.join(h, 'vendor'))",
            "app/vendor",
            ".",
        ),
        ("import os, sys\nsys.path.insert(0, f'{os.path.dirname(sys.argv[0])}/../vendor')", "vendor", "."),
        ("def late():\n    import m\nimport cycle", "app/vendor", "."),
        ("import m, sys\nsys.path.insert(0, 'more')", "app", "more"),
        ("import site\nsite.addsitedir('site')\nimport o", "app", "."),
    ];
    for (change, m, n) in cases {
        bench.file("app/main.py", format!("{change}\nimport m, n\nprint(m.WHERE, n.WHERE)\n"));
        let mut request = bench.request(&["/usr/bin/python3", "app/main.py"]);
        request.env.insert("PYTHONPATH".into(), ".".into());
        let (captured, said) = bench.run(&request);
        assert_eq!((said, &*captured.notes), (format!("{m} {n}\n"), &[][..]), "{change}");
    }
    // What cannot be told is said.
    bench.file("app/main.py", "import os, sys\n\nsys.path.insert(0, os.environ.get('X', 'vendor'))\nimport m\n");
    let captured = gg_capture::capture(&bench.request(&["/usr/bin/python3", "app/main.py"])).unwrap();
    assert_eq!(captured.notes, [Note::SearchPath { importer: bench.root.join("app/main.py"), line: "3".into() }]);
}

#[test]
fn nothing_of_the_program_is_run_to_find_what_it_needs() {
    for python in pythons() {
        let bench = Bench::new();
        let python = python.to_str().unwrap();
        for place in [".", "more"] {
            for module in ["ast", "zipfile", "tokenize", "json", "m", "_sysconfigdata"] {
                bench.file(&format!("{place}/{module}.py"), format!("open({:?}, 'w')\n", bench.root.join("ran")));
            }
        }
        let mut request = bench.request(&[python, "-c", "import m"]);
        request.env.insert("PYTHONPATH".into(), "more".into());
        request.bytecode = Some("kept".into());
        let captured = gg_capture::capture(&request).unwrap();
        assert_eq!(below(&captured, &bench.root), ["m.py file"]);
        assert!(!bench.root.join("ran").exists());
    }
}

#[test]
fn compiled_modules_depend_on_the_texts_alone() {
    for python in pythons() {
        let bench = Bench::new();
        let python = python.to_str().unwrap();
        let text = "import os\nNAMES = ('name', 'other', 'name')\nIS = os in {'a', 'b', 'c', 1, 2.5}\n\
            def name(other): return 'name', other, {1: 'name'}\n";
        bench.file("more/package/__init__.py", text);
        bench.file("more/package-1.0.dist-info/RECORD", "package/__init__.py,,\n");
        bench.here(&format!("{python} -m venv --without-pip venv"));
        let site = std::fs::read_dir(bench.root.join("venv/lib")).unwrap().next().unwrap().unwrap().path();
        std::fs::write(site.join("site-packages/more.pth"), format!("{}/more\n", bench.root.display())).unwrap();
        let mut found = Vec::new();
        // Compiled by gg, by Python where it imports it, and by its path seen from elsewhere.
        for (kept, here) in [
            ("first", "true".to_owned()),
            ("second", format!("{python} -m compileall -q {}/more/package", bench.root.display())),
            ("third", format!("{python} -m compileall -q -f more/package")),
        ] {
            bench.here(&here);
            let mut request = bench.request(&["venv/bin/python", "-c", "import package"]);
            request.bytecode = Some(kept.into());
            gg_capture::capture(&request).unwrap();
            let form = std::fs::read_dir(bench.root.join(kept)).unwrap().next().unwrap().unwrap().path();
            let tree = form.join("tree").join(bench.root.strip_prefix("/").unwrap()).join("more/package");
            let file = std::fs::read_dir(tree).unwrap().next().unwrap().unwrap().path();
            found.push(std::fs::read(file).unwrap());
        }
        assert!(found[0] == found[1] && found[1] == found[2], "{python}");
    }
}

#[test]
fn what_is_looked_at_of_the_arguments() {
    let bench = Bench::new();
    bench.script("main", "#!/usr/bin/env -S /usr/bin/python3 -u\n");
    bench.file("main.py", "");
    let python = "/usr/bin/python3";
    for (words, expected) in [
        (&[python, "-u", "main.py", "a"][..], 2),
        (&[python, "-c", "pass", "a"], 2),
        (&["./main", "a", "b"], 0),
        (&[python], 1),
        (&["sh", "-c", "true"], 0),
    ] {
        let captured = gg_capture::capture(&bench.request(words)).unwrap();
        assert_eq!(captured.decisive, expected, "{words:?}");
        assert_eq!(captured.args_with(&["x".into()])[1..], ["x"]);
    }
}
