//! `gg gc`.

use anyhow::{Context, Result};
use gg_store::Store;

use crate::front::bytecode;
use crate::report::Runs;
use crate::settings::Settings;
use crate::size;

/// Shrinks the store to `max_size` bytes.
///
/// # Errors
/// When the store cannot be read or written.
pub fn run(max_size: u64, dry_run: bool, settings: &Settings) -> Result<i32> {
    let report = Store::open(&settings.directory)?.gc(max_size, dry_run)?;
    // Mostly small: it is objects that fill a disk.
    let records = Runs::collect(&settings.directory, max_size / 10, dry_run)
        .with_context(|| format!("cannot shrink the records in {}", settings.directory.display()))?;
    let modules = bytecode::collect(&settings.directory, max_size / 10, dry_run)
        .with_context(|| format!("cannot shrink the compiled modules in {}", settings.directory.display()))?;
    let would = if dry_run { "would delete" } else { "deleted" };
    println!(
        "{} before, {} after; {would} {} objects, {} reductions, the records of {records} builds and {} of compiled modules",
        size::show(report.before),
        size::show(report.after),
        report.deleted_objects,
        report.deleted_reductions,
        size::show(modules)
    );
    if report.after > max_size {
        println!("the rest is in use by a running build");
    }
    Ok(0)
}
