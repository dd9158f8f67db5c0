//! `gg report`.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

use crate::report::Report;
use crate::settings::Settings;

/// Shows the report of the last build, or the one in a file.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn run(json: bool, file: Option<&Path>, settings: &Settings) -> Result<i32> {
    let report = match file {
        Some(file) => {
            let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_slice(&bytes).with_context(|| format!("{} is no report", file.display()))?
        }
        None => load(settings)?,
    };
    let mut out = io::stdout().lock();
    let written = if json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(io::Error::from)
    } else {
        report.print(&mut out)
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write the report"),
        _ => Ok(0),
    }
}

/// The report of the last build here.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn load(settings: &Settings) -> Result<Report> {
    let root = std::env::current_dir().context("the current directory is gone")?;
    Report::load(&settings.directory, &root).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => anyhow::anyhow!("there is no report yet; build something with gg-make first"),
        _ => anyhow::Error::new(error).context(format!("cannot read a report in {}", settings.directory.display())),
    })
}
