//! Described tools: the ones that come with the program, and one that a user brings.

use std::path::Path;

use super::*;
use crate::binutils::testing::{Scratch, call, shown, step};
use crate::{MemoryWorld, Reason};

fn world() -> MemoryWorld {
    MemoryWorld::new()
        .with("/w/a", "")
        .with("/w/b", "")
        .with("/w/dir/one", "")
        .with("/w/dir/sub/two", "")
        .with("/w/args", "--output-type=dyn a")
}

/// What the rows of the tools that generate files are about.
fn sources() -> MemoryWorld {
    let texts = [
        ("g.y", "%%\ns: ;\n"),
        ("g.txt", ""),
        ("sub/h.yy", ""),
        ("header.y", "  %header\n"),
        ("language.y", "%LANGUAGE \"c++\"\n"),
        ("s.l", "%option noyywrap\n"),
        ("sub/t.l", ""),
        ("outfile.l", "%option noyywrap outfile=\"x.c\"\n"),
        ("de.po", "msgid \"\"\nmsgstr \"\"\n"),
        ("fr.po", ""),
        ("domain.po", "domain \"other\"\n"),
        ("p.proto", "import public \"q.proto\";\n// import \"none\";\n"),
        ("q.proto", "import \"sub/r.proto\";\n"),
        ("sub/r.proto", ""),
        ("sub/hidden.proto", ""),
        ("hidden.proto", ""),
        ("a-b.proto", ""),
        ("lost.proto", "import \"nowhere.proto\";"),
        ("odd.proto", "message M { string import = 1; }"),
        ("known.proto", "import \"google/protobuf/any.proto\";"),
        ("v.yuv", ""),
        ("v.y4m", "YUV4MPEG2 W64 H48\n"),
        ("fake.y4m", "ffconcat version 1.0\n"),
        ("list.txt", "ffconcat version 1.0\n"),
        ("s.wav", "RIFF....WAVE"),
        ("old.ivf", "DKIF"),
        ("v.svg", "<svg/>"),
        ("fake.png", "<svg/>"),
    ];
    let mut world = world().with("/usr/include/google/protobuf/any.proto", "").with("/usr/bin/protoc", "");
    for (name, text) in texts {
        world = world.with(Path::new("/w").join(name), text);
    }
    world.with("/w/in.png", b"\x89PNG\r\n").with("/w/in.jpg", b"\xff\xd8\xff\xe0")
}

/// Runs the rows of one tool: `command line => what becomes of it`.
fn rows(text: &str) {
    let (tools, world) = (Tools::load(None, &sources()).unwrap(), sources());
    for row in text.lines() {
        let (line, expected) = row.split_once(" => ").unwrap();
        let argv: Vec<&str> = line.split(' ').collect();
        let mut call = call(&argv, Path::new("/w"));
        if argv[0] == "convert" {
            call.tool = "/usr/bin/convert-im6.q16".into();
        }
        let name = Path::new(argv[0]);
        let tool = tools.tools.iter().find(|tool| tool.is_called(name.as_os_str())).unwrap();
        assert_eq!(shown(plan::plan(tool, &call, &world), Path::new("/w")), expected, "{line}");
    }
}

macro_rules! rows {
    ($($tool:ident)*) => { $(#[test] fn $tool() { rows(include_str!(concat!("../rows/", stringify!($tool), ".txt"))); })* };
}

rows! { bison convert ffmpeg flex msgfmt protoc vpxenc }

#[test]
fn what_is_around_a_call_may_make_it_run_here() {
    let tools = Tools::load(None, &sources()).unwrap();
    let planned = |line: &str, tool: &str, variable: (&str, &str), world: MemoryWorld| {
        let argv: Vec<&str> = line.split(' ').collect();
        let mut call = call(&argv, Path::new("/w"));
        call.tool = tool.into();
        call.env.insert(variable.0.into(), variable.1.into());
        let described = tools.tools.iter().find(|it| it.is_called(argv[0].as_ref())).unwrap();
        shown(plan::plan(described, &call, &world), Path::new("/w"))
    };
    let (bison, convert) = ("bison g.y", "convert in.jpg out.jpg");
    let set = planned(bison, "/usr/bin/bison", ("BISON_PKGDATADIR", "/x"), sources());
    assert_eq!(set, "Unsealable(\"the variable BISON_PKGDATADIR\")");
    assert_eq!(planned(bison, "/usr/bin/bison", ("BISON_PKGDATADIR", ""), sources()), "g.y -> out=g.tab.c");
    // Another program of that name.
    assert_eq!(planned(convert, "/usr/bin/convert", ("HOME", "/h"), sources()), "NoModel");
    let magick = sources().with("/usr/bin/magick", "");
    let own = magick.clone().with("/h/.magick/policy.xml", "");
    assert_eq!(planned(convert, "/usr/bin/magick", ("HOME", "/h"), own), "Unsealable(\"/h/.magick\")");
    assert_eq!(planned(convert, "/usr/bin/magick", ("HOME", "/h"), magick), "in.jpg -> out=out.jpg");
}

fn planned(tools: &Tools, line: &str) -> String {
    let argv: Vec<&str> = line.split(' ').collect();
    tools.plan(&call(&argv, Path::new("/w")), &world()).map_or("None".to_owned(), |plan| shown(plan, Path::new("/w")))
}

#[test]
fn embedded() {
    let tools = Tools::load(None, &world()).unwrap();
    for (line, expected) in [
        ("dwp -o out.dwp a b", "a b -> out=out.dwp"),
        ("x86_64-linux-gnu-dwp -v --output=out.dwp a", "a -> out=out.dwp"),
        ("dwp a", "Stdout"),
        ("dwp -e a", "UnknownOption(\"-e\")"),
        ("dwp --exec=a -o x", "UnknownOption(\"--exec\")"),
        ("dwp --verify-only a", "Reads(\"--verify-only\")"),
        ("dwp --version", "Query(\"--version\")"),
        ("dwp", "NoInput"),
        ("elfedit --output-mach=k1om a b", "a b -> out=a out2=b"),
        ("elfedit @args", "a args -> out=a"),
        ("elfedit --what a", "UnknownOption(\"--what\")"),
        ("elfedit none", "MissingInput(\"/w/none\")"),
        ("patchelf --set-rpath /x --shrink-rpath a", "a -> out=a"),
        ("patchelf --print-rpath a", "Reads(\"--print-rpath\")"),
        ("patchelf --output b a", "UnknownOption(\"--output\")"),
        ("xxd -i a out.h", "a -> out=out.h"),
        ("xxd -i -n name -c 8 a out.h", "a -> out=out.h"),
        ("xxd -i a", "Stdout"),
        ("xxd -r a b", "UnknownOption(\"-r\")"),
        ("xxd -i a b c", "Malformed(\"operand c\")"),
        ("xxd -i - b", "Stdin"),
        ("unheard-of a", "None"),
    ] {
        assert_eq!(planned(&tools, line), expected, "{line}");
    }
    assert!(tools.names().any(|name| name == "elfedit"));
    assert!(fits_one(&tools.names().map(str::to_owned).collect::<Vec<_>>(), b"x86_64-linux-gnu-dwp"));
}

const SQUEEZE: &str = r#"
names = ["squeeze", "squeeze-*"]
kind = "archive"
environment = ["SQUEEZE_LEVEL"]
positional = ["input"]
rest = "in-place"
clusters = true

[[option]]
names = ["-a", "-b"]
operand = "none"
role = "flag"

[[option]]
names = ["-x"]
operand = "either"
role = "executable"

[[option]]
names = ["-d"]
operand = "separate"
role = "input-directory"

[[option]]
names = ["--log"]
operand = "equals?"
role = "output"

[[writes]]
of = ["first"]
without = ["-x"]
name = [["*.c", "{stem}.squeezed"], ["b", "{file}{-d}"], ["*", "{path}.squeezed"]]
"#;

#[test]
fn a_users_own() {
    let world = MemoryWorld::new().with("/t/squeeze.toml", SQUEEZE).with("/t/README", "not a description");
    let tools = Tools::load(Some(Path::new("/t")), &world).unwrap();
    for (line, expected) in [
        ("squeeze a", "a -> out=a.squeezed"),
        ("squeeze b -d dir", "b dir/one -> out=bdir"),
        ("squeeze b", "Malformed(\"what is written for b\")"),
        ("squeeze-2 -ab a b", "a b -> out=b out2=a.squeezed"),
        ("squeeze -abx out a", "a -> out=out*"),
        ("squeeze -d dir a", "a dir/one -> out=a.squeezed"),
        ("squeeze --log a", "a -> out=a.squeezed"),
        ("squeeze --log=l a", "a -> out=l out2=a.squeezed"),
        ("squeeze --log=- a", "Stdout"),
    ] {
        assert_eq!(planned(&tools, line), expected, "{line}");
    }
    let mut call = call(&["squeeze", "a"], Path::new("/w"));
    call.env.extend([("SQUEEZE_LEVEL".into(), "9".into()), ("OTHER".into(), "1".into())]);
    let step = step(tools.plan(&call, &self::world()).unwrap());
    assert_eq!(step.kind, crate::StepKind::Archive);
    assert_eq!(step.env.keys().collect::<Vec<_>>(), ["PATH", "SQUEEZE_LEVEL"]);
}

#[test]
fn a_users_file_comes_first() {
    let text = "names = [\"xxd\"]\npositional = [\"in-place\"]";
    let world = MemoryWorld::new().with("/t/xxd.toml", text);
    let tools = Tools::load(Some(Path::new("/t")), &world).unwrap();
    assert_eq!(planned(&tools, "xxd a"), "a -> out=a");
}

#[test]
fn errors_name_the_file_and_the_word() {
    for (text, expected) in [
        ("names = [\"x\"]\nkind = \"odd\"", "\"/t/x.toml\", line 2: there is no kind \"odd\""),
        ("names = [\"x\"]\nrest = \"odd\"", "there is no role \"odd\""),
        ("names = [\"*\"]", "cannot be a tool's name: \"*\""),
        ("names = [\"x\"]\n[[option]]\nnames = [\"-a\"]\noperand = \"odd\"\nrole = \"flag\"", "there is no operand"),
        (
            "names = [\"x\"]\n[[option]]\nnames = [\"-a\", \"-a\"]\noperand = \"none\"\nrole = \"flag\"",
            "named twice or without a dash: \"-a\"",
        ),
        (
            "names = [\"x\"]\n[[writes]]\nof = [\"first\"]\nname = [\n[\"*\", \"{-x}\"]]",
            "line 5: neither a part of a name nor an option stands in braces in \"{-x}\"",
        ),
        ("names = [\"x\"]\n[[writes]]\nof = [\"odd\"]\nname = []", "line 3: there is no option \"odd\""),
        (
            "names = [\"x\"]\n[[writes]]\nof = [\"first\"]\nwith = [[\"-x\"]]\nname = []",
            "line 4: there is no option \"-x\"",
        ),
        ("names = [\"x\"]\noverwrites = [\"-y\"]", "line 2: there is no option \"-y\""),
        ("names = [\"x\"]\ntypo = 1", "\"/t/x.toml\": TOML parse error at line 2"),
        ("kind = \"other\"", "missing field `names`"),
    ] {
        let world = MemoryWorld::new().with("/t/x.toml", text);
        let error = Tools::load(Some(Path::new("/t")), &world).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} for {expected}");
    }
    let error = Tools::load(Some(Path::new("/none")), &MemoryWorld::new()).unwrap_err();
    assert!(matches!(error, ToolError::Read { .. }));
}

#[test]
fn the_real_elfedit() {
    let scratch = Scratch::new();
    scratch.object("a.o", "int f;");
    let argv = ["elfedit", "--output-type", "dyn", "a.o"];
    let tools = Tools::load(None, &scratch).unwrap();
    let planned = tools.plan(&scratch.call(&argv), &scratch).unwrap();
    let before = std::fs::read(scratch.path("a.o")).unwrap();
    scratch.run(&argv);
    assert_ne!(before, std::fs::read(scratch.path("a.o")).unwrap());
    assert_eq!(shown(planned, &scratch.path("")), "a.o -> out=a.o");
    assert_eq!(
        tools.plan(&scratch.call(&["elfedit", "none.o"]), &scratch),
        Some(Plan::Here(Reason::MissingInput(scratch.path("none.o"))))
    );
}
