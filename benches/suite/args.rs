//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Measures gg beside plain make, a do-nothing compiler, ccache and sccache, and prints a table.
#[derive(Debug, Parser)]
#[command(name = "benches/run")]
pub struct Args {
    /// Rows, or beginnings of their names (see --list) [all]
    pub rows: Vec<String>,
    /// Say which rows there are, and measure nothing
    #[arg(long)]
    pub list: bool,
    /// How often each side of a row is run; medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// How many jobs builds run at once
    #[arg(short, long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: u32,
    /// The size of the synthetic tree, where 1 is Chromium's (40,000 files)
    #[arg(long, default_value_t = 0.05)]
    pub size: f64,
    /// One library of the synthetic tree among so many is a shared one; 0: all are archives
    #[arg(long, default_value_t = 4)]
    pub shared: u32,
    /// Write all that was measured to this file, after each row
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Print the table as Markdown
    #[arg(long)]
    pub markdown: bool,
    /// Where gg, gg-make, gg-front-door are, built in release mode [built by benches/run]
    #[arg(long, value_name = "DIRECTORY", env = "GG_BENCH_BIN")]
    pub bin: PathBuf,
    /// Where projects are unpacked, configured and built; what is there is used again
    #[arg(long, value_name = "DIRECTORY", env = "GG_BENCH_WORK")]
    pub work: PathBuf,
    /// Unpack and configure projects again
    #[arg(long)]
    pub fresh: bool,
}
