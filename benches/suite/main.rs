//! `benches/run`: measures gg beside its peers and its floors, row by row, in one run on one machine.
//!
//! Nothing here is a test: rows report what they find, and the exit status tells only whether every row could be run.
//!
//! # Layout
//!
//! - `args`: the command line
//! - `rows`: one file per row or group of rows: what is run, and what becomes of the figures
//! - `bench`: the directories, programs and commands that rows use; `project`: real projects; `nothing`: the do-nothing compiler;
//!   `peers`: ccache and sccache
//! - `spent`: what one command takes: wall time, CPU time of all that comes from it, memory
//! - `runs`: all that was measured, and medians
//! - `line`: a line of the table; `table`: the table as text, as Markdown, as JSON

mod args;
mod bench;
mod line;
mod nothing;
mod peers;
mod project;
mod rows;
mod runs;
mod spent;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::bench::Bench;
use crate::table::Table;

/// What every fallible thing here gives: the errors are told to a person, and nothing else is done with them.
type Any<T = ()> = anyhow::Result<T>;

fn main() -> ExitCode {
    // Its own helpers, before anything else: see `spent` and `rows::call`.
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let helped = match arguments.first().and_then(|word| word.to_str()) {
        Some(spent::HELPER) => Some(spent::helper(&arguments[1..])),
        Some(rows::call::HELPER) => Some(rows::call::helper(&arguments[1..])),
        _ => None,
    };
    match helped.unwrap_or_else(|| suite(&Args::parse())) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what is asked for; 1 when a row could not be run.
fn suite(args: &Args) -> Any<u8> {
    let all = rows::all();
    if args.list {
        for row in &all {
            println!("{:16} {}", row.name, row.about);
        }
        return Ok(0);
    }
    let wanted = rows::chosen(&all, &args.rows)?;
    let mut bench = Bench::new(args)?;
    let mut table = Table::new(&bench);
    eprintln!("{}", table.machine);
    for row in wanted {
        eprintln!("== {}: {}", row.name, row.about);
        match (row.measure)(&mut bench) {
            Ok(lines) => table.add(row.name, lines),
            Err(error) => table.fail(row.name, &error),
        }
        bench.tidy();
        table.save(args.json.as_deref(), &bench.runs)?;
    }
    print!("{}", if args.markdown { table.markdown() } else { table.text() });
    Ok(u8::from(!table.is_complete()))
}
