//! What a scan finds, in memory.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::facts::{Facts, Use};
use super::lex::Lexer;
use super::text::{Text, is_blank};
use super::{Scan, ScanRequest, Scanner, Search, SearchDir, Syntax};
use crate::MemoryWorld;

fn facts(text: impl AsRef<[u8]>) -> Facts {
    Lexer::facts(&Text::new(text.as_ref()))
}

/// The names a text asks for, `<x>` or `"x"`.
fn names(text: impl AsRef<[u8]>) -> Vec<String> {
    let show = |name: &[u8], quoted| {
        let name = String::from_utf8_lossy(name);
        if quoted { format!("\"{name}\"") } else { format!("<{name}>") }
    };
    facts(text).lookups.iter().map(|lookup| show(&lookup.name, lookup.quoted)).collect()
}

/// Scans `/p/a.c` with `-I/p/inc -isystem /sys`.
fn scan(files: &[(&str, &str)]) -> Scan {
    scan_with(files, |_| {})
}

fn scan_with(files: &[(&str, &str)], change: impl Fn(&mut ScanRequest)) -> Scan {
    scan_by(&Scanner::new(), files, change)
}

fn scan_by(scanner: &Scanner, files: &[(&str, &str)], change: impl Fn(&mut ScanRequest)) -> Scan {
    let world = files.iter().fold(MemoryWorld::new(), |world, (path, text)| world.with(path, text));
    let dir = |path: &str, system| SearchDir { path: path.into(), system };
    let search = Search { quote: vec![dir("/p/quote", false)], bracket: vec![dir("/p/inc", false), dir("/sys", true)] };
    let mut request = ScanRequest {
        cwd: Path::new("/p"),
        sources: vec!["a.c".into()],
        forced: Vec::new(),
        search: &search,
        defines: Vec::new(),
        assembler_dirs: vec!["/p/asm".into()],
        syntax: Syntax::C,
    };
    change(&mut request);
    scanner.scan(&world, &request).unwrap()
}

/// The paths read besides `/p/a.c`; those of the system with `!` and their root.
fn others(scan: &Scan) -> Vec<String> {
    let mut paths: Vec<String> = scan
        .reads
        .iter()
        .map(|header| match &header.root {
            None => header.path.display().to_string(),
            Some(root) => format!("{}!{}", header.path.display(), root.display()),
        })
        .filter(|path| path != "/p/a.c")
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_spelling_of_an_include_counts() {
    for text in [
        "#include <x>",
        "  \t#\tinclude\t<x>",
        "\x0c#include<x> // end",
        "#/* */include/**/<x>/* */",
        "/* a\n b */ /**/ #include <x>",
        "# /* over\n lines */ include <x>",
        "%:include <x>",
        "??=include <x>",
        "#inc\\\nlude \\  \n <x>",
        "#import <x>",
        "#if 0\n#include <x>\n#endif",
        "\u{feff}#include <x>",
        "a\r#include <x>\rb",
        "a\r\n#include <x>\r\nb",
        "#if __has_include(<x>)",
        "#elif defined Y && __has_include ( <x> )",
        "#if HAS(<x>)",
        "#define H __has_include(<x>)",
        "#ifdef __has_include\n# if __has_include(<x>) && X > 1'000",
        "#if X > 1'000 && __has_include(<x>) && Y > 1'000",
        "#embed <x> limit(4)",
        "#pragma GCC dependency <x> rebuild",
        "_Pragma(\"GCC dependency <x>\")",
        "const char *s = \"/*\";\n#include <x>",
        "char c = '\"'; char d = '\\''; // '/*\n#include <x>",
    ] {
        assert_eq!(names(text), ["<x>"], "{text:?}");
    }
    assert_eq!(names("#include \"a//b/*c\"\n#include <d//e>"), ["\"a//b/*c\"", "<d//e>"]);
}

#[test]
fn comments_and_other_text_ask_for_nothing() {
    for text in [
        "// #include <x>",
        "/*\n#include <x>\n*/",
        "// over \\\n#include <x>",
        "x #include <x>",
        "\"#include <x>\"",
        "#includes <x>",
        "#if defined(__has_include) && defined __has_include",
        "#error include <x>",
        "#include \"x",
    ] {
        assert_eq!(facts(text), Facts::default(), "{text:?}");
    }
}

#[test]
fn doubtful_literals_hide_nothing() {
    for text in [
        // C and C++ disagree on where the literal ends, and so on whether a comment begins.
        "int i = 1'000; /* ' */\n#include <x>\n",
        "int i = 1'000 /* it's\n#include <x>\n*/",
        "#if 0\ndon't /* \n#include <x>\n#endif",
        "@ it's\n#include <x>",
        // A raw string, or a macro R and an ordinary string.
        "s = R\"(\n#include <x>\n)\";",
        "s = R\"(/*)\";\n#include <x>",
        "s = R\"a(/*)\" )a\";\n#include <x>",
        "s = LR\"(\")\"; /* \" \n#include <x>\n */",
        // Two backslashes before the end of a line leave one.
        "s = R\"(\\\\\n\n#include <x>\n\"",
        // Clang begins no comment on these lines.
        "#error /* \n#include <x>\n*/",
        "#pragma mark /* \n#include <x>\n*/",
        // A trigraph that ends a line, or does not.
        "// what??/\n/*\n#include <x>\n*/",
        // In C90 a comment begins here, and is not the one that it seems.
        "i = j //* \n k; /*\n*/\n#include <x>",
        "/* never closed\n#include <x>",
    ] {
        assert!(names(text).contains(&"<x>".to_string()), "{text:?}");
    }
}

#[test]
fn clock_macros_count_in_code_only() {
    assert!(facts("char *s = __DATE__;").volatile && facts("#define T x __TIME__").volatile);
    assert!(facts("s = __TIMESTAMP__;").timestamp && !facts("s = __TIMESTAMP__;").volatile);
    for text in ["// __DATE__", "\"__TIME__\"", "/* __TIMESTAMP__ */", "x__DATE__", "__DATE__x"] {
        assert_eq!(facts(text), Facts::default(), "{text}");
    }
    let scan = scan(&[("/p/a.c", "#include <s.h>"), ("/sys/s.h", "__DATE__ __TIMESTAMP__")]);
    assert!(!scan.volatile && !scan.timestamp);
    // What the call names is the project's, wherever it lies.
    let dir = |path: &str, system| SearchDir { path: path.into(), system };
    let search = Search { quote: Vec::new(), bracket: vec![dir("/sys/own", false), dir("/sys", true)] };
    let world = MemoryWorld::new().with("/p/a.c", "#include <s.h>").with("/sys/own/s.h", "__DATE__");
    let request = ScanRequest {
        cwd: Path::new("/p"),
        sources: vec!["a.c".into()],
        forced: Vec::new(),
        search: &search,
        defines: Vec::new(),
        assembler_dirs: Vec::new(),
        syntax: Syntax::C,
    };
    assert!(Scanner::new().scan(&world, &request).unwrap().volatile);
    let scan = scan_with(&[("/p/a.c", "")], |request| request.defines = vec![("B".into(), "__DATE__".into())]);
    assert!(scan.volatile);
}

#[test]
fn names_are_looked_up_in_the_preprocessors_order() {
    let files = [
        (
            "/p/a.c",
            "#include \"own.h\"\n#include \"quote.h\"\n#include \"inc.h\"\n#include <own.h>\n#include <sub/s.h>",
        ),
        ("/p/own.h", ""),
        ("/p/quote/own.h", ""),
        ("/p/quote/quote.h", ""),
        ("/p/inc/quote.h", ""),
        ("/p/inc/inc.h", ""),
        ("/sys/own.h", ""),
        ("/sys/sub/s.h", "#include \"t.h\""),
        ("/sys/sub/t.h", ""),
        ("/sys/t.h", ""),
    ];
    let expected =
        ["/p/inc/inc.h", "/p/own.h", "/p/quote/quote.h", "/sys/own.h!/sys", "/sys/sub/s.h!/sys", "/sys/sub/t.h!/sys"];
    let scan = scan(&files);
    assert_eq!(others(&scan), expected);
    assert_eq!(scan.directories, ["/p/quote", "/p/inc", "/sys"].map(PathBuf::from));
}

#[test]
fn include_next_takes_every_match() {
    let files = [
        ("/p/a.c", "#include <x.h>"),
        ("/p/inc/x.h", "#include_next <x.h>"),
        ("/sys/x.h", "#include \"y.h\""),
        ("/sys/y.h", ""),
    ];
    assert_eq!(others(&scan(&files)), ["/p/inc/x.h", "/sys/x.h!/sys", "/sys/y.h!/sys"]);
}

#[test]
fn headers_that_include_each_other_by_detours_end() {
    let files = [
        ("/p/a.c", "#include \"x/../x/./x.h\""),
        ("/p/x/x.h", "#include \"../y/y.h\"\n#include \"./x.h\"\n#include \"/p//y/y.h\""),
        ("/p/y/y.h", "#include \"../x/x.h\""),
    ];
    let scan = scan(&files);
    assert_eq!(others(&scan), ["/p/x/x.h", "/p/y/y.h"]);
    assert!(scan.directories.contains(&"/p/x".into()) && scan.directories.contains(&"/p/y".into()));
}

#[test]
fn forced_includes_and_precompiled_headers_are_read() {
    let files = [
        ("/p/a.c", "#if X\n#include \"first.h\"\n#endif\n#include <second.h>\n#include \"third.h\""),
        ("/p/f.h", "#include \"g.h\""),
        ("/p/inc/g.h", ""),
        ("/p/first.h.gch", "\0"),
        ("/p/inc/second.h", ""),
        ("/p/inc/second.h.gch/c", "\0"),
        ("/p/inc/second.h.gch/c++", "\0"),
        ("/p/third.h", ""),
        ("/p/third.h.gch", "\0"),
    ];
    let scan = scan_with(&files, |request| request.forced = vec!["f.h".into(), "none.h".into()]);
    let expected = [
        "/p/f.h",
        "/p/first.h.gch",
        "/p/inc/g.h",
        "/p/inc/second.h",
        "/p/inc/second.h.gch/c",
        "/p/inc/second.h.gch/c++",
        "/p/third.h",
    ];
    assert_eq!(others(&scan), expected);
    assert_eq!(scan.unresolved, ["-include none.h: not found"]);
}

#[test]
fn computed_includes_are_followed_through_objects() {
    let files = [
        ("/p/a.c", "#include \"conf.h\"\n#include HEADER\n#include OPTION\n#include NOBODYS"),
        ("/p/conf.h", "#if 1\n#define HEADER \"one.h\" /* comment */\n#else\n#define HEADER OTHER\n#endif"),
        ("/p/inc/one.h", "#define OTHER <two.h>\n#define THREE \"three.h\""),
        ("/sys/two.h", "#include THREE\n#include __FILE__"),
        ("/sys/three.h", ""),
        ("/sys/four.h", ""),
    ];
    let four = |request: &mut ScanRequest| request.defines = vec![("OPTION".into(), "<four.h>".into())];
    let scan = scan_with(&files, four);
    let expected = ["/p/conf.h", "/p/inc/one.h", "/sys/four.h!/sys", "/sys/three.h!/sys", "/sys/two.h!/sys"];
    assert_eq!(others(&scan), expected);
    assert_eq!((scan.unresolved.len(), scan.unsealable.len()), (0, 0));
}

#[test]
fn what_cannot_be_followed_is_told() {
    for (text, expected) in [
        ("\n#include STR(x.h)", "/p/a.c:2: #include of an expression"),
        ("#define H STR(x)\n#include H", "/p/a.c:2: #include of H"),
        ("#define OS 1\n#define H <OS/x.h>\n\\\n#include H", "/p/a.c:4: #include of H"),
        ("import <x>;", "/p/a.c:1: a header unit"),
        ("export import x.y;", "/p/a.c:1: a module"),
        ("@import Foundation;", "/p/a.c:1: a module"),
    ] {
        let scan = scan(&[("/p/a.c", text)]);
        assert_eq!((scan.unresolved, scan.unsealable), (vec![expected.to_string()], vec![]), "{text}");
    }
    for (text, expected) in [
        ("#if __has_include(STR(x))", "/p/a.c:1: __has_include of an expression"),
        ("#define H STR(x)\n#if __has_include(H)", "/p/a.c:2: __has_include of H"),
        ("asm(\".incbin \\\"\" FILE \"\\\"\");", "/p/a.c:1: .incbin of an expression"),
        ("#define I(f) asm(\".incbin \" #f)", "/p/a.c:1: .incbin of an expression"),
        (".macro m f\n.incbin \"\\f\"\n.endm", "/p/a.c:2: .incbin of an expression"),
        ("#define F G(x)\n.incbin F", "/p/a.c:2: .incbin of F"),
    ] {
        let scan = scan(&[("/p/a.c", text)]);
        assert_eq!((scan.unresolved, scan.unsealable), (vec![], vec![expected.to_string()]), "{text}");
    }
    for text in ["#if __has_include(NOBODYS)", "import = 3;", "{\".incbin\", 1}", "// .incbin X", "x.include = y;"] {
        let scan = scan(&[("/p/a.c", text)]);
        assert_eq!((scan.unresolved.len(), scan.unsealable.len()), (0, 0), "{text}");
    }
}

#[test]
fn a_macro_may_stand_for_has_include() {
    let text = "#define HAS(x) __has_include(x)\n#define NAME <x.h>\n#if HAS(NAME) && HAS(\"y.h\")\n#endif";
    let scan = scan(&[("/p/a.c", text), ("/sys/x.h", ""), ("/p/y.h", "")]);
    assert_eq!(others(&scan), ["/p/y.h", "/sys/x.h!/sys"]);
    assert_eq!(scan.unsealable.len(), 0);
}

#[test]
fn the_assembler_reads_files_too() {
    let files = [
        (
            "/p/a.c",
            "asm(\"nop\\n.incbin \\\"b.bin\\\"\"); asm(R\"(.INCLUDE \"i.s\")\");\n.incbin BLOB\n#define BLOB \"c.bin\"",
        ),
        ("/p/b.bin", "#include \"no.h\""),
        ("/p/asm/c.bin", ""),
        ("/p/no.h", ""),
        ("/p/asm/i.s", "# don't\n#include \"no.h\"\nl: .include \"j.s\""),
        ("/p/asm/j.s", "# as .incbin \\x does"),
    ];
    let all = ["/p/asm/c.bin", "/p/asm/i.s", "/p/asm/j.s", "/p/b.bin"];
    let scan = scan(&files);
    assert_eq!(others(&scan), all);
    assert_eq!(scan.unsealable.len(), 0, "{:?}", scan.unsealable);
    let plain = scan_with(&files, |request| {
        request.sources = vec!["asm/i.s".into()];
        request.syntax = Syntax::Assembly;
    });
    assert_eq!(others(&plain), ["/p/asm/i.s", "/p/asm/j.s"]);
}

#[test]
fn a_new_header_and_a_changed_one_are_seen_by_the_next_scan() {
    let scanner = Scanner::new();
    let source = ("/p/a.c", "#include <x.h>\n#if __has_include(<y.h>)\n#endif");
    let first = scan_by(&scanner, &[source, ("/sys/x.h", "")], |_| {});
    assert_eq!(others(&first), ["/sys/x.h!/sys"]);
    let files = [source, ("/sys/x.h", ""), ("/sys/y.h", ""), ("/p/inc/x.h", "")];
    assert_eq!(others(&scan_by(&scanner, &files, |_| {})), ["/p/inc/x.h", "/sys/y.h!/sys"]);
    let files = [source, ("/sys/x.h", "#include \"z.h\""), ("/sys/z.h", "")];
    assert_eq!(others(&scan_by(&scanner, &files, |_| {})), ["/sys/x.h!/sys", "/sys/z.h!/sys"]);
}

#[test]
fn a_missing_source_is_an_error_that_names_it() {
    let search = Search::default();
    let request = ScanRequest {
        cwd: Path::new("/p"),
        sources: vec!["gone.c".into()],
        forced: Vec::new(),
        search: &search,
        defines: Vec::new(),
        assembler_dirs: Vec::new(),
        syntax: Syntax::C,
    };
    let error = Scanner::new().scan(&MemoryWorld::new().with("/p/a.c", ""), &request).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (std::io::ErrorKind::NotFound, "/p/gone.c: does not exist".into()));
}

#[test]
fn only_the_first_sure_include_may_be_precompiled() {
    let conditional: Vec<bool> = facts("#if A\n#include <a>\n#else\n#endif\n#include <b>")
        .lookups
        .iter()
        .map(|lookup| {
            assert_eq!(lookup.usage, Use::Include);
            lookup.unconditional
        })
        .collect();
    assert_eq!(conditional, [false, true]);
}

/// Text in which the tokens of the lexer are frequent.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "#",
            "include",
            "<x>",
            "\"y\"",
            "/*",
            "*/",
            "//",
            "\n",
            "\\\n",
            "'",
            "\"",
            "R\"(",
            ")\"",
            "??/",
            "??=",
            "%:",
            " ",
            "\r",
            "1'0",
            "if",
            "define",
            "X",
            "(",
            ")",
            "__has_include",
            ".incbin",
            ".include",
            "embed",
            "pragma",
            "GCC dependency",
            "_Pragma(",
            "import ",
            ";",
            "__DATE__",
            "\\",
            "\u{feff}",
            "@",
            "\0",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_lexer_never_panics(text in texts()) {
        let spliced = Text::new(&text);
        Lexer::facts(&spliced);
        Lexer::macros(&spliced);
        super::assembly::plain(&text);
    }

    #[test]
    fn a_directive_on_a_line_of_its_own_is_found_after_anything(text in texts()) {
        // The line must not belong to the one before it.
        let end = text.iter().rposition(|&byte| !is_blank(byte) && byte != b'\r');
        prop_assume!(end.is_none_or(|end| text[end] != b'\\'));
        let text = [&text[..], b"\n#include <needle>\n"].concat();
        prop_assert!(names(&text).contains(&"<needle>".into()), "{}", text.escape_ascii());
    }

    #[test]
    fn comments_and_continuations_lose_no_directive(
        fill in prop::collection::vec(prop::sample::select(vec!["", " ", "/* ' */", "/**/", "\\\n", "\\ \r\n", "\t", "/* \n \" */"]), 4),
        split in 0usize..8,
        kind in prop::sample::select(vec!["#include", "#include_next", "#embed", "%:import"]),
    ) {
        let word = &kind[kind.find(char::is_alphabetic).unwrap()..];
        let mark = &kind[..kind.len() - word.len()];
        let (head, tail) = word.split_at(split.min(word.len()));
        let text = format!("{}{mark}{}{head}\\\n{tail}{}<needle>{}\n", fill[0], fill[1], fill[2], fill[3]);
        prop_assert_eq!(names(&text), ["<needle>"], "{}", text);
    }
}
