//! The subcommands.

mod clean;
mod describe;
mod force;
mod gc;
mod graph;
mod report;

use std::ffi::OsString;

use anyhow::Result;

use crate::args::{BuildArgs, Command};
use crate::run::{Build, run as build};
use crate::settings::Settings;
use crate::signals::Signals;

/// Runs a subcommand; returns the exit status.
///
/// # Errors
/// When gg cannot do what it is asked; the text is for a person.
pub fn run(command: Command, stop: Signals) -> Result<i32> {
    let settings = Settings::from_env()?;
    match command {
        Command::Build(args) => build(&of(args, true), &settings, stop),
        Command::Infer(args) => build(&of(args, false), &settings, stop),
        Command::Force { files } => force::run(&files, &settings, stop),
        Command::Describe { what, json } => describe::run(&what, json, &settings),
        Command::Graph { dot } => graph::run(dot, &settings),
        Command::Report { json } => report::run(json, &settings),
        Command::Gc { max_size, dry_run } => gc::run(max_size, dry_run, &settings),
        Command::Clean { force } => clean::run(force, &settings),
    }
}

fn of(args: BuildArgs, force: bool) -> Build {
    let keep_going = args.keep_going || keeps_going(args.command.iter().skip(1));
    Build { command: args.command, force, keep_going }
}

/// `gg-make`: make with these arguments.
///
/// # Errors
/// As [`run`].
pub fn make(args: Vec<OsString>, stop: Signals) -> Result<i32> {
    let settings = Settings::from_env()?;
    let from_env = std::env::var_os("MAKEFLAGS").map(|flags| {
        // The first word may hold single letters without their dash (GNU make manual, "Communicating Options").
        let flags = flags.to_string_lossy().into_owned();
        let first = flags.split_whitespace().next().unwrap_or_default().to_owned();
        if first.starts_with('-') || first.contains('=') { OsString::from(first) } else { format!("-{first}").into() }
    });
    let keep_going = keeps_going(args.iter().chain(&from_env));
    let command = [OsString::from("make")].into_iter().chain(args).collect();
    build(&Build { command, force: true, keep_going }, &settings, stop)
}

/// Whether a build tool's own arguments say that a failure does not stop it: `-k`, `-i` and their long names, for make
/// and ninja alike.
fn keeps_going<'a>(args: impl Iterator<Item = &'a OsString>) -> bool {
    /// Letters of make that take the rest of the word as their operand.
    const WITH_OPERAND: &str = "CfIjloWE";
    let mut going = false;
    for arg in args {
        let arg = arg.to_string_lossy();
        if matches!(&*arg, "--keep-going" | "--ignore-errors") {
            going = true;
        } else if matches!(&*arg, "--stop" | "--no-keep-going") {
            going = false;
        } else if let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.starts_with('-')) {
            for letter in letters.chars().take_while(|&letter| !WITH_OPERAND.contains(letter)) {
                match letter {
                    'k' | 'i' => going = true,
                    'S' => going = false,
                    _ => {}
                }
            }
        }
    }
    going
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_going() {
        let going = |args: &[&str]| keeps_going(args.iter().map(OsString::from).collect::<Vec<_>>().iter());
        assert!(going(&["-k"]));
        assert!(going(&["-sk", "all"]));
        assert!(going(&["-j8", "--keep-going"]));
        assert!(!going(&["-j8", "-C", "k", "-fMakefile.k", "k=1"]));
        assert!(!going(&["-k", "-S"]));
    }
}
