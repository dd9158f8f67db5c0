//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::faults::Fault;

/// A stand-in for AWS Lambda on this machine, with gg's worker behind it. A test tool: whoever reaches its port on the
/// loopback may use it.
#[derive(Clone, Debug, Parser)]
#[command(name = "gg-front-door", version)]
pub struct Args {
    /// The port on 127.0.0.1; 0 takes a free one, which is printed.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// How many workers there are at most; more invocations at a time are throttled (429).
    #[arg(long, default_value_t = 8)]
    pub workers: usize,
    /// The worker: a static program, which becomes /var/task/bootstrap.
    #[arg(long, value_name = "PROGRAM", required_unless_present = "pretend")]
    pub worker: Option<PathBuf>,
    /// A test double in place of workers: each invocation takes so many seconds and is answered as if its programs had
    /// written something; nothing runs. For measuring who asks, with more workers than this machine could have.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub pretend: Option<Duration>,
    /// The function's name.
    #[arg(long, default_value = "gg-worker")]
    pub name: String,
    /// One more function, with this much memory; may be given several times.
    #[arg(long = "function", value_name = "NAME=MIB", value_parser = function)]
    pub functions: Vec<(String, u64)>,
    /// The function's memory, MiB: when all processes of a worker take more, the largest is killed.
    #[arg(long, default_value_t = 2048, value_name = "MIB")]
    pub memory: u64,
    /// The size of each worker's /tmp, MiB (it is in memory, and does not count for --memory).
    #[arg(long, default_value_t = 4096, value_name = "MIB")]
    pub scratch: u64,
    /// The function's time limit, seconds.
    #[arg(long, default_value_t = 120.0, value_name = "SECONDS")]
    pub timeout: f64,
    /// How long a worker without work is kept, seconds.
    #[arg(long, default_value_t = 600.0, value_name = "SECONDS")]
    pub idle: f64,
    /// How much longer than it takes anyway a cold start takes, milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub cold_start: u64,
    /// What goes wrong: crash=RATE, throttle=RATE, error500=RATE, reset=RATE, lost=RATE, corrupt-reply=RATE,
    /// delay=RATExSECONDS, where a rate below 1 is a share of all invocations and a whole number that many, the first;
    /// slow=NxFACTOR for N workers that take FACTOR times as long.
    #[arg(long = "fault", value_name = "WHAT=RATE")]
    pub faults: Vec<Fault>,
    /// What the choice of faults begins with: the same seed, the same faults for the n-th invocation.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A file for one line of JSON per invocation; no payloads.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// What workers write to their standard error goes to this file instead of this program's.
    #[arg(long, value_name = "FILE")]
    pub worker_log: Option<PathBuf>,
    /// A file to write the address to when it is there.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Lets workers make user namespaces, which a function cannot.
    #[arg(long)]
    pub namespaces: bool,
    /// A directory of this machine that workers find at the same path, writable: for a store at file://DIRECTORY.
    #[arg(long = "bind", value_name = "DIRECTORY")]
    pub binds: Vec<PathBuf>,
    /// A directory that holds a small system, to be the workers' read-only root in place of an empty one.
    #[arg(long, value_name = "DIRECTORY")]
    pub root: Option<PathBuf>,
    /// The user id that workers have, in place of one for each from 100993 on; only where this program is root.
    #[arg(long, value_name = "UID")]
    pub user: Option<u32>,
    /// A variable of the function's environment; may be given several times. AWS_* credentials, AWS_ENDPOINT_URL* and GG_*
    /// are taken over from this program's own environment.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
}

impl Args {
    /// The time limit.
    pub fn time_limit(&self) -> Duration {
        Duration::try_from_secs_f64(self.timeout).unwrap_or(Duration::from_secs(900))
    }

    /// How long workers without work are kept.
    pub fn idle_limit(&self) -> Duration {
        Duration::try_from_secs_f64(self.idle).unwrap_or(Duration::from_secs(600))
    }

    /// The memory of the function of this name, if there is one.
    pub fn function(&self, name: &str) -> Option<u64> {
        if name == self.name {
            return Some(self.memory);
        }
        self.functions.iter().find(|(other, _)| other == name).map(|(_, memory)| *memory)
    }
}

fn function(text: &str) -> Result<(String, u64), String> {
    let (name, memory) = text.split_once('=').ok_or("write NAME=MIB")?;
    Ok((name.to_owned(), memory.parse().map_err(|_| format!("{memory:?} is no number of MiB"))?))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
