//! The programs `gg` and `gg-make`.
//!
//! # Layout, in the order in which a build goes
//!
//! - `args`, `settings`: what the command line and the environment say
//! - `command`: one file per subcommand
//! - `run`: one build from beginning to end
//! - `stand_ins`: what runs in place of tools, and the directory that leads PATH where the kernel does not lead to them
//! - `session`: what becomes of each tool call
//! - `engine`: the coordinator and the worker processes; `history`: how long steps took
//! - `signals`: ending in order
//! - `report`: what is taken down of a build, and shown; `console`, `size`, `shell`: what a person sees; `lock`: whether another gg is alive; `compile_commands`: what language servers see
//! - `graph`: who uses whose outputs, and pictures of that
//! - `deploy`: what a cloud's engine needs, put into an account
//! - `manual`: what gg says of itself: help, manual pages
//! - `doctor`: whether gg can work here
//! - `inspect`: what a person asks about one step of a build that is over
//! - `front`: thunks that are stated by hand or by a program; `api`: for programs that talk to gg
//! - `system`: which files are the system's own
//! - `wanted`: which outputs are computed; `pending`: where placeholders were left

mod api;
pub mod args;
pub mod command;
mod compile_commands;
mod config;
mod console;
#[cfg(feature = "lambda")]
mod cost;
#[cfg(feature = "lambda")]
mod deploy;
mod doctor;
mod engine;
mod engines;
#[cfg(feature = "lambda")]
mod far;
mod front;
mod graph;
mod history;
mod inspect;
mod lock;
mod manual;
mod pending;
mod report;
mod run;
mod session;
mod settings;
mod shell;
pub mod signals;
mod size;
mod stand_ins;
mod system;
mod wanted;

use std::process::ExitCode;

/// The only argument of a worker process.
const WORKER: &str = "__worker";

/// The first argument of a keeper process; the number of its socket and the build's command follow.
const KEEPER: &str = "__keeper";

/// The only argument of the process that gives a terminal's rows back if gg is killed; its standard input is a socket.
const JANITOR: &str = "__terminal";

/// Both programs can be a worker process, a keeper or a janitor; then this does not return. What gg starts has a socket where it is
/// said to be, which tells it from somebody's make target of that name.
pub fn become_helper_if_asked() {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(word) if word == WORKER && args.next().is_none() && is_socket(gg_worker::SOCKET_FD) => {
            gg_worker::worker_main(gg_worker::SOCKET_FD);
        }
        Some(word) if word == JANITOR && args.next().is_none() && is_socket(libc::STDIN_FILENO) => {
            console::janitor_main();
            std::process::exit(0);
        }
        Some(word) if word == KEEPER => {
            let socket = args.next().and_then(|number| number.to_str()?.parse().ok()).filter(|fd| is_socket(*fd));
            let Some(socket) = socket else { return };
            gg_watch::keeper_main(socket, args.collect(), |head| gg_ir::Placeholder::parse(head).is_some());
        }
        _ => {}
    }
}

fn is_socket(fd: i32) -> bool {
    // SAFETY: fstat fills a structure of its own.
    unsafe {
        let mut info: libc::stat = std::mem::zeroed();
        libc::fstat(fd, &mut info) == 0 && info.st_mode & libc::S_IFMT == libc::S_IFSOCK
    }
}

/// The exit status of gg itself when it cannot work, as make's own for an error.
const TROUBLE: u8 = 2;

/// Ends a program: with its status, or with what went wrong.
pub fn exit(result: anyhow::Result<i32>) -> ExitCode {
    match result {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(TROUBLE)),
        Err(error) => {
            eprintln!("gg: {error:#}");
            ExitCode::from(TROUBLE)
        }
    }
}
