//! Which files a driver writes, and under which names.
//!
//! GCC names side outputs after the "dump base" (GCC 12 manual, "Overall Options", `-dumpbase`): the output without its
//! suffix, or the source's name without its suffix where there is no `-o`; when it links, the program's name and the
//! source's, joined by a dash. Clang names some after the output and some after the source. Each rule here has a row in
//! the tests, which run the compilers.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::command::{Command, Input};
use super::name::Family;
use super::option::{Dependency, Meaning, Side, Stop};
use crate::binutils::outline;
use crate::{Call, Reason, Write};

/// Every file that the call writes, the main ones first.
///
/// # Errors
/// [`Reason::Malformed`] for what the driver refuses.
pub fn outputs(command: &Command, call: &Call) -> Result<Vec<Write>, Reason> {
    let sources: Vec<&Input> = command.sources().collect();
    let mut out = Writes { call, list: Vec::new() };
    let linking = command.stop == Stop::Link && !makes_headers(&sources);
    if linking {
        out.add("out", command.output.as_deref().unwrap_or(OsStr::new("a.out")), Certain, true);
    } else if command.output.is_some() && sources.len() > 1 {
        return Err(Reason::Malformed("-o with several outputs".to_owned()));
    }
    for source in &sources {
        let names = Names::of(command, source, linking, command.inputs.len() == 1);
        if command.stop == Stop::Preprocess {
            preprocessed(command, &mut out);
        } else if !linking {
            let tag = names.suffix;
            out.add(tag, &names.main, Certain, false);
        }
        sides(command, source, &names, linking, &mut out);
    }
    if let Some(file) = dependency_file(command).filter(|_| !sources.is_empty()) {
        let certain = if command.sources().any(|source| source.language.is_preprocessed()) { Certain } else { Perhaps };
        out.add("d", file, certain, false);
    }
    for token in &command.tokens {
        if let Meaning::Writes(tag) = token.found.meaning {
            out.add(tag, &token.found.operand, Perhaps, false);
        }
    }
    Ok(out.list)
}

/// Headers are precompiled where nothing else is asked for.
pub fn makes_headers(sources: &[&Input]) -> bool {
    sources.first().is_some_and(|source| source.language.is_header())
}

/// The main output of `-E`, `-M` and `-MM`.
fn preprocessed(command: &Command, out: &mut Writes) {
    match (&command.output, command.only_dependencies(), dependency_file(command)) {
        (Some(output), false, _) => out.add("i", output, Certain, false),
        // `-M -MF file` leaves the operand of `-o` empty or alone.
        (Some(output), true, Some(_)) => out.add("i", output, Perhaps, false),
        (Some(output), true, None) => out.add("d", output, Certain, false),
        // It goes to the file of the rules, or to standard output.
        (None, _, _) => {}
    }
}

/// Whether the main output goes to standard output: `-E`, `-M` and `-MM` where nothing names a file.
pub fn prints(command: &Command) -> bool {
    command.stop == Stop::Preprocess
        && command.output.is_none()
        && !(command.only_dependencies() && dependency_file(command).is_some())
}

/// The operand of the last `-MF`.
fn dependency_file(command: &Command) -> Option<&OsStr> {
    command.operands(|meaning| meaning == Meaning::Dependency(Dependency::File)).last()
}

/// Whether the tool always writes a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Certainty {
    Certain,
    Perhaps,
}
use Certainty::{Certain, Perhaps};

struct Writes<'a> {
    call: &'a Call,
    list: Vec<Write>,
}

impl Writes<'_> {
    /// Adds a file unless it is there already; the second of a kind is `o.1`, the next `o.2`.
    fn add(&mut self, kind: &str, path: &OsStr, certainty: Certainty, executable: bool) {
        let path = self.call.absolute(path);
        if self.list.iter().any(|write| write.path == path) {
            return;
        }
        let count = self.list.iter().filter(|write| write.tag.split('.').next() == Some(kind)).count();
        let tag = if count == 0 { kind.to_owned() } else { format!("{kind}.{count}") };
        let outline = if kind == "o" { outline::of_object(&path) } else { None };
        self.list.push(Write { tag, path, executable, optional: certainty == Perhaps, outline });
    }
}

/// What the files of one source are called.
struct Names {
    /// The main output, as spelled or derived.
    main: OsString,
    /// The ending that the main output has by default.
    suffix: &'static str,
    /// What debug information, coverage notes and the like are named after.
    base: Vec<u8>,
    /// What rules for make are named after.
    rules: Vec<u8>,
    /// What intermediate files that are kept are named after.
    kept: Vec<u8>,
}

impl Names {
    fn of(command: &Command, source: &Input, linking: bool, alone: bool) -> Self {
        let suffix = match (command.stop, source.language.is_header(), command.has(Meaning::Llvm)) {
            (_, true, _) => "gch",
            (Stop::Compile, _, true) => "ll",
            (_, _, true) => "bc",
            (Stop::Compile, _, _) => "s",
            _ => "o",
        };
        let stem = without_suffix(file_name(source.path.as_bytes())).to_vec();
        let main = match &command.output {
            Some(output) => output.clone(),
            // A precompiled header lies beside the header; everything else comes to the working directory.
            None if suffix == "gch" => join(source.path.as_bytes(), b".", suffix),
            None => join(&stem, b".", suffix),
        };
        let stripped = command.output.as_deref().map(|output| without_suffix(output.as_bytes()).to_vec());
        let (base, rules, kept);
        match (command.compiler.family, linking) {
            (Family::Gcc, false) => {
                base = stripped.unwrap_or(stem);
                rules = base.clone();
                let name = file_name(&base).to_vec();
                kept = if command.has(Meaning::Side(Side::TemporariesHere)) { name } else { base.clone() };
            }
            (Family::Gcc, true) => {
                base = linked_base(command.output.as_deref(), &stem, alone);
                rules = stripped.unwrap_or_else(|| base.clone());
                let name = file_name(&base).to_vec();
                kept = if command.has(Meaning::Side(Side::TemporariesHere)) { name } else { base.clone() };
            }
            (Family::Clang, _) => {
                // `-save-temps=obj` puts them beside the output, under the source's name.
                let directory = command.output.as_deref().map_or(&b""[..], |output| directory(output.as_bytes()));
                let beside = command.tokens.iter().any(|token| token.found.spelling.ends_with("-temps=obj"));
                kept = if beside { [directory, &stem].concat() } else { stem.clone() };
                rules = stripped.clone().unwrap_or_else(|| stem.clone());
                base = if linking { stem } else { stripped.unwrap_or(stem) };
            }
        }
        Self { main, suffix, base, rules, kept }
    }
}

/// GCC's base for the side outputs of a source that is compiled and linked in one call.
fn linked_base(output: Option<&OsStr>, stem: &[u8], alone: bool) -> Vec<u8> {
    let output = output.map_or(&b"a.out"[..], OsStrExt::as_bytes);
    // The suffixes of programs go: `.exe` always, `.out` for the default name alone.
    let program = if output == b"a.out" { b"a" } else { output.strip_suffix(b".exe").unwrap_or(output) };
    if alone && file_name(program) == stem { program.to_vec() } else { [program, b"-", stem].concat() }
}

/// The files beside the main output of one source.
fn sides(command: &Command, source: &Input, names: &Names, linking: bool, out: &mut Writes) {
    let has = |side| command.has(Meaning::Side(side));
    // Names the user chose: the sandbox finds them.
    if has(Side::Names) {
        return;
    }
    let preprocessed = source.language.is_preprocessed();
    let assembling = command.stop >= Stop::Assemble;
    let compiling = command.stop > Stop::Preprocess;
    let llvm = command.has(Meaning::Llvm);
    let sure = if source.language.is_assembly() || llvm { Perhaps } else { Certain };
    let beside = command.has(Meaning::Dependency(Dependency::Beside)) && !command.only_dependencies();
    if beside && preprocessed && dependency_file(command).is_none() {
        out.add("d", &join(&names.rules, b".", "d"), Certain, false);
    }
    if !compiling || source.language.is_header() {
        return;
    }
    let split = command.tokens.iter().rev().find_map(|token| match token.found.meaning {
        Meaning::Side(Side::SplitDwarf) => Some(true),
        Meaning::Side(Side::NoSplitDwarf) => Some(false),
        _ => None,
    });
    let gcc = command.compiler.family == Family::Gcc;
    if split == Some(true) && assembling {
        // Clang writes it only with debug information at a level that has something to split.
        out.add("dwo", &join(&names.base, b".", "dwo"), if gcc { sure } else { Perhaps }, false);
    }
    if source.language.is_assembly() {
        return;
    }
    let note = command.tokens.iter().any(|token| token.found.spelling == "-fprofile-note=");
    if has(Side::Coverage) && !note {
        out.add("gcno", &join(&names.base, b".", "gcno"), sure, false);
    }
    let usage = if gcc { &names.base } else { &names.rules };
    let rows =
        [(Side::StackUsage, usage, "su"), (Side::CallGraph, &names.base, "ci"), (Side::TimeTrace, &names.base, "json")];
    for (side, base, suffix) in rows {
        if has(side) {
            out.add(suffix, &join(base, b".", suffix), Perhaps, false);
        }
    }
    if has(Side::Temporaries) || has(Side::TemporariesHere) {
        let kept = [
            (true, source.language.preprocessed_suffix()),
            (true, "s"),
            (!gcc, "bc"),
            // Without a link the object is the main output.
            (linking, "o"),
        ];
        for (_, suffix) in kept.into_iter().filter(|(is_kept, _)| *is_kept) {
            out.add(suffix, &join(&names.kept, b".", suffix), Perhaps, false);
        }
    }
}

/// `path` with its last suffix gone; a name that is nothing but a suffix stays.
fn without_suffix(path: &[u8]) -> &[u8] {
    let start = path.len() - file_name(path).len();
    match path[start..].iter().rposition(|&byte| byte == b'.') {
        Some(dot) if dot > 0 => &path[..start + dot],
        _ => path,
    }
}

/// What follows the last slash.
fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// What goes up to the last slash, which is included.
fn directory(path: &[u8]) -> &[u8] {
    &path[..path.len() - file_name(path).len()]
}

fn join(base: &[u8], between: &[u8], suffix: &str) -> OsString {
    OsString::from_vec([base, between, suffix.as_bytes()].concat())
}
