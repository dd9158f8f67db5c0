//! What gg says of itself: versions, help, manual pages, completions.

use std::process::Command;

use crate::project::{Project, run};

#[test]
fn which_gg_this_is() {
    let project = Project::new();
    let short = project.gg(&["--version"]).ok().stdout;
    assert_eq!(short, format!("gg {}\n", env!("CARGO_PKG_VERSION")));
    project.write("gg.toml", "engine = ['local:1']\n");
    let long = project.gg(&["--version", "--verbose"]).ok().stdout;
    assert!(long.starts_with(&short), "{long}");
    let row = |name: &str| {
        long.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {long}")).trim()
    };
    assert_eq!(row("store"), project.store().to_str().unwrap());
    assert_eq!((row("config"), row("engines")), (project.path("gg.toml").to_str().unwrap(), "local"));
    assert_eq!((row("sandbox"), row("watching")), ("namespaces", "yes"));
    assert!(row("kernel").starts_with("Linux ") && !row("commit").is_empty() && !row("features").is_empty(), "{long}");
    // What is wrong is said, and nothing is kept back for it.
    project.write("gg.toml", "engin = 'local'\n");
    assert!(project.gg(&["-V", "-v"]).ok().stdout.contains("not understood"));
    assert_eq!(project.gg(&["--verbose"]).status, 2);
}

#[test]
fn help_on_commands_and_words() {
    let project = Project::new();
    let words = project.gg(&["help", "words"]).ok().stdout;
    for word in ["thunk", "value", "placeholder", "force", "reduction", "engine", "stand-in"] {
        assert!(
            words.lines().any(|line| line.strip_prefix("  ").is_some_and(|line| line.starts_with(word))),
            "{word}: {words}"
        );
    }
    assert!(project.gg(&["help", "exit-status"]).ok().stdout.contains("127"));
    assert!(project.gg(&["help", "environment"]).ok().stdout.contains("GG_DIR"));
    assert!(project.gg(&["help", "graph"]).ok().stdout.contains("--depth"));
    assert_eq!(project.gg(&["help"]).ok().stdout, project.gg(&["--help"]).ok().stdout);
    let none = project.gg(&["help", "nonsense"]);
    assert!(none.status == 2 && none.stderr.contains("words, exit-status, environment"), "{none:?}");
}

#[test]
fn manual_pages_of_all_commands() {
    let project = Project::new();
    project.gg(&["man", "man1"]).ok();
    let page = |name: &str| String::from_utf8(project.read(format!("man1/{name}.1"))).unwrap();
    let (gg, graph, make) = (page("gg"), page("gg-graph"), page("gg-make"));
    for section in [".SH NAME", ".SH OPTIONS", ".SH SUBCOMMANDS", ".SH ENVIRONMENT", ".SH \"EXIT STATUS\"", ".SH WORDS"]
    {
        assert!(gg.contains(section), "{section}: {gg}");
    }
    assert!(graph.contains("\\-\\-depth") && graph.contains("EXIT STATUS"), "{graph}");
    assert!(make.contains("\\-\\-no\\-fallback"), "{make}");
    for command in ["build", "infer", "force", "report", "doctor", "gc", "clean", "completions"] {
        assert!(page(&format!("gg-{command}")).contains("gg\\-"), "{command}");
    }
}

#[test]
fn completions_that_the_shell_takes() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = project.gg(&["completions", shell]).ok().stdout;
        assert!(script.contains("toolchain-file") && script.contains("depth"), "{shell}");
        project.write(shell, script);
    }
    // What bash would offer after `gg re`, as its own completion is asked for it.
    let offered = "source ./bash; COMP_WORDS=(gg re); COMP_CWORD=1; _gg gg re gg; printf '%s\\n' \"${COMPREPLY[@]}\"; complete -p gg-make";
    let said = run(project.command("bash").args(["-c", offered])).ok().stdout;
    assert!(said.starts_with("reproduce\nreport\n") && said.contains("_gg_make gg-make"), "{said}");
    for shell in ["zsh", "fish"] {
        // Where they are not installed, nobody completes with them.
        if Command::new(shell).arg("--version").output().is_ok() {
            run(project.command(shell).args(["-n", shell])).ok();
        }
    }
}
