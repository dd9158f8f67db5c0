//! The drivers of C and C++ compilers: GCC and Clang, under all their names.
//!
//! # Layout
//!
//! - `name`: which compiler a tool's name means
//! - `option`, `rows`, `known`: the option table
//! - `command`, `pass`, `language`: a command line taken apart by it
//! - `outputs`: what is written, and under which names
//! - `search`, `includes`, `rules`: what is included
//! - `link`, `commands`: what is linked
//! - `assembler`, `profile`, `native`, `environment`: the rest of what a call depends on

mod assembler;
mod command;
mod commands;
pub mod environment;
mod includes;
mod known;
mod language;
mod link;
pub mod name;
mod native;
pub(crate) mod option;
mod outputs;
mod pass;
mod profile;
mod rows;
mod rules;
mod search;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::binutils::ld::Linker;
use crate::queries;
use crate::scan::Scanner;
use crate::{Call, Compilation, FileKind, Plan, Read, Reason, Step, StepKind, World, Write};
use command::Command;
use name::Family;
use option::{Meaning, Stop};

/// The model of C and C++ compiler drivers, with what it remembers between calls.
#[derive(Debug, Default)]
pub struct Driver {
    searches: search::Searches,
    natives: native::Natives,
}

/// Variables that make a compiler append to a file that others append to too.
const SHARED_OUTPUTS: &[&str] = &["DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES"];

/// The file that is empty, and that every sandbox has.
const NULL: &str = "/dev/null";

impl Driver {
    /// What is to become of `call`, whose tool is a compiler driver.
    pub fn plan(&self, call: &Call, scanner: &Scanner, linker: &Linker, world: &dyn World) -> Plan {
        match self.step(call, scanner, linker, world) {
            Ok(step) => Plan::Thunk(step),
            Err(reason) => Plan::Here(reason),
        }
    }

    /// Exactly what the compile reads, by the compiler's own `-M`, for one whose sandboxed run missed a file.
    ///
    /// # Errors
    /// [`Reason::Includes`] when the preprocessor fails, and the reasons of [`Driver::plan`].
    pub fn exact_reads(&self, call: &Call, world: &dyn World) -> Result<Vec<Read>, Reason> {
        let command = self.command(call, world)?;
        includes::exact_reads(&command, call, &self.searches, world)
    }

    /// What `call` compiles, and into which files; nothing when it compiles nothing or cannot be understood.
    pub fn compilations(&self, call: &Call, world: &dyn World) -> Vec<Compilation> {
        let Ok(command) = self.command(call, world) else { return Vec::new() };
        if command.stop == Stop::Preprocess {
            return Vec::new();
        }
        let writes = outputs::outputs(&command, call).unwrap_or_default();
        let kind = |tag: &str| tag.split('.').next().unwrap_or(tag).to_owned();
        // The first is what the call is made for; others of its kind belong to other sources.
        let first = writes.first().map(|write| kind(&write.tag));
        let mains: Vec<_> = writes.iter().filter(|write| Some(kind(&write.tag)) == first).collect();
        let sources = command.sources().enumerate();
        // With a link at the end, all go into one file.
        let output = |at: usize| mains.get(at).or(mains.first()).map(|write| write.path.clone());
        sources.map(|(at, source)| Compilation { source: source.path.clone().into(), output: output(at) }).collect()
    }

    fn command(&self, call: &Call, world: &dyn World) -> Result<Command, Reason> {
        let compiler = name::compiler(&call.tool, world).ok_or(Reason::NoModel)?;
        Command::parse(call, compiler, world)
    }

    fn step(&self, call: &Call, scanner: &Scanner, linker: &Linker, world: &dyn World) -> Result<Step, Reason> {
        let command = self.command(call, world)?;
        for name in SHARED_OUTPUTS {
            if call.var(name).is_some() {
                return Err(Reason::Unsealable(format!("{name}, a file that several calls append to")));
            }
        }
        let mut reads = inputs(&command, call, world)?;
        let mut writes = outputs::outputs(&command, call)?;
        if command.compiler.family == Family::Clang && writes.iter().any(|write| write.tag == "gch") {
            return Err(Reason::Unsealable("times of headers, which go into a precompiled header".to_owned()));
        }
        for path in assembler::written(&command.assembler)? {
            let tag = format!("as.{}", writes.len());
            writes.push(Write { tag, path: call.absolute(path), executable: false, optional: true, outline: None });
        }
        let (mut volatile, mut missing) = (false, None);
        if command.sources().next().is_some() {
            let included = includes::included(&command, call, &self.searches, scanner, world)?;
            volatile = included.volatile;
            reads.extend(included.reads);
            let mains: Vec<PathBuf> = writes.iter().map(|write| write.path.clone()).collect();
            reads.extend(profile::reads(&command, call, &mains, world));
        }
        let links = command.stop == Stop::Link && writes.iter().any(|write| write.tag == "out");
        if links {
            let files = link::files(&command, call, linker, world)?;
            volatile |= files.volatile;
            missing = files.missing;
            reads.extend(files.reads);
            merge(&mut writes, files.writes);
        }
        let verbose = command.has(Meaning::Verbose);
        if verbose {
            reads.extend(searched(&command, call, &self.searches, world)?);
        }
        let discarded = discarded(&mut writes);
        check_writable(&writes, world)?;
        reads.extend(writes.iter().filter_map(|write| Some(Read::Directory(write.path.parent()?.to_owned()))));
        let mut step = Step {
            kind: kind(&command, links),
            argv: call.argv.clone(),
            env: environment::visible(&call.env),
            reads,
            writes,
            volatile,
            awaited: outputs::prints(&command) || discarded || verbose,
            missing,
        };
        if command.reads_stdin() {
            let stdin = crate::stdin_path(&call.cwd);
            step.reads.retain(|read| read.path().is_none_or(|path| path.as_os_str() != stdin.as_os_str()));
        }
        self.natives.seal(&command, call, &mut step.argv, &mut step.env, world)?;
        Ok(step)
    }
}

/// The inputs and every other file that an option names.
fn inputs(command: &Command, call: &Call, world: &dyn World) -> Result<Vec<Read>, Reason> {
    let mut out: Vec<Read> = command.response_files.iter().cloned().map(Read::File).collect();
    let linking = command.stop == Stop::Link;
    let used = command.inputs.iter().filter(|input| linking || input.is_source());
    for input in used.clone() {
        let path = call.absolute(&input.path);
        match world.kind(&path) {
            // For the linker to miss.
            None if !input.is_source() => {}
            _ if path == Path::new(NULL) => {}
            _ if input.path == command::STDIN => out.push(Read::Stdin),
            Some(FileKind::File) => out.push(Read::File(path)),
            Some(FileKind::Other) => return Err(Reason::Device(path.display().to_string())),
            Some(FileKind::Directory) | None => return Err(Reason::MissingInput(path)),
        }
    }
    if used.count() == 0 && !(linking && command.has(Meaning::Library)) {
        return Err(Reason::NoInput);
    }
    for token in &command.tokens {
        let operand = &token.found.operand;
        let path = call.absolute(operand);
        match token.found.meaning {
            Meaning::Reads if world.kind(&path) == Some(FileKind::File) => out.push(Read::File(path)),
            // A bare name is one of the compiler's own plugins or specs, which are part of the toolchain.
            Meaning::Reads | Meaning::Specs if operand.as_bytes().contains(&b'/') => match world.kind(&path) {
                Some(FileKind::File) => out.push(Read::File(path)),
                _ => return Err(Reason::MissingInput(path)),
            },
            Meaning::Specs if world.kind(&path) == Some(FileKind::File) => out.push(Read::File(path)),
            Meaning::ToolPrefix => out.extend(prefixed(operand, call, world)),
            Meaning::Include(_) | Meaning::Linking if world.kind(&path) == Some(FileKind::Directory) => {
                out.push(Read::Directory(path));
            }
            _ => {}
        }
    }
    Ok(out)
}

/// Every directory that a driver names when it tells where it looks, since it names only what exists.
fn searched(
    command: &Command,
    call: &Call,
    searches: &search::Searches,
    world: &dyn World,
) -> Result<Vec<Read>, Reason> {
    let about = command.arguments(|meaning| matches!(meaning, Meaning::Search | Meaning::ToolPrefix | Meaning::Specs));
    let unknown = || Reason::Query("-v".to_owned());
    let mut reads = queries::candidates(call, about, &[], world).ok_or_else(unknown)?;
    for source in command.sources() {
        let ignored = searches.builtin(command, call, source.language.search_name(), world)?.ignored.clone();
        reads.extend(ignored.into_iter().map(Read::Directory));
    }
    Ok(reads)
}

/// What a driver starts or links, and would take from below a `-B` prefix first.
const PREFIXED: &[&str] = &[
    "cc1",
    "cc1plus",
    "collect2",
    "lto1",
    "lto-wrapper",
    "as",
    "ld",
    "ld.bfd",
    "ld.gold",
    "ld.lld",
    "ld.mold",
    "nm",
    "strip",
    "objcopy",
    "specs",
    "crt1.o",
    "Scrt1.o",
    "rcrt1.o",
    "gcrt1.o",
    "crti.o",
    "crtn.o",
    "crtbegin.o",
    "crtbeginS.o",
    "crtbeginT.o",
    "crtend.o",
    "crtendS.o",
];

/// The existing files that `-B prefix` puts before the toolchain's own. The prefix need not be a directory.
fn prefixed(prefix: &OsStr, call: &Call, world: &dyn World) -> Vec<Read> {
    let mut out = vec![Read::Directory(call.absolute(prefix))];
    for name in PREFIXED {
        let joined = [prefix, OsStr::new(name)].join(OsStr::new(""));
        for path in [call.absolute(Path::new(prefix).join(name)), call.absolute(joined)] {
            if world.kind(&path) == Some(FileKind::File) {
                out.push(Read::File(path));
            }
        }
    }
    out
}

/// Adds what the linker writes; for the program itself the linker's word on its mode holds.
fn merge(writes: &mut Vec<Write>, linked: Vec<Write>) {
    for write in linked {
        match writes.iter_mut().find(|it| it.path == write.path) {
            Some(known) => {
                known.executable = write.executable;
                known.outline = write.outline;
            }
            None => {
                let taken = writes.iter().any(|it| it.tag == write.tag);
                let tag = if taken { format!("{}.{}", write.tag, writes.len()) } else { write.tag };
                writes.push(Write { tag, ..write });
            }
        }
    }
}

/// Takes out what is thrown away: whether the call succeeds is all that is wanted of it. Whether it did so.
fn discarded(writes: &mut Vec<Write>) -> bool {
    let before = writes.len();
    writes.retain(|write| write.path != Path::new(NULL));
    writes.len() < before
}

/// Outputs that no placeholder can stand for: devices, directories, files in directories that do not exist.
fn check_writable(writes: &[Write], world: &dyn World) -> Result<(), Reason> {
    for Write { path, optional, .. } in writes {
        match world.kind(path) {
            _ if path.starts_with("/dev") => return Err(Reason::Device(path.display().to_string())),
            Some(FileKind::Other) => return Err(Reason::Device(path.display().to_string())),
            Some(FileKind::Directory) => return Err(Reason::Malformed(format!("{} is a directory", path.display()))),
            _ => {}
        }
        let parent = path.parent().unwrap_or(path);
        if !optional && world.kind(parent) != Some(FileKind::Directory) {
            return Err(Reason::Malformed(format!("there is no directory {}", parent.display())));
        }
    }
    Ok(())
}

fn kind(command: &Command, links: bool) -> StepKind {
    match (links, command.sources().next().is_some(), command.stop) {
        (true, true, _) => StepKind::CompileLink,
        (true, false, _) => StepKind::Link,
        (_, _, Stop::Preprocess) => StepKind::Preprocess,
        _ if command.sources().all(|source| source.language.is_assembly()) => StepKind::Assemble,
        _ => StepKind::Compile,
    }
}

/// Whether a tool of this name is a compiler driver.
pub fn is_driver(name: &OsStr) -> bool {
    name::is_driver(name)
}
