//! What gg says of itself: one description, from which come help, manual pages and completions for shells.
//!
//! # Layout
//!
//! - `tables`: variables, exit statuses, words
//! - `pages`: manual pages

pub mod pages;
pub mod tables;

use clap::{Arg, Command, CommandFactory};

use crate::args::Args;

/// `gg` and all its subcommands.
pub fn gg() -> Command {
    Args::command()
}

/// `gg-make`, which takes make's arguments and some of its own.
pub fn gg_make() -> Command {
    Command::new("gg-make")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Stands for make: its compiles, links, ... become thunks and are forced meanwhile")
        .long_about(
            "Runs make with the arguments that it is given, but for those below, which are gg's. The tree afterwards is byte for \
             byte what make leaves. make's own -e, which takes no operand, is meant where no engine's name follows.",
        )
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(
            Arg::new("engine")
                .short('e')
                .long("engine")
                .value_name("ENGINE[:JOBS]")
                .help("Where to run steps: local, lambda; -jN right after `-e ENGINE` is for that engine; may be given several times"),
        )
        .arg(Arg::new("no-fallback").long("no-fallback").num_args(0).help(
            "Fail where the engines cannot run a step, instead of running it on this machine; --fallback takes it back",
        ))
        .arg(Arg::new("arguments").value_name("ARGUMENTS").num_args(0..).help("make's own"))
}

/// A text in lines of at most so many characters, all but the first with as many spaces before them.
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && indent + line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// Rows of a word and what it means.
pub fn rows(table: &[(&str, &str)], width: usize) -> String {
    let column = table.iter().map(|(word, _)| word.len()).max().unwrap_or(0) + 4;
    let row = |(word, text): &(&str, &str)| {
        let padded = format!("  {word:<width$}", width = column - 2);
        format!("{padded}{}\n", wrapped(text, width, column))
    };
    table.iter().map(row).collect()
}

/// What stands below gg's help.
pub fn after_help() -> String {
    const WIDTH: usize = 100;
    format!(
        "For make there is a short form: gg-make takes make's own arguments. `gg help words` explains the words.\n\n\
         Environment:\n{}\nExit status:\n{}",
        rows(tables::ENVIRONMENT, WIDTH),
        rows(tables::EXIT_STATUSES, WIDTH).trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::VARIABLES;

    #[test]
    fn the_command_line_is_well_formed() {
        gg().debug_assert();
        gg_make().debug_assert();
    }

    #[test]
    fn every_variable_is_explained() {
        let explained: Vec<&str> = tables::ENVIRONMENT.iter().map(|(name, _)| *name).collect();
        for name in VARIABLES {
            assert!(explained.contains(name), "{name}");
        }
    }

    #[test]
    fn lines_are_no_longer_than_they_may_be() {
        assert_eq!(wrapped("one two three", 9, 2), "one two\n  three");
        assert_eq!(rows(&[("a", "one two"), ("long", "x")], 13), "  a     one\n        two\n  long  x\n");
    }
}
