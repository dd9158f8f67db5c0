//! What the sources of a call include: by the scanner, or exactly, by the compiler's own `-M`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::command::{Command, Input};
use super::environment;
use super::language::Language;
use super::option::{Dependency, Meaning};
use super::rules;
use super::search::Searches;
use crate::scan::{Scan, ScanRequest, Scanner, Search, Syntax};
use crate::{Call, Header, Read, Reason, World};

/// What the sources need beside themselves.
#[derive(Clone, Debug, Default)]
pub struct Included {
    /// Files and directories.
    pub reads: Vec<Read>,
    /// The clock is read (`__DATE__`, `__TIME__`).
    pub volatile: bool,
}

/// Sources that are searched for in the same way.
struct Group<'a> {
    sources: Vec<&'a Input>,
    search: Search,
    syntax: Syntax,
}

/// What the sources of `command` include.
///
/// # Errors
/// [`Reason::Includes`] where the includes cannot be followed, [`Reason::Unsealable`] for what no input can stand for.
pub fn included(
    command: &Command,
    call: &Call,
    searches: &Searches,
    scanner: &Scanner,
    world: &dyn World,
) -> Result<Included, Reason> {
    let groups = groups(command, call, searches, world)?;
    let mut out = Included::default();
    let mut roots: BTreeSet<PathBuf> = BTreeSet::new();
    let mut unresolved = false;
    for group in &groups {
        let forced = if group.syntax == Syntax::C { forced(command) } else { Vec::new() };
        let sources = group.sources.iter().map(|source| call.absolute(&source.path));
        // Empty, and no file that could be read.
        let sources = sources.filter(|path| path != Path::new("/dev/null")).collect();
        unresolved |= scan(command, call, scanner, world, group, sources, forced, &mut out)?;
        roots.extend(group.search.bracket.iter().filter(|it| it.system).map(|it| it.path.components().collect()));
        let directories = group.search.quote.iter().chain(&group.search.bracket);
        out.reads.extend(directories.map(|it| Read::Directory(it.path.clone())));
    }
    if unresolved && command.reads_stdin() {
        // The compiler could be asked only once.
        return Err(Reason::Stdin);
    }
    if unresolved {
        let exact = exact(command, call, world)?;
        for group in groups.iter().filter(|group| group.syntax == Syntax::C) {
            // Once more over what the compiler itself found, for what a rule for make does not say.
            scan(command, call, scanner, world, group, exact.clone(), Vec::new(), &mut out)?;
        }
        out.reads.extend(exact.into_iter().map(Read::File));
    }
    if unresolved || groups.len() > 1 {
        out.reads = out.reads.into_iter().map(|read| classify(read, &roots)).collect();
    }
    Ok(out)
}

/// Exactly the files that the compiler's own `-M` names, for a compile in which the scanner missed something.
///
/// # Errors
/// As [`included`].
pub fn exact_reads(
    command: &Command,
    call: &Call,
    searches: &Searches,
    world: &dyn World,
) -> Result<Vec<Read>, Reason> {
    let mut roots: BTreeSet<PathBuf> = BTreeSet::new();
    for group in groups(command, call, searches, world)? {
        roots.extend(group.search.bracket.into_iter().filter(|it| it.system).map(|it| it.path.components().collect()));
    }
    Ok(exact(command, call, world)?.into_iter().map(|path| classify(Read::File(path), &roots)).collect())
}

fn groups<'a>(
    command: &'a Command,
    call: &Call,
    searches: &Searches,
    world: &dyn World,
) -> Result<Vec<Group<'a>>, Reason> {
    let mut out: Vec<(&str, Group)> = Vec::new();
    for source in command.sources() {
        let syntax = if source.language == Language::Assembly { Syntax::Assembly } else { Syntax::C };
        let name = source.language.search_name();
        match out.iter_mut().find(|(it, group)| *it == name && group.syntax == syntax) {
            Some((_, group)) => group.sources.push(source),
            None => {
                let search = searches.search(command, call, name, world)?;
                out.push((name, Group { sources: vec![source], search, syntax }));
            }
        }
    }
    Ok(out.into_iter().map(|(_, group)| group).collect())
}

/// Scans one group; true when something could not be resolved.
#[allow(clippy::too_many_arguments)]
fn scan(
    command: &Command,
    call: &Call,
    scanner: &Scanner,
    world: &dyn World,
    group: &Group,
    sources: Vec<PathBuf>,
    forced: Vec<PathBuf>,
    out: &mut Included,
) -> Result<bool, Reason> {
    let request = ScanRequest {
        cwd: &call.cwd,
        sources,
        forced,
        search: &group.search,
        defines: defines(command),
        assembler_dirs: assembler_directories(command, call),
        syntax: group.syntax,
    };
    let scanned: Scan = scanner.scan(world, &request).map_err(|error| Reason::Includes(error.to_string()))?;
    if let Some(what) = scanned.unsealable.into_iter().next() {
        return Err(Reason::Unsealable(what));
    }
    if scanned.timestamp {
        return Err(Reason::Unsealable("__TIMESTAMP__, the time of a source file".to_owned()));
    }
    out.volatile |= scanned.volatile;
    out.reads.extend(scanned.reads.into_iter().map(Read::Header));
    out.reads.extend(scanned.directories.into_iter().map(Read::Directory));
    Ok(!scanned.unresolved.is_empty())
}

/// A file below one of the system's directories belongs to the system, whichever way and by whichever scan it was found.
fn classify(read: Read, roots: &BTreeSet<PathBuf>) -> Read {
    // The innermost: `/usr/include/c++/12` rather than `/usr/include`.
    let root = |path: &Path| roots.iter().filter(|root| lies_in(path, root)).max_by_key(|it| it.components().count());
    match read {
        Read::File(path) => match root(&path) {
            Some(root) => Read::System { root: root.clone(), path },
            None => Read::File(path),
        },
        Read::Header(header) if header.root.is_none() => {
            let root = root(&header.path).map(|root| root.as_path().into());
            Read::Header(Header { root, ..header })
        }
        other => other,
    }
}

/// Whether a path is another or lies below it. Both are spelled without `.` and doubled slashes.
fn lies_in(path: &Path, directory: &Path) -> bool {
    let (path, directory) = (path.as_os_str().as_bytes(), directory.as_os_str().as_bytes());
    let rest = path.strip_prefix(directory);
    rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || directory.ends_with(b"/"))
}

/// The files of `-include` and `-imacros`, as spelled.
fn forced(command: &Command) -> Vec<PathBuf> {
    command.operands(|meaning| meaning == Meaning::Forced).map(PathBuf::from).collect()
}

/// The macros of `-D`, by name and value, for includes that name a macro.
fn defines(command: &Command) -> Vec<(String, String)> {
    let operands = command.operands(|meaning| meaning == Meaning::Define);
    let texts = operands.map(|operand| operand.to_string_lossy().into_owned());
    texts
        .map(|text| match text.split_once('=') {
            Some((name, value)) => (macro_name(name), value.to_owned()),
            None => (macro_name(&text), "1".to_owned()),
        })
        .collect()
}

/// `F` of `F(x)`.
fn macro_name(text: &str) -> String {
    text.split('(').next().unwrap_or_default().to_owned()
}

/// Where `.include` and `.incbin` search: drivers hand `-I` to the assembler too.
fn assembler_directories(command: &Command, call: &Call) -> Vec<PathBuf> {
    let user = command.operands(|meaning| matches!(meaning, Meaning::Include(_)));
    let mut out: Vec<PathBuf> = user.map(|directory| call.absolute(directory)).collect();
    out.extend(super::assembler::directories(&command.assembler).into_iter().map(|it| call.absolute(it)));
    out
}

/// Asks the compiler with `-M`. The paths are absolute.
fn exact(command: &Command, call: &Call, world: &dyn World) -> Result<Vec<PathBuf>, Reason> {
    let argv = question(command, &call.tool);
    let answer = world
        .ask(&argv, &call.cwd, &environment::of_query(&call.env))
        .map_err(|error| Reason::Includes(error.to_string()))?;
    if !answer.success {
        let text = String::from_utf8_lossy(&answer.stderr);
        let line = text.lines().find(|line| line.contains("error")).or(text.lines().next()).unwrap_or_default();
        return Err(Reason::Includes(line.to_owned()));
    }
    let plain = |path: PathBuf| path.components().collect();
    let paths: Vec<PathBuf> =
        rules::prerequisites(&answer.stdout).into_iter().map(|path| plain(call.absolute(path))).collect();
    match paths.iter().find(|path| world.kind(path).is_none()) {
        Some(path) => Err(Reason::Includes(format!("{} is named by -M but is not there", path.display()))),
        None => Ok(paths),
    }
}

/// The command line with `-M`: without the options that say what to make and where, and without what is not preprocessed.
fn question(command: &Command, tool: &Path) -> Vec<OsString> {
    let mut keep = vec![true; command.args.len()];
    for token in &command.tokens {
        let found = &token.found;
        let drop = matches!(
            found.meaning,
            Meaning::Output
                | Meaning::Stop(_)
                | Meaning::Dependency(
                    Dependency::Only | Dependency::Beside | Dependency::File | Dependency::Missing | Dependency::Style
                )
                | Meaning::Side(_)
                | Meaning::Writes(_)
                | Meaning::Library
                | Meaning::Linking
                | Meaning::Llvm
        ) || found.spelling == "-fdump-";
        if drop {
            keep[token.range.clone()].fill(false);
        }
    }
    for input in command.inputs.iter().filter(|input| !input.language.is_preprocessed()) {
        keep[input.index] = false;
    }
    let mut argv = vec![tool.as_os_str().to_owned()];
    argv.extend(command.args.iter().zip(keep).filter(|(_, keep)| *keep).map(|(arg, _)| arg.clone()));
    // Macros given by `-Wp,` together with rules for make would be lost with them.
    for token in &command.tokens {
        let whole = command.args[token.range.start].as_bytes();
        if whole.starts_with(b"-Wp,") && matches!(token.found.meaning, Meaning::Define | Meaning::Undefine) {
            let mut word = OsString::from(token.found.spelling);
            word.push(&token.found.operand);
            argv.push(word);
        }
    }
    argv.push("-M".into());
    argv
}
