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
    assert!(!tools.names().any(|name| name.contains('*')));
}

const SQUEEZE: &str = r#"
names = ["squeeze", "squeeze-*"]
kind = "archive"
environment = ["SQUEEZE_LEVEL"]
positional = ["input"]
rest = "in-place"
clusters = true
default-output = { from = "first", suffix = ".squ", append = "eezed" }

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
"#;

#[test]
fn a_users_own() {
    let world = MemoryWorld::new().with("/t/squeeze.toml", SQUEEZE).with("/t/README", "not a description");
    let tools = Tools::load(Some(Path::new("/t")), &world).unwrap();
    for (line, expected) in [
        ("squeeze a", "a -> out=a.squeezed"),
        ("squeeze-2 -ab a b", "a b -> out=b"),
        ("squeeze -abx out a", "a -> out=out*"),
        ("squeeze -d dir a", "a dir/one -> out=a.squeezed"),
        ("squeeze --log a", "a -> out=a.squeezed"),
        ("squeeze --log=l a", "a -> out=l"),
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
        ("names = [\"x\"]\nkind = \"odd\"", "\"/t/x.toml\": there is no kind \"odd\""),
        ("names = [\"x\"]\nrest = \"odd\"", "there is no role \"odd\""),
        ("names = [\"*\"]", "cannot be a tool's name: \"*\""),
        ("names = [\"x\"]\n[[option]]\nnames = [\"-a\"]\noperand = \"odd\"\nrole = \"flag\"", "there is no operand"),
        (
            "names = [\"x\"]\n[[option]]\nnames = [\"-a\", \"-a\"]\noperand = \"none\"\nrole = \"flag\"",
            "named twice or without a dash: \"-a\"",
        ),
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
