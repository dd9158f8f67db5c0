//! `gg help`.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};

use crate::manual::{self, tables};

/// The width of explanations.
const WIDTH: usize = 100;

/// Explains gg, a subcommand, or a topic: `words`, `exit-status`, `environment`.
///
/// # Errors
/// When there is no such thing to explain.
pub fn run(what: &[String]) -> Result<i32> {
    let table = match what {
        [topic] if topic == "words" => Some(tables::WORDS),
        [topic] if topic == "exit-status" => Some(tables::EXIT_STATUSES),
        [topic] if topic == "environment" => Some(tables::ENVIRONMENT),
        _ => None,
    };
    if let Some(table) = table {
        return say(&manual::rows(table, WIDTH));
    }
    let mut command = manual::gg();
    command.build();
    for word in what {
        let Some(inner) = command.find_subcommand(word) else {
            bail!(
                "there is no help on {word:?}; there is on words, exit-status, environment, and on the commands that `gg help` lists"
            );
        };
        command = inner.clone();
    }
    let text = command.render_help();
    if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        return say(&text.ansi().to_string());
    }
    say(&text.to_string())
}

fn say(text: &str) -> Result<i32> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(0),
    }
}
