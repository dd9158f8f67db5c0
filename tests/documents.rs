//! The commands in README and `docs/` are run as they stand, each document in a project of its own (`testdata/documents`), its blocks
//! in their order, each by a shell of its own that stops at the first error. A block of the kind `output` is what the block before it
//! prints; in it, `...` alone stands for any lines, and `[..]` for anything in a line; times and sizes (numbers with a point, or of four
//! digits and more) need not be the same. What cannot be run here says why:
//! `sh norun: REASON`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project::Project;

/// What a document holds besides prose.
#[derive(Debug)]
struct Block {
    line: usize,
    kind: String,
    text: String,
}

/// Kinds of blocks that are no commands.
const DATA: &[&str] = &["toml", "json", "yaml", "makefile", "cmake", "c", "text"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The blocks of a document. Panics where something looks like one and is none.
fn blocks(name: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    let (mut blank, mut list) = (true, false);
    for (number, line) in read(name).lines().enumerate() {
        let line_number = number + 1;
        if let Some(kind) = line.strip_prefix("```") {
            if !inside {
                blocks.push(Block { line: line_number, kind: kind.trim().to_owned(), text: String::new() });
            }
            inside = !inside;
        } else if inside {
            let block = blocks.last_mut().unwrap();
            block.text.push_str(line);
            block.text.push('\n');
        } else {
            assert!(
                !line.trim_start().starts_with("```"),
                "{name}:{line_number}: a block that is indented is not seen"
            );
            let indented = line.starts_with("    ") && blank && !list;
            assert!(!indented, "{name}:{line_number}: commands stand in blocks with ```sh, so that they are tested");
            list = if line.is_empty() {
                list
            } else {
                line.starts_with(['-', '*', ' ']) || line.starts_with(|c: char| c.is_ascii_digit())
            };
        }
        blank = line.trim().is_empty();
    }
    assert!(!inside, "{name}: a block does not end");
    blocks
}

fn documents() -> BTreeSet<String> {
    let names =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).chain(["README.md".into()]).collect()
}

/// A project in which a person may have begun to read, and gg on PATH.
fn project() -> Project {
    let project = Project::new();
    let copied = Command::new("cp").arg("-rT").arg(root().join("testdata/documents")).arg(project.root()).status();
    assert!(copied.unwrap().success());
    project
}

/// Runs commands; the status, and all that was said.
fn shell(project: &Project, script: &str) -> (i32, String) {
    let home = project.root().with_file_name("home");
    fs::create_dir_all(&home).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_gg")).parent().unwrap().to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let log = tempfile::NamedTempFile::new().unwrap();
    let append = || fs::OpenOptions::new().append(true).open(log.path()).unwrap();
    let mut command = project.command("sh");
    command
        .args(["-eu", "-c", script])
        .env("PATH", path)
        .env("HOME", home)
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_DATA_HOME");
    let status = command.stdout(append()).stderr(append()).status().unwrap();
    (status.code().unwrap_or(-1), fs::read_to_string(log.path()).unwrap())
}

/// Whether what was printed is what the document says.
fn matches(want: &[&str], got: &[&str]) -> bool {
    match want {
        [] => got.is_empty(),
        ["...", rest @ ..] => (0..=got.len()).any(|skip| matches(rest, &got[skip..])),
        [line, rest @ ..] => got.first().is_some_and(|first| line_matches(line, first)) && matches(rest, &got[1..]),
    }
}

fn line_matches(want: &str, got: &str) -> bool {
    fn matches(want: &str, got: &str) -> bool {
        let Some((head, rest)) = want.split_once("[..]") else { return want == got };
        let Some(got) = got.strip_prefix(head) else { return false };
        (0..=got.len()).filter(|at| got.is_char_boundary(*at)).any(|at| matches(rest, &got[at..]))
    }
    matches(&without_figures(want), &without_figures(got))
}

/// A line with `#` for each time and size, and one space for several.
fn without_figures(line: &str) -> String {
    let figure = |word: &str| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let all = word.chars().all(|c| c.is_ascii_digit() || c == '.');
        all && digits > 0 && (word.contains('.') || digits > 3)
    };
    line.split_whitespace().map(|word| if figure(word) { "#" } else { word }).collect::<Vec<_>>().join(" ")
}

fn run_document(name: &str) {
    let (project, blocks) = (project(), blocks(name));
    for (place, block) in blocks.iter().enumerate().filter(|(_, block)| block.kind == "sh") {
        let (status, said) = shell(&project, &block.text);
        assert_eq!(status, 0, "{name}:{}:\n{}\n{said}", block.line, block.text);
        if let Some(output) = blocks.get(place + 1).filter(|next| next.kind == "output") {
            let (want, got): (Vec<&str>, Vec<&str>) = (output.text.lines().collect(), said.lines().collect());
            assert!(matches(&want, &got), "{name}:{}: it is\n{said}", output.line);
        }
    }
}

macro_rules! documents {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { run_document($name); })*

        #[test]
        fn every_document_is_run() {
            assert_eq!(documents(), BTreeSet::from([$($name.to_owned()),*]));
        }
    };
}

documents! {
    readme: "README.md",
    api: "docs/api.md",
    ci: "docs/ci.md",
    cloud: "docs/cloud.md",
    cmake: "docs/cmake.md",
    how_it_works: "docs/how-it-works.md",
    inspect: "docs/inspect.md",
    ir: "docs/ir.md",
    profiling: "docs/profiling.md",
    report: "docs/report.md",
    security: "docs/security.md",
    shells: "docs/shells.md",
    simulation: "docs/simulation.md",
    tools: "docs/tools.md",
    troubleshooting: "docs/troubleshooting.md",
}

#[test]
fn what_is_not_run_says_why() {
    let mut wrong = Vec::new();
    for name in documents() {
        let blocks = blocks(&name);
        for (place, block) in blocks.iter().enumerate() {
            let after_commands = place > 0 && blocks[place - 1].kind == "sh";
            let good = match block.kind.as_str() {
                "sh" => true,
                "output" => after_commands,
                kind => match kind.strip_prefix("sh norun:") {
                    Some(reason) => {
                        println!("{name}:{}: not run: {}", block.line, reason.trim());
                        reason.split_whitespace().count() >= 3
                    }
                    None => DATA.contains(&kind),
                },
            };
            if !good {
                wrong.push(format!("{name}:{}: a block of the kind {:?}", block.line, block.kind));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Commands that documents may name before they are in this tree.
const COMING: &[&str] = &["log", "why", "reproduce"];

/// Each command and option of gg that a document names, in a line or a table, is one.
#[test]
fn commands_and_options_that_are_named_exist() {
    let project = Project::new();
    let mut helps: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for name in documents() {
        for span in read(&name).split('`').skip(1).step_by(2).filter(|span| !span.contains('\n')) {
            let mut words = span.split_whitespace();
            if words.next() != Some("gg") {
                continue;
            }
            let command =
                words.next().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or_default();
            let help = helps.entry(command.to_owned()).or_insert_with(|| {
                let ran = if command.is_empty() { project.gg(&["help"]) } else { project.gg(&["help", command]) };
                (ran.status == 0).then_some(ran.stdout)
            });
            let Some(help) = help else {
                if !COMING.contains(&command) {
                    wrong.push(format!("{name}: `{span}`: there is no such command"));
                }
                continue;
            };
            looked_at += 1;
            // What follows `--` is the build's, and what `deploy` takes is its clouds'.
            let own =
                words.take_while(|word| *word != "--").filter(|word| word.starts_with("--") && command != "deploy");
            for option in own {
                let option = option.split(['=', '|', '[', ',']).next().unwrap_or(option);
                if !help.contains(option) {
                    wrong.push(format!("{name}: `{span}`: there is no option {option}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked_at > 40, "{looked_at}");
}

/// Links between documents lead to files.
#[test]
fn links_lead_somewhere() {
    for name in documents() {
        let (text, folder) = (read(&name), root().join(&name).parent().unwrap().to_owned());
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            if file.contains("://") {
                continue;
            }
            let target = if file.is_empty() { root().join(&name) } else { folder.join(file) };
            assert!(target.exists(), "{name}: {link}");
            let Some(anchor) = anchor else { continue };
            let heads = fs::read_to_string(&target).unwrap();
            let found = heads.lines().filter(|line| line.starts_with('#')).any(|line| {
                let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                title.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>() == anchor
            });
            assert!(found, "{name}: {link}");
        }
    }
}

/// What continuous integration is told to run, it can run.
#[test]
fn examples_for_ci() {
    for name in ["docs/ci/github.yml", "docs/ci/gitlab.yml"] {
        let project = project();
        let text = read(name);
        let lines = text.lines().map(str::trim);
        let commands = lines.filter_map(|line| match line.strip_prefix("- run: ") {
            Some(command) => Some(command),
            None => line.strip_prefix("- ").filter(|_| name.contains("gitlab")).filter(|item| item.contains(' ')),
        });
        let mut ran = 0;
        for command in commands {
            if let Some((_, reason)) = command.split_once("# norun: ") {
                assert!(reason.split_whitespace().count() >= 3, "{name}: {command}");
                continue;
            }
            let (status, said) = shell(&project, command);
            assert_eq!(status, 0, "{name}: {command}\n{said}");
            ran += 1;
        }
        assert!(ran >= 2, "{name}: {ran}");
    }
}

#[test]
fn what_output_means() {
    assert!(matches(&["a", "...", "d [..] s"], &["a", "b", "c", "d 0.17 s"]));
    assert!(
        matches(&["took  0.1 s,", "8 12345"], &["took 13.24 s,", "8    1234"]) && !matches(&["exit 0"], &["exit 2"])
    );
    assert!(matches(&["..."], &[]) && !matches(&["a"], &["a", "b"]) && !matches(&["x[..]y"], &["xz"]));
}

/// The pictures of how gg works show what the code has.
#[test]
fn pictures_match_the_code() {
    let values = |picture: &str, attribute: &str| -> BTreeSet<String> {
        let (text, start) = (read(&format!("docs/pictures/{picture}.svg")), format!("{attribute}=\""));
        let rest = text.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        rest.collect()
    };
    let code = read("src/force/node.rs");
    let (_, states) = code.split_once("enum State {\n").unwrap();
    let states =
        states.split("\n}").next().unwrap().lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
    let states = states.map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned());
    assert_eq!(values("thunk", "data-state"), states.collect());
    let places = values("call", "data-code");
    assert!(places.len() > 5 && places.iter().all(|place| root().join(place).exists()), "{places:?}");
}

/// What gg says of itself, documents say in the same words.
#[test]
fn tables_are_those_of_gg() {
    let project = Project::new();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = words(&read("docs/shells.md").replace(['`', '|'], " "));
    let statuses = words(&project.gg(&["help", "exit-status"]).ok().stdout);
    // Quotes in the page set commands apart, and leave a space before what follows them.
    assert!(page.replace(" :", ":").contains(&statuses), "{page}\n{statuses}");
    let told = read("README.md") + &read("docs/cloud.md");
    let variables = project.gg(&["help", "environment"]).ok().stdout;
    let names =
        variables.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty());
    let missing: Vec<_> = names.filter(|name| !told.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
