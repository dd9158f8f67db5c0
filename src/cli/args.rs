//! The command line of `gg`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use gg_force::simulator::Scheduling;

use crate::command::parallel::ParallelArgs;
use crate::command::thunk::CreateArgs;
use crate::console::Verbosity;
use crate::engines::Choice;
use crate::front::JobArgs;
use crate::report::RunName;

/// Turns an ordinary build into a graph of sealed computations and forces it anywhere.
#[derive(Debug, Parser)]
#[command(
    name = "gg",
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    disable_version_flag = true,
    after_help = crate::manual::after_help()
)]
pub struct Args {
    /// Say which gg this is
    #[arg(short = 'V', long)]
    pub version: bool,
    /// With --version: also how it was built, what it is set up with, and what this machine grants
    #[arg(short, long, requires = "version")]
    pub verbose: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a build command; its compiles, links, ... become thunks and are forced meanwhile
    Build {
        /// Compute only this file and what it needs, or `programs`: what is marked executable; the rest stays as placeholders,
        /// which a program that opens one, the next build, or `gg force` computes; may be given several times
        #[arg(short, long, value_name = "FILE")]
        want: Vec<PathBuf>,
        /// The build
        #[command(flatten)]
        args: BuildArgs,
    },
    /// Run a build command, and leave placeholders where its outputs will be
    Infer(BuildArgs),
    /// Compute what placeholders stand for, and put it in their place
    Force {
        /// Where to run steps: NAME or NAME:JOBS (local, lambda); may be given several times
        #[arg(short, long = "engine", value_name = "ENGINE", value_parser = Choice::parse)]
        engines: Vec<Choice>,
        /// How much to say
        #[command(flatten)]
        volume: Volume,
        /// Files to compute [all that the last `gg infer` in this directory left]
        files: Vec<PathBuf>,
    },
    /// Run one command where its inputs are and nothing else is, here or far away, or take its result from the cache
    Run {
        /// What is said of the command
        #[command(flatten)]
        job: JobArgs,
        /// Where to run it: NAME or NAME:JOBS (local, lambda); may be given several times
        #[arg(short, long = "engine", value_name = "ENGINE", value_parser = Choice::parse)]
        engines: Vec<Choice>,
        /// How much to say
        #[command(flatten)]
        volume: Volume,
        /// The command and its arguments
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// Run a command template once for each item, in parallel: `gg parallel --out {.}.png -- convert {} {.}.png ::: *.svg`
    #[command(visible_alias = "xargs")]
    Parallel {
        /// What is said of the commands, in which {} stands for the item
        #[command(flatten)]
        job: JobArgs,
        /// Which items, and how
        #[command(flatten)]
        how: ParallelArgs,
        /// Where to run them: NAME or NAME:JOBS (local, lambda); may be given several times
        #[arg(short, long = "engine", value_name = "ENGINE", value_parser = Choice::parse)]
        engines: Vec<Choice>,
        /// How much to say
        #[command(flatten)]
        volume: Volume,
        /// The command, in which {} stands for the item, {.} for it without its extension, {/} for its last part, {//} for its
        /// directory, {/.} for its last part without extension, {#} for its number; then `:::` and the items [from standard input, one a line]
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// Make thunks by hand
    #[command(subcommand)]
    Thunk(ThunkCommand),
    /// Force thunks for another program, which talks to gg in lines of JSON on standard input and output (docs/api.md)
    Api {
        /// Where to run thunks: NAME or NAME:JOBS (local, lambda); may be given several times
        #[arg(short, long = "engine", value_name = "ENGINE", value_parser = Choice::parse)]
        engines: Vec<Choice>,
        /// Fail where the engines cannot run a thunk, instead of running it on this machine
        #[arg(long)]
        no_fallback: bool,
    },
    /// Show what an object or a file is
    Describe {
        /// An object's name, or a file: a placeholder is shown as its thunk
        what: OsString,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Show who uses whose outputs: in the last build in this directory, or in what some files come from
    Graph(GraphArgs),
    /// Show again what a step wrote; without a file, what the steps wrote that failed in the last build
    Log {
        /// A file that the step makes, the source that it is for, or an object's name
        #[arg(value_name = "FILE")]
        file: Option<OsString>,
    },
    /// Say why a step was executed instead of being served from the cache, why it ran where it did, and where its time went
    Why {
        /// A file that the step makes, the source that it is for, or an object's name
        #[arg(value_name = "FILE")]
        file: OsString,
    },
    /// Open a shell in the very sandbox that a step ran in, also one that failed; `run` runs the step's command there
    Reproduce {
        /// A file that the step makes, the source that it is for, or an object's name
        #[arg(value_name = "FILE")]
        file: OsString,
        /// Unpack the sandbox into this folder instead, with a run.sh that needs no gg
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        into: Option<PathBuf>,
        /// Run this instead of a shell
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Show what the last build in this directory did: steps, what ran here and why, bytes, times
    Report(ReportArgs),
    /// Say how long a build would take, and what it would cost, on many workers of a cloud; nothing is run
    Simulate(SimulateArgs),
    /// Print the path of a toolchain file for CMake, which includes the one that GG_CHAINLOAD_TOOLCHAIN_FILE names
    ToolchainFile,
    /// Say whether gg can work here, and with the engines that are set up; exit status 1 if something keeps it from that
    Doctor {
        /// The engines to look at: local, lambda; may be given several times [those that builds use]
        #[arg(short, long = "engine", value_name = "ENGINE", value_parser = Choice::parse)]
        engines: Vec<Choice>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Put what an engine in a cloud needs into your account there, or bring it up to date
    #[cfg(feature = "lambda")]
    #[command(subcommand)]
    Deploy(Deploy),
    /// Delete what was used least recently, but nothing that a running build needs
    Gc {
        /// How much to keep: bytes, or a number with K, M, G or T (powers of 1024)
        #[arg(long, value_parser = crate::size::parse)]
        max_size: u64,
        /// Only say what would be deleted
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete everything that gg keeps (the store, reports); never a file of a project
    Clean {
        /// Even while a build runs
        #[arg(long)]
        force: bool,
    },
    /// Write the manual pages to a directory
    Man {
        /// The directory; it is made if need be
        directory: PathBuf,
    },
    /// Print what a shell reads to complete gg's arguments
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Explain a command, or `words`, `exit-status`, `environment`
    Help {
        /// What to explain [default: gg]
        what: Vec<String>,
    },
}

/// What is done with thunks by themselves.
#[derive(Debug, Subcommand)]
pub enum ThunkCommand {
    /// Seal a command with all that it needs, without running it, and print the thunk's name
    Create(CreateArgs),
}

/// The clouds.
#[cfg(feature = "lambda")]
#[derive(Debug, Subcommand)]
pub enum Deploy {
    /// A bucket on S3 and a function on Lambda, as one stack of CloudFormation
    Aws(AwsArgs),
}

/// What is put into an AWS account.
#[cfg(feature = "lambda")]
#[derive(Debug, clap::Args)]
pub struct AwsArgs {
    /// The name of the stack and of the function
    #[arg(long, default_value = "gg", value_parser = crate::deploy::name)]
    pub name: String,
    /// The region [as AWS's own tools find it]
    #[arg(long)]
    pub region: Option<String>,
    /// The function's memory, which decides its processor time, too [1769, or as it is]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(128..=10240))]
    pub memory: Option<u32>,
    /// The memory of a second function, for steps that do not fit the first one; 0: no such function [0, or as it is]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(0..=10240))]
    pub larger_memory: Option<u32>,
    /// After how many days objects leave the store [30, or as it is]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub keep_days: Option<u32>,
    /// The function's program [gg-lambda-worker beside gg]
    #[arg(long, value_name = "FILE")]
    pub worker: Option<PathBuf>,
    /// Only print the CloudFormation template
    #[arg(long, conflicts_with_all = ["status", "delete"])]
    pub print: bool,
    /// Only say what is there; exit status 1 if nothing is
    #[arg(long, conflicts_with = "delete")]
    pub status: bool,
    /// Delete all of it, the bucket's content too
    #[arg(long)]
    pub delete: bool,
    /// Delete without asking
    #[arg(long, requires = "delete")]
    pub yes: bool,
}

/// Which steps are shown, and how.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("form")))]
pub struct GraphArgs {
    /// Only the steps that these files come from, in earlier builds too [all steps of the last build]
    pub files: Vec<PathBuf>,
    /// In the language of Graphviz
    #[arg(long, group = "form")]
    pub dot: bool,
    /// A picture [gg-graph.svg]; `-`: to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "gg-graph.svg", group = "form")]
    pub svg: Option<PathBuf>,
    /// A page for a browser, which needs nothing else, with a search and what a step comes from and goes into [gg-graph.html];
    /// `-`: to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "gg-graph.html", group = "form")]
    pub html: Option<PathBuf>,
    /// Only as many steps back from those whose outputs no other uses
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Only steps of this tool (gcc, ar, ...); may be given several times
    #[arg(long = "tool", value_name = "NAME")]
    pub tools: Vec<String>,
    /// Only steps of this kind (compile, archive, link, ...); may be given several times
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,
    /// Draw each step, also where many are alike
    #[arg(long)]
    pub all: bool,
    /// Write the last build's graph with its measured times to this file instead, for `gg simulate`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["form", "files", "depth", "tools", "kinds", "all"])]
    pub record: Option<PathBuf>,
}

/// Which run is shown, and how.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Which run: its number, `last`, `previous`, or a file
    #[arg(value_name = "RUN", default_value = "last")]
    pub run: RunName,
    /// The record in this file, as `gg simulate --report` writes it
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub file: Option<PathBuf>,
    /// Write one page for a browser, which needs nothing else [gg-report.html]; `-`: to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "gg-report.html")]
    pub html: Option<PathBuf>,
    /// Write a trace, as Perfetto and Chrome show it; `-`: to standard output
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// For programs; docs/report.md describes the form
    #[arg(long, conflicts_with_all = ["html", "trace", "against"])]
    pub json: bool,
    /// What is different from this run: its number, `previous`, or a file
    #[arg(long, value_name = "RUN", conflicts_with = "trace")]
    pub against: Option<RunName>,
    /// The runs whose records are kept
    #[arg(long, exclusive = true)]
    pub list: bool,
}

/// What is simulated, and on what.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
pub struct SimulateArgs {
    /// A recorded graph, as `gg graph --record` writes it
    #[arg(group = "what")]
    pub graph: Option<PathBuf>,
    /// A made-up graph of about so many steps instead: many compiles, archives, links
    #[arg(long, value_name = "STEPS", group = "what", value_parser = parse_count)]
    pub synthetic: Option<usize>,
    /// A made-up graph of the shape that this file describes, in TOML
    #[arg(long, value_name = "FILE", group = "what")]
    pub shape: Option<PathBuf>,
    /// How many workers there are at most; several numbers with commas between them give a table
    #[arg(short, long, value_name = "N", value_delimiter = ',', default_value = "1000", value_parser = parse_count)]
    pub workers: Vec<usize>,
    /// The service, in TOML; what it does not name is as on AWS Lambda and S3
    #[arg(short, long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// How to schedule, in words with commas between them: critical-path or fifo, duplicates or no-duplicates, history or
    /// no-history, batch:N, chains; given several times, each is compared
    #[arg(short, long = "policy", value_name = "WORDS", default_value = "critical-path,duplicates",
          value_parser = crate::command::simulate::policy)]
    pub policies: Vec<Scheduling>,
    /// Where chance begins: the same seed gives the same result; of several, the one in the middle is shown
    #[arg(long = "seed", value_name = "N", value_delimiter = ',', default_value = "1")]
    pub seeds: Vec<u64>,
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// Write the report that such a build would leave to this file; `gg report --file` shows it
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// The largest graph and the most workers that are simulated: beyond that memory, not sense, would say stop.
const MOST: usize = 10_000_000;

fn parse_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=MOST).contains(count));
    count.ok_or_else(|| format!("it has to be a whole number from 1 to {MOST}"))
}

/// A build command.
#[derive(Debug, clap::Args)]
pub struct BuildArgs {
    /// After a failed step, go on with what does not depend on it
    #[arg(short, long)]
    pub keep_going: bool,
    /// Where to run steps: NAME or NAME:JOBS (local, lambda); may be given several times
    #[arg(short, long = "engine", value_name = "ENGINE", value_parser = Choice::parse)]
    pub engines: Vec<Choice>,
    /// Fail where the engines cannot run a step, instead of running it on this machine
    #[arg(long)]
    pub no_fallback: bool,
    /// Write the commands that compile to this file (as `compile_commands.json` is, for language servers), beside those of
    /// earlier builds that it holds
    #[arg(long, value_name = "FILE")]
    pub compile_commands: Option<PathBuf>,
    /// How much to say
    #[command(flatten)]
    pub volume: Volume,
    /// The command and its arguments
    #[arg(required = true, last = true)]
    pub command: Vec<OsString>,
}

/// How much to say.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Volume {
    /// Say nothing but what failed
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say what is retried, and why tools run here and now, as well
    #[arg(short, long)]
    pub verbose: bool,
}

impl Volume {
    /// What was asked for.
    pub fn verbosity(self) -> Option<Verbosity> {
        match (self.quiet, self.verbose) {
            (true, _) => Some(Verbosity::Quiet),
            (_, true) => Some(Verbosity::Verbose),
            _ => None,
        }
    }
}

impl BuildArgs {
    /// What was said of running here what engines give back.
    pub fn fallback(&self) -> Option<bool> {
        self.no_fallback.then_some(false)
    }
}
