//! Manual pages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::tables::{ENVIRONMENT, EXIT_STATUSES, WORDS};

/// Writes `gg.1`, one page for each subcommand, and `gg-make.1` to a directory; the names of the files.
///
/// # Errors
/// When they cannot be written; the file is named.
pub fn write(directory: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    fs::create_dir_all(directory).map_err(|error| (directory.to_owned(), error))?;
    let mut gg = super::gg();
    // What stands below the help is sections of their own here.
    gg = gg.after_help("");
    gg.build();
    let mut written = Vec::new();
    let mut todo = vec![(gg, "gg".to_owned())];
    todo.push((super::gg_make(), "gg-make".to_owned()));
    while let Some((command, name)) = todo.pop() {
        let inner: Vec<Command> = command.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
        todo.extend(inner.into_iter().map(|inner| {
            let name = format!("{name}-{}", inner.get_name());
            (inner, name)
        }));
        let file = directory.join(format!("{name}.1"));
        page(command, &name).and_then(|text| fs::write(&file, text)).map_err(|error| (file.clone(), error))?;
        written.push(file);
    }
    written.sort();
    Ok(written)
}

fn page(command: Command, name: &str) -> io::Result<Vec<u8>> {
    let whole = name == "gg";
    let (has_inner, version) = (command.has_subcommands(), format!("gg {}", env!("CARGO_PKG_VERSION")));
    let man = Man::new(command.version(env!("CARGO_PKG_VERSION"))).source(version).manual("gg");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if has_inner {
        man.render_subcommands_section(&mut out)?;
    }
    if whole {
        section(&mut out, "ENVIRONMENT", ENVIRONMENT)?;
    }
    section(&mut out, "EXIT STATUS", EXIT_STATUSES)?;
    if whole {
        section(&mut out, "WORDS", WORDS)?;
    } else {
        let mut also = Roff::default();
        also.control("SH", ["SEE ALSO"]).text([bold("gg"), roman("(1)")]);
        also.to_writer(&mut out)?;
    }
    Ok(out)
}

fn section(out: &mut Vec<u8>, title: &str, table: &[(&str, &str)]) -> io::Result<()> {
    let mut roff = Roff::default();
    roff.control("SH", [title]);
    for (word, text) in table {
        roff.control("TP", []).text([bold(*word)]).text([roman(*text)]);
    }
    roff.to_writer(out)
}
