//! `gg`: builds through thunks, and looks at what they did.

use std::process::ExitCode;

use clap::Parser;
use gg_cli::args::Args;

fn main() -> ExitCode {
    gg_cli::become_helper_if_asked();
    // Before any thread starts: all of them are to leave these signals to one.
    let stop = gg_cli::signals::Signals::block();
    gg_cli::exit(gg_cli::command::run(Args::parse(), stop))
}
