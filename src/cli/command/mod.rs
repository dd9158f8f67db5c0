//! The subcommands.

mod clean;
mod completions;
mod describe;
mod force;
mod gc;
mod graph;
mod help;
mod log;
mod man;
pub mod parallel;
mod report;
mod reproduce;
mod run;
pub mod simulate;
pub mod thunk;
mod toolchain_file;
mod version;
mod why;

use std::ffi::OsString;

use anyhow::Result;

#[cfg(feature = "lambda")]
use crate::args::Deploy;
use crate::args::{Args, BuildArgs, Command, ThunkCommand};
use crate::engines;
use crate::run::{Build, run as build};
use crate::settings::Settings;
use crate::signals::Signals;
use crate::wanted::Wanted;

/// Runs a subcommand; returns the exit status.
///
/// # Errors
/// When gg cannot do what it is asked; the text is for a person.
pub fn run(args: Args, stop: Signals) -> Result<i32> {
    let Some(command) = args.command else { return version::run(args.verbose) };
    // These two do not need a configuration that can be read: one writes it, the other looks at it.
    #[cfg(feature = "lambda")]
    if let Command::Deploy(Deploy::Aws(args)) = &command {
        return crate::deploy::aws(args, stop);
    }
    if let Command::Doctor { engines, json } = command {
        return crate::doctor::run(engines, json, stop);
    }
    // Nor these, which are about gg itself.
    match &command {
        Command::Help { what } => return help::run(what),
        Command::Man { directory } => return man::run(directory),
        Command::Completions { shell } => return completions::run(*shell),
        _ => {}
    }
    // Nor this one, which looks at nothing but the files it is given.
    if let Command::Simulate(args) = &command {
        return simulate::run(args);
    }
    let mut settings = Settings::from_env()?;
    match command {
        #[cfg(feature = "lambda")]
        Command::Deploy(_) => Ok(0),
        Command::Doctor { .. } | Command::Simulate(_) => Ok(0),
        Command::Help { .. } | Command::Man { .. } | Command::Completions { .. } => Ok(0),
        Command::Build { want, args } => {
            settings.choose(args.engines.clone(), args.fallback());
            settings.speak(args.volume.verbosity());
            build(&of(args, Wanted::parse(&want)?), &settings, stop)
        }
        Command::Infer(args) => {
            settings.choose(args.engines.clone(), args.fallback());
            settings.speak(args.volume.verbosity());
            build(&of(args, Wanted::Nothing), &settings, stop)
        }
        Command::Force { files, engines, volume } => {
            settings.choose(engines, None);
            settings.speak(volume.verbosity());
            force::run(&files, &settings, stop)
        }
        Command::Run { job, engines, volume, command } => {
            settings.choose(engines, None);
            settings.speak(volume.verbosity());
            run::run(&command, &job, &settings, stop)
        }
        Command::Parallel { job, how, engines, volume, command } => {
            settings.choose(engines, None);
            settings.speak(volume.verbosity());
            parallel::run(&command, &job, &how, &settings, stop)
        }
        Command::Thunk(ThunkCommand::Create(args)) => thunk::create(&args, &settings),
        Command::Api { engines, no_fallback } => {
            settings.choose(engines, no_fallback.then_some(false));
            crate::api::run(&settings, stop)
        }
        Command::Describe { what, json } => describe::run(&what, json, &settings),
        Command::Graph(args) => graph::run(&args, &settings),
        Command::Log { file } => log::run(file.as_deref(), &settings),
        Command::Report(args) => report::run(&args, &settings),
        Command::Why { file } => why::run(&file, &settings),
        Command::Reproduce { file, into, command } => reproduce::run(&file, into.as_deref(), &command, &settings, stop),
        Command::ToolchainFile => toolchain_file::run(&settings),
        Command::Gc { max_size, dry_run } => gc::run(max_size, dry_run, &settings),
        Command::Clean { force } => clean::run(force, &settings),
    }
}

fn of(args: BuildArgs, wanted: Wanted) -> Build {
    let keep_going = args.keep_going || keeps_going(args.command.iter().skip(1));
    let ignore_errors = ignores_errors(args.command.iter().skip(1));
    let silent = is_silent(args.command.iter().skip(1));
    Build { command: args.command, wanted, compile_commands: args.compile_commands, keep_going, ignore_errors, silent }
}

/// `gg-make`: make with these arguments.
///
/// # Errors
/// As [`run()`].
pub fn make(args: Vec<OsString>, stop: Signals) -> Result<i32> {
    let mut settings = Settings::from_env()?;
    let taken = engines::take(args)?;
    let args = taken.rest;
    settings.choose(taken.engines, taken.fallback);
    let from_env = std::env::var_os("MAKEFLAGS").map(|flags| {
        // The first word may hold single letters without their dash (GNU make manual, "Communicating Options").
        let flags = flags.to_string_lossy().into_owned();
        let first = flags.split_whitespace().next().unwrap_or_default().to_owned();
        if first.starts_with('-') || first.contains('=') { OsString::from(first) } else { format!("-{first}").into() }
    });
    let keep_going = keeps_going(args.iter().chain(&from_env));
    let ignore_errors = ignores_errors(args.iter().chain(&from_env));
    let silent = is_silent(args.iter().chain(&from_env));
    let command = [OsString::from("make")].into_iter().chain(args).collect();
    let what = Build { command, wanted: Wanted::All, compile_commands: None, keep_going, ignore_errors, silent };
    build(&what, &settings, stop)
}

/// Whether a build tool's own arguments say that a failure does not stop it: `-k`, `-i` and their long names, for make
/// and ninja alike.
fn keeps_going<'a>(args: impl Iterator<Item = &'a OsString>) -> bool {
    says(args, &["--keep-going", "--ignore-errors"], "ki", &["--stop", "--no-keep-going"], "S")
}

/// Whether make is told to take no notice of failures at all.
fn ignores_errors<'a>(args: impl Iterator<Item = &'a OsString>) -> bool {
    says(args, &["--ignore-errors"], "i", &[], "")
}

/// Whether make or ninja is told to say little.
fn is_silent<'a>(args: impl Iterator<Item = &'a OsString>) -> bool {
    says(args, &["--silent", "--quiet"], "s", &["--no-silent"], "")
}

/// Whether the last of these options that is there is one that says yes.
fn says<'a>(
    args: impl Iterator<Item = &'a OsString>,
    yes: &[&str],
    yes_letters: &str,
    no: &[&str],
    no_letters: &str,
) -> bool {
    /// Letters of make that take the rest of the word as their operand.
    const WITH_OPERAND: &str = "CfIjloWE";
    let mut going = false;
    for arg in args {
        let arg = arg.to_string_lossy();
        if yes.contains(&&*arg) {
            going = true;
        } else if no.contains(&&*arg) {
            going = false;
        } else if let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.starts_with('-')) {
            for letter in letters.chars().take_while(|&letter| !WITH_OPERAND.contains(letter)) {
                if yes_letters.contains(letter) {
                    going = true;
                } else if no_letters.contains(letter) {
                    going = false;
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
