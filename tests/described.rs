//! Tools that data files describe: encodes, generated parsers, catalogues, messages and thumbnails by a plain Makefile.

use std::collections::BTreeMap;

use crate::project::Project;

/// Builds as make does, all of it as steps; then again from the cache.
#[track_caller]
fn becomes_a_graph(project: &Project, steps: usize) {
    let clean = project.manifest();
    project.same_as_make(&["-j2"]);
    assert_eq!(project.ran_here(), [] as [String; 0]);
    assert_eq!(project.served(), BTreeMap::from([("executed".to_owned(), steps)]));
    let built = project.manifest();
    for path in built.keys().filter(|path| !clean.contains_key(*path)) {
        let path = project.path(path);
        if path.is_file() {
            std::fs::remove_file(path).unwrap()
        }
    }
    project.gg_make(&["-j2"]).ok();
    crate::project::assert_same(&built, &project.manifest());
    assert_eq!(project.served(), BTreeMap::from([("cached".to_owned(), steps)]));
}

/// Makes a video and pictures, which no package brings.
fn with_pictures() -> Project {
    let project = Project::new();
    project
        .sh("for name in one two; do ffmpeg -nostdin -loglevel error -f lavfi -i \
             testsrc=size=64x48:rate=5:duration=2 -pix_fmt yuv420p $name.y4m; done
             ffmpeg -nostdin -loglevel error -i one.y4m -frames:v 1 one.png
             ffmpeg -nostdin -loglevel error -i one.y4m -frames:v 1 two.jpg")
        .ok();
    project
}

#[test]
fn scanners_and_parsers() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "calc: calc.tab.o lex.yy.o\n\t$(CC) -o $@ $^\n\
             calc.tab.c: calc.y\n\tbison -dv calc.y\n\
             calc.tab.h: calc.tab.c\n\
             lex.yy.c: calc.l\n\tflex calc.l\n\
             lex.yy.o: lex.yy.c calc.tab.h\n\t$(CC) -c lex.yy.c\n\
             calc.tab.o: calc.tab.c\n\t$(CC) -c calc.tab.c\n",
        )
        .write(
            "calc.y",
            "%{\n#include <stdio.h>\nint yylex(void);\nvoid yyerror(const char *s) { puts(s); }\n%}\n%token NUMBER\n%left '+'\n\
             %%\nall: sum { printf(\"%d\\n\", $1); };\nsum: NUMBER | sum '+' sum { $$ = $1 + $3; };\n%%\n\
             int main(void) { return yyparse(); }\n",
        )
        .write(
            "calc.l",
            "%{\n#include <stdlib.h>\n#include \"calc.tab.h\"\n%}\n%option noyywrap nounput noinput\n%%\n\
             [0-9]+ { yylval = atoi(yytext); return NUMBER; }\n[ \\n] ;\n. return *yytext;\n",
        );
    becomes_a_graph(&project, 5);
    assert_eq!(project.sh("echo 1 + 2 + 39 | ./calc").ok().stdout, "42\n");
}

#[test]
fn a_grammar_that_names_its_outputs_runs_here() {
    let project = Project::new();
    project
        .write("Makefile", "all:\n\tbison g.y\n\tbison -g --report=all h.y\n\tflex s.l\n")
        .write("g.y", "%header\n%output \"other.c\"\n%token A\n%%\ns: A;\n")
        .write("h.y", "%token A\n%%\ns: A;\n")
        .write("s.l", "%option noyywrap header-file=\"s.h\"\n%%\na ;\n");
    project.same_as_make(&[]);
    assert_eq!(project.ran_here().len(), 3, "{:?}", project.ran_here());
    assert!(project.path("other.h").exists() && project.path("s.h").exists() && project.path("h.gv").exists());
}

#[test]
fn catalogues() {
    let project = Project::new();
    let catalogue = |charset: &str, text: &[u8]| {
        let out = format!(
            "msgid \"\"\nmsgstr \"\"\n\"Content-Type: text/plain; charset={charset}\\n\"\n\"Language: de\\n\"\n\
             #, c-format\nmsgid \"%d files\"\nmsgstr \"%d "
        );
        [out.as_bytes(), text, b"\"\n"].concat()
    };
    project
        .write("Makefile", "all: de.mo fr.mo messages.mo\n%.mo: %.po\n\tmsgfmt -c --statistics -o $@ $<\nmessages.mo: de.po\n\tmsgfmt de.po\n")
        .write("de.po", catalogue("UTF-8", "Dateien für dich".as_bytes()))
        // Read by a module of the C library's.
        .write("fr.po", catalogue("ISO-8859-15", b"\xe9l\xe9ments"));
    becomes_a_graph(&project, 3);
}

#[test]
fn messages_with_imports() {
    let project = Project::new();
    project
        .write(
            "Makefile",
            "all: out/a.pb.o out/b/c.pb.o out/a_pb2.py set\n\
             out/a.pb.cc out/a.pb.h: proto/a.proto proto/b/c.proto\n\tprotoc -Iproto --cpp_out=out proto/a.proto\n\
             out/b/c.pb.cc out/b/c.pb.h: proto/b/c.proto\n\tprotoc -Iproto --cpp_out=out proto/b/c.proto\n\
             out/a_pb2.py: proto/a.proto\n\tprotoc --proto_path=proto --python_out=out proto/a.proto\n\
             set: proto/a.proto\n\tprotoc -Iproto --include_imports -o set proto/a.proto\n\
             out/a.pb.o: out/b/c.pb.h\n\
             out/%.o: out/%.cc\n\tcp $< $@\n",
        )
        .write("out/b/keep", "")
        .write(
            "proto/a.proto",
            "syntax = \"proto3\";\nimport \"b/c.proto\"; // import \"nothing\";\nimport \"google/protobuf/any.proto\";\n\
             message A { b.C c = 1; google.protobuf.Any any = 2; }\n",
        )
        .write("proto/b/c.proto", "syntax = \"proto3\";\npackage b;\nmessage C { string name = 1; }\n");
    becomes_a_graph(&project, 4);
    // What is imported counts.
    project.sh("sed -i 's/name = 1/title = 1/' proto/b/c.proto").ok();
    project.gg_make(&[]).ok();
    assert_eq!(project.executed(), ["out/a.pb.cc", "out/b/c.pb.cc"]);
}

#[test]
fn encodes() {
    let project = with_pictures();
    project.write(
        "Makefile",
        "all: one.ivf two.ivf one.webm one.mkv one.mp4 one.flac.wav frame.jpg\n\
         %.ivf: %.y4m\n\tvpxenc --quiet --codec=vp8 --good --cpu-used=4 --ivf -o $@ $<\n\
         one.webm: one.y4m\n\tvpxenc --quiet --debug --limit=3 -o $@ $<\n\
         one.mkv: one.ivf\n\tffmpeg -nostdin -loglevel error -y -i $< -c:v copy -an -threads 1 -fflags +bitexact $@\n\
         one.mp4: one.y4m\n\tffmpeg -loglevel error -y -i $< -c:v libx264 -an -threads 1 $@\n\
         one.flac.wav: sound.wav\n\tffmpeg -nostdin -loglevel error -y -i $< -ar 4000 -threads 1 $@\n\
         frame.jpg: two.y4m\n\tffmpeg -nostdin -loglevel error -y -ss 1 -i $< -vf scale=32:-2 -frames:v 1 -threads 1 $@\n",
    );
    project.sh("ffmpeg -nostdin -loglevel error -f lavfi -i sine=duration=1 sound.wav").ok();
    becomes_a_graph(&project, 7);
}

#[test]
fn encodes_that_nobody_can_foresee_run_here() {
    let project = with_pictures();
    project
        .write("list.txt", "file one.y4m\nfile two.y4m\n")
        .write("s.srt", "1\n00:00:00,000 --> 00:00:01,000\nHello\n")
        .write(
            "Makefile",
            "F = ffmpeg -nostdin -loglevel error\n\
             all:\n\t$(F) -f concat -safe 0 -i list.txt -threads 1 joined.ivf\n\
             \t$(F) -i one.y4m -threads 1 -frames:v 3 out%02d.png\n\
             \t$(F) -i one.y4m -pass 1 -c:v libvpx -b:v 99k -threads 1 -f null /dev/null\n\
             \t$(F) -i one.y4m -pass 2 -c:v libvpx -b:v 99k -threads 1 two.ivf\n\
             \tcp one.y4m old.ivf; ! $(F) -i one.y4m -threads 1 old.ivf 2>/dev/null\n",
        );
    project.same_as_make(&[]);
    assert_eq!(project.ran_here().len(), 5, "{:?}", project.ran_here());
    assert!(project.path("out03.png").exists() && project.path("ffmpeg2pass-0.log").exists());
}

/// ImageMagick's own program, whatever else is called `convert` on this machine.
const CONVERT: &str = "/usr/bin/convert";

#[test]
fn thumbnails() {
    let project = with_pictures();
    project.write(
        "Makefile",
        format!(
            "CONVERT = {}\nall: one.thumb.png two.thumb.jpg one.gif\n\
             %.thumb.png: %.png\n\t$(CONVERT) $< -thumbnail 20x20 -strip $@\n\
             %.thumb.jpg: %.jpg\n\t$(CONVERT) $< -resize 50% -quality 70 $@\n\
             one.gif: one.png\n\t$(CONVERT) $< -colors 16 $@\n",
            CONVERT
        ),
    );
    becomes_a_graph(&project, 3);
    // It would tell the times of its source.
    project.write("Makefile", format!("all:\n\t{0} one.png dated.png\n\t{0} one.png two.jpg both.png\n", CONVERT));
    project.gg_make(&[]).ok();
    assert_eq!(project.ran_here().len(), 2, "{:?}", project.ran_here());
    assert!(project.path("both-1.png").exists());
}

#[test]
fn a_description_that_is_wrong_is_named_with_its_line() {
    let project = Project::new();
    project
        .write(
            "tools/odd.toml",
            "names = [\"odd\"]\n\n[[option]]\nnames = [\"-x\"]\noperand = \"none\"\nrole = \"outptu\"\n",
        )
        .write("Makefile", "all:\n\ttouch made\n");
    let ran = crate::project::run(project.gg_make_command(&[]).env("GG_TOOLS", project.path("tools")));
    assert_ne!(ran.status, 0);
    assert!(
        ran.stderr.contains("odd.toml") && ran.stderr.contains("line 6: there is no role \"outptu\""),
        "{}",
        ran.stderr
    );
    assert!(!project.path("made").exists());
}
