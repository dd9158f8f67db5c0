//! `gg-front-door`: a stand-in for AWS Lambda on one machine, to try gg's worker with and to test what no emulator does
//! faithfully: crashes, throttling, lost answers, limits. A test tool: it asks nobody who they are, so it listens on the
//! loopback only.
//!
//! In front it speaks the Invoke API, behind it the Runtime API, and between the two it starts up to so many workers, each
//! in a jail that is as narrow as a function's (`jail`). Start it, wait for its line, and point gg at the address:
//!
//! ```text
//! gg-front-door --workers 8 --worker target/release/gg-lambda-worker
//! listening on http://127.0.0.1:41233
//! ```
//!
//! # Layout
//!
//! - `args`: its command line
//! - `faults`: what it does wrong on purpose
//! - `invoke`: the Invoke API
//! - `door`: which worker gets which invocation
//! - `worker`: one worker, and the Runtime API that it sees
//! - `jail`, `seccomp`: what a worker is shut in
//! - `pretend`: what answers in place of workers, if asked
//! - `record`: the log and the counts
//! - `http`: answers of both APIs
//!
//! Facts about the service are from the AWS Lambda Developer Guide and API Reference (Invoke; Lambda quotas; Using the
//! Lambda runtime API).

mod args;
mod door;
mod faults;
mod http;
mod invoke;
mod jail;
mod pretend;
mod record;
mod seccomp;
mod worker;

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use tokio::net::{TcpListener, TcpSocket};

fn main() -> anyhow::Result<()> {
    if std::env::args_os().nth(1).is_some_and(|arg| arg == jail::ARGUMENT) {
        // A child of this program, before it has threads: the way into a jail.
        return Err(jail::enter());
    }
    let args = args::Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads")?;
    let outcome = runtime.block_on(serve(args));
    runtime.shutdown_background();
    outcome
}

/// As many connections may wait to be accepted, as far as `net.core.somaxconn` allows. gg opens thousands at once; those beyond are
/// dropped or reset, which the service in whose place this stands does not do.
const WAITING: u32 = 16_384;

fn listen(port: u16) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // As `TcpListener::bind` does: a port that was used a moment ago can be used again.
    socket.set_reuseaddr(true)?;
    socket.bind((std::net::Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(WAITING)
}

async fn serve(args: args::Args) -> anyhow::Result<()> {
    let listener = listen(args.port)
        .with_context(|| format!("cannot listen on port {} of 127.0.0.1; choose another with --port", args.port))?;
    let address = format!("http://{}", listener.local_addr().context("no address")?);
    let ready = args.ready_file.clone();
    let door = Arc::new(door::Door::new(args)?);
    println!("listening on {address}");
    std::io::stdout().flush().context("cannot say the address")?;
    if let Some(path) = ready {
        std::fs::write(&path, format!("{address}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let serving = http::serve(listener, {
        let door = door.clone();
        move |request| invoke::answer(door.clone(), request)
    });
    tokio::select! {
        () = serving => {}
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    door.close();
    Ok(())
}
