//! `nasm` and `yasm` (NASM manual; `yasm --help`).
//!
//! # Layout
//!
//! - `../options/nasm.txt`, `../options/yasm.txt`: every option, one row each
//! - `source`: what a source names
//! - here: the command line, and the plan

mod source;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use super::draft::Draft;
use crate::args::{Item, Syntax, Table, meanings};
use crate::{Call, Environment, FileKind, Plan, Read, Reason, StepKind, World};

/// The variables that nasm and yasm look at, beside those of every tool. `NASMENV` holds options, and is refused.
pub const ENVIRONMENT: &[&str] = &["SOURCE_DATE_EPOCH"];

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// NASM
    Nasm,
    /// YASM
    Yasm,
}

meanings! {
    enum Meaning {
        Flag = "flag",
        Output = "output",
        Format = "format",
        Include = "include",
        PreInclude = "pre-include",
        Listing = "listing",
        Errors = "errors",
        Define = "define",
        /// Dependencies in place of an object.
        DependOnly = "dep-only",
        /// Dependencies beside an object.
        DependAlso = "dep-also",
        DependFile = "dep-file",
        Depend = "dep",
        DependFlag = "dep-flag",
        Preprocess = "preprocess",
        Reproducible = "reproducible",
        Query = "query",
        Refused = "refused",
    }
}

// The tables are part of the program and a test parses them.
static NASM: LazyLock<Table<Meaning>> = LazyLock::new(|| table("nasm", include_str!("../options/nasm.txt")));
static YASM: LazyLock<Table<Meaning>> = LazyLock::new(|| table("yasm", include_str!("../options/yasm.txt")));

fn table(name: &str, text: &str) -> Table<Meaning> {
    Table::parse(text, Syntax { clusters: false, terminator: true, ..Syntax::default() })
        .unwrap_or_else(|error| panic!("models/binutils/options/{name}.txt: {error}"))
}

/// Default suffixes by output format (NASM manual, "Output Formats"); no suffix at all for `bin`.
const SUFFIXES: &[(&str, &str)] = &[
    ("aout", "o"),
    ("aoutb", "o"),
    ("as86", "o"),
    ("bin", ""),
    ("coff", "o"),
    ("dbg", "dbg"),
    ("elf", "o"),
    ("elf32", "o"),
    ("elf64", "o"),
    ("elfx32", "o"),
    ("ieee", "o"),
    ("ith", "ith"),
    ("macho", "o"),
    ("macho32", "o"),
    ("macho64", "o"),
    ("obj", "obj"),
    ("srec", "srec"),
    ("win", "obj"),
    ("win32", "obj"),
    ("win64", "obj"),
    ("x64", "obj"),
];

/// A command line, parsed.
#[derive(Debug, Default)]
struct Command {
    source: OsString,
    output: Option<OsString>,
    format: Option<OsString>,
    include_dirs: Vec<OsString>,
    pre_includes: Vec<OsString>,
    listings: Vec<OsString>,
    errors: Option<OsString>,
    depend_only: bool,
    /// `-MD`: rules beside the object.
    depend_also: bool,
    depend_file: Option<OsString>,
    preprocess: bool,
    reproducible: bool,
    /// The options that matter to `nasm -M`.
    preprocessor: Vec<OsString>,
}

impl Command {
    fn parse(args: &[OsString], dialect: Dialect) -> Result<Self, Reason> {
        let table = if dialect == Dialect::Nasm { &NASM } else { &YASM };
        let mut command = Self::default();
        let mut sources = Vec::new();
        let mut rest: &[OsString] = args;
        // One argument at a time, since `-MD` takes the next one unless that is an option.
        while let Some((first, mut tail)) = rest.split_first() {
            if first == "-MD" && dialect == Dialect::Nasm {
                command.depend_also = true;
                if let Some((name, after)) = tail.split_first()
                    && !name.as_bytes().starts_with(b"-")
                {
                    command.depend_file = Some(name.clone());
                    tail = after;
                }
                rest = tail;
                continue;
            }
            // Whether it takes the next one too shows when it is read alone.
            let (items, used) = match table.split(&rest[..1]) {
                Err(Reason::Malformed(_)) if !tail.is_empty() => (table.split(&rest[..2])?, 2),
                other => (other?, 1),
            };
            for item in items {
                command.item(item, &rest[..used], &mut sources)?;
            }
            rest = &rest[used..];
        }
        match sources.as_slice() {
            [] => Err(Reason::NoInput),
            [source] if source == "-" => Err(Reason::Stdin),
            [source] => Ok(Self { source: source.clone(), ..command }),
            _ => Err(Reason::Malformed("more than one source".to_owned())),
        }
    }

    fn item(&mut self, item: Item<Meaning>, words: &[OsString], sources: &mut Vec<OsString>) -> Result<(), Reason> {
        let (meaning, spelling, value) = match item {
            Item::Operand(name) => {
                sources.push(name);
                return Ok(());
            }
            Item::Option { meaning, spelling, value } => (meaning, spelling, value),
        };
        match meaning {
            Meaning::Output => self.output = value,
            Meaning::Listing => self.listings.extend(value),
            Meaning::Errors => self.errors = value,
            Meaning::DependOnly => self.depend_only = true,
            Meaning::DependFile => self.depend_file = value,
            Meaning::DependAlso => self.depend_also = true,
            Meaning::Depend | Meaning::DependFlag => {}
            Meaning::Preprocess => self.preprocess = true,
            Meaning::Reproducible => self.reproducible = true,
            Meaning::Query => return Err(Reason::Query(spelling)),
            Meaning::Refused => return Err(Reason::UnknownOption(spelling)),
            Meaning::Flag => {}
            Meaning::Define => self.preprocessor.extend_from_slice(words),
            Meaning::Format => {
                self.preprocessor.extend_from_slice(words);
                self.format = value;
            }
            Meaning::Include => {
                self.preprocessor.extend_from_slice(words);
                self.include_dirs.extend(value);
            }
            Meaning::PreInclude => {
                self.preprocessor.extend_from_slice(words);
                self.pre_includes.extend(value);
            }
        }
        Ok(())
    }

    /// COFF objects carry the time.
    fn writes_time(&self) -> bool {
        let format = self.format.as_deref().unwrap_or_default().to_ascii_lowercase();
        !self.reproducible && ["coff", "win", "win32", "win64", "x64"].iter().any(|coff| format == *coff)
    }

    /// The name of the object where no option gives it: the source's with the format's suffix, beside the source for
    /// nasm, in the working directory for yasm.
    fn default_output(&self, dialect: Dialect) -> Result<OsString, Reason> {
        let format = self.format.as_deref().unwrap_or(OsStr::new("bin"));
        let suffix = SUFFIXES.iter().find(|(known, _)| format.eq_ignore_ascii_case(known)).map(|(_, suffix)| suffix);
        let source = Path::new(&self.source);
        let (Some(suffix), true) = (suffix, source.extension().is_some()) else {
            return Err(Reason::Malformed("an output whose name is the assembler's choice".to_owned()));
        };
        let named = source.with_extension(suffix);
        Ok(match dialect {
            Dialect::Nasm => named.into_os_string(),
            Dialect::Yasm => named.file_name().unwrap_or_default().to_owned(),
        })
    }
}

/// The plan for a call of `nasm` or `yasm`.
pub fn plan(call: &Call, world: &dyn World, dialect: Dialect) -> Plan {
    let mut draft = Draft::new(call, world);
    match fill(&mut draft, dialect) {
        Ok((kind, volatile)) => match draft.step(kind, ENVIRONMENT) {
            Plan::Thunk(step) => Plan::Thunk(crate::Step { volatile, ..step }),
            here @ Plan::Here(_) => here,
        },
        Err(reason) => Plan::Here(reason),
    }
}

fn fill(draft: &mut Draft<'_>, dialect: Dialect) -> Result<(StepKind, bool), Reason> {
    let call = draft.call;
    if call.var("NASMENV").is_some_and(|value| !value.is_empty()) {
        return Err(Reason::Unsealable("the options in the variable NASMENV".to_owned()));
    }
    let command = Command::parse(call.args(), dialect)?;
    draft.input(&command.source)?;
    let directories = command.include_dirs.iter().map(|directory| call.absolute(directory));
    draft.reads.extend(directories.map(Read::Directory));
    let found = source::scan(&command.roots(draft), &command.include_dirs, &call.cwd, draft.world);
    let computed = found.computed;
    draft.reads.extend(found.files.into_iter().map(Read::File));
    if let Some(reason) = found.refused {
        return Err(reason);
    }
    if let Some(place) = computed {
        let reads = ask(&command, dialect, call, draft.world).ok_or(Reason::Includes(place))?;
        draft.reads.extend(reads);
    }
    let kind = outputs(&command, draft, dialect)?;
    Ok((kind, found.volatile || command.writes_time()))
}

impl Command {
    /// The source and the files put before it.
    fn roots(&self, draft: &Draft<'_>) -> Vec<std::path::PathBuf> {
        let mut roots = vec![draft.call.absolute(&self.source)];
        for name in &self.pre_includes {
            let found = source::candidates(name, &self.include_dirs, &draft.call.cwd, &draft.call.cwd);
            roots.extend(found.into_iter().filter(|path| draft.world.kind(path) == Some(FileKind::File)));
        }
        roots
    }
}

/// What the tool writes, and so what kind of step it is.
fn outputs(command: &Command, draft: &mut Draft<'_>, dialect: Dialect) -> Result<StepKind, Reason> {
    let kind = if command.depend_only || command.preprocess { StepKind::Preprocess } else { StepKind::Assemble };
    if command.depend_only {
        if command.depend_file.is_none() {
            return Err(Reason::Stdout);
        }
    } else {
        let output = match (&command.output, command.preprocess) {
            (Some(output), _) if output == "-" => return Err(Reason::Stdout),
            (Some(output), _) => output.clone(),
            (None, true) => return Err(Reason::Stdout),
            (None, false) => command.default_output(dialect)?,
        };
        draft.output("o", &output, false)?;
    }
    // `-MF` alone names a file that nothing is written to.
    if let Some(name) = command.depend_file.as_ref().filter(|_| command.depend_only || command.depend_also) {
        draft.output("d", name, false)?;
    }
    if !command.depend_only && !command.preprocess {
        for name in &command.listings {
            draft.output("lst", name, false)?;
        }
    }
    if let Some(name) = &command.errors {
        draft.output("err", name, false)?;
    }
    Ok(kind)
}

/// Asks the assembler itself which files a source includes.
fn ask(command: &Command, dialect: Dialect, call: &Call, world: &dyn World) -> Option<Vec<Read>> {
    let mut argv = vec![call.tool.as_os_str().to_owned(), "-M".into()];
    if dialect == Dialect::Nasm {
        argv.extend(["-MT".into(), "x".into()]);
    }
    argv.extend(command.preprocessor.iter().cloned());
    argv.push(command.source.clone());
    let env: &Environment = &call.env;
    let answer = world.ask(&argv, &call.cwd, env).ok().filter(|answer| answer.success)?;
    let text = answer.stdout;
    let colon = text.windows(2).position(|pair| pair[0] == b':' && pair[1].is_ascii_whitespace())?;
    let text: Vec<u8> = text[colon + 1..].to_vec();
    let names = source::make_names(&text);
    let paths = names.into_iter().map(|name| call.absolute(name));
    Some(paths.filter(|path| world.kind(path) == Some(FileKind::File)).map(Read::File).collect())
}
