//! `gg-make`: stands for `make`, and takes make's own arguments.

use std::process::ExitCode;

fn main() -> ExitCode {
    gg_cli::become_helper_if_asked();
    // Before any thread starts: all of them are to leave these signals to one.
    let stop = gg_cli::signals::Signals::block();
    let args = std::env::args_os().skip(1).collect();
    gg_cli::exit(gg_cli::command::make(args, stop))
}
