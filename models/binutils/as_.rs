//! GNU as: `as a.s -o a.o`, and what `-Wa,` passes to it (GNU as manual, "Command-Line Options").

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::draft::Draft;
use super::outline::{self, Outline};
use crate::args::{Item, Syntax, Table, meanings};
use crate::{Call, FileKind, Plan, Read, Reason, StepKind, World};

/// The variables that `as` looks at, beside those of every tool.
pub const ENVIRONMENT: &[&str] = &["SOURCE_DATE_EPOCH", "AS_SECURE_LOG_FILE"];

meanings! {
    enum Meaning {
        Flag = "flag",
        Output = "output",
        Include = "include",
        Dependencies = "dependencies",
        Listing = "listing",
        Query = "query",
        MaybeQuery = "maybe-query",
    }
}

// The table is part of the program and a test parses it.
static TABLE: LazyLock<Table<Meaning>> = LazyLock::new(|| {
    Table::parse(include_str!("options/as.txt"), Syntax { clusters: false, terminator: true, ..Syntax::default() })
        .unwrap_or_else(|error| panic!("models/binutils/options/as.txt: {error}"))
});

/// What a command line of `as` says of files; names are as given, relative to the working directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembly {
    /// The sources, assembled as one; `-` is standard input, none at all too.
    pub sources: Vec<OsString>,
    /// `-I`, in order; the working directory comes before them.
    pub include_dirs: Vec<OsString>,
    /// `-o`; `a.out` where there is none.
    pub output: Option<OsString>,
    /// `--MD`
    pub dependency_file: Option<OsString>,
    /// `-a...=file`; a listing without a file goes to standard output.
    pub listing: Option<OsString>,
    /// A listing shows the sources named by `.file` and `.loc`.
    pub lists_sources: bool,
}

/// Parses arguments without `argv[0]`, `@file`s expanded.
///
/// # Errors
/// An option that no row describes, or a query.
pub fn parse(args: &[OsString]) -> Result<Assembly, Reason> {
    let mut assembly = Assembly::default();
    let mut query = None;
    for item in TABLE.split(args)? {
        match item {
            Item::Operand(name) => assembly.sources.push(name),
            Item::Option { meaning: Meaning::Output, value, .. } => assembly.output = value,
            Item::Option { meaning: Meaning::Include, value, .. } => assembly.include_dirs.extend(value),
            Item::Option { meaning: Meaning::Dependencies, value, .. } => assembly.dependency_file = value,
            Item::Option { meaning: Meaning::Listing, value, .. } => listing(&mut assembly, value.as_deref())?,
            Item::Option { meaning: Meaning::Query, spelling, .. } => return Err(Reason::Query(spelling)),
            Item::Option { meaning: Meaning::MaybeQuery, spelling, .. } => query = Some(spelling),
            Item::Option { meaning: Meaning::Flag, .. } => {}
        }
    }
    match query {
        Some(query) if assembly.sources.is_empty() => Err(Reason::Query(query)),
        _ => Ok(assembly),
    }
}

/// `-a`, `-alh`, `-ahls=file`: letters, then a file.
fn listing(assembly: &mut Assembly, value: Option<&OsStr>) -> Result<(), Reason> {
    let value = value.unwrap_or_default().as_bytes();
    let mut parts = value.splitn(2, |&byte| byte == b'=');
    let letters = parts.next().unwrap_or_default();
    if letters.iter().any(|letter| !b"cdghilmns".contains(letter)) {
        return Err(Reason::UnknownOption(format!("-a{}", String::from_utf8_lossy(value))));
    }
    assembly.lists_sources |= letters.is_empty() || letters.contains(&b'h');
    if let Some(file) = parts.next() {
        assembly.listing = Some(OsStr::from_bytes(file).to_owned());
    }
    Ok(())
}

/// Finds what the sources of an assembly include, from its command line and working directory.
pub type Scan<'a> = dyn Fn(&Assembly, &Path, &dyn World) -> Result<Vec<Read>, Reason> + 'a;

/// The plan for a call of `as`. `scan` gives what the sources include, [`includes`] for one.
pub fn plan(call: &Call, world: &dyn World, scan: &Scan<'_>) -> Plan {
    let mut draft = Draft::new(call, world);
    match fill(&mut draft, scan) {
        Ok(()) => draft.step(StepKind::Assemble, ENVIRONMENT),
        Err(reason) => Plan::Here(reason),
    }
}

fn fill(draft: &mut Draft<'_>, scan: &Scan<'_>) -> Result<(), Reason> {
    let args = draft.arguments()?;
    let assembly = parse(&args)?;
    if draft.call.var("AS_SECURE_LOG_FILE").is_some() {
        return Err(Reason::Unsealable("the variable AS_SECURE_LOG_FILE".to_owned()));
    }
    if assembly.sources.is_empty() {
        return Err(Reason::Stdin);
    }
    for source in &assembly.sources {
        draft.input(source)?;
    }
    let directories = assembly.include_dirs.iter().map(|directory| draft.call.absolute(directory));
    draft.reads.extend(directories.map(Read::Directory));
    draft.reads.extend(scan(&assembly, &draft.call.cwd, draft.world)?);
    let outputs = [("d", &assembly.dependency_file), ("lst", &assembly.listing)];
    let output = draft.output("o", assembly.output.as_deref().unwrap_or(OsStr::new("a.out")), false)?;
    draft.outline(&output, Some(Outline::Object).filter(|_| !outline::is_named_as_object(&output)));
    for (tag, name) in outputs {
        if let Some(name) = name {
            draft.output(tag, name, false)?;
        }
    }
    Ok(())
}

/// The files that the sources name by `.include` and `.incbin`, and by `.file` where a listing shows them; whether a
/// conditional hides the directive is not asked. As looks in the working directory, then in those of `-I`.
///
/// # Errors
/// [`Reason::Includes`] when a macro's argument is part of a name.
pub fn includes(assembly: &Assembly, cwd: &Path, world: &dyn World) -> Result<Vec<Read>, Reason> {
    let mut pending: Vec<PathBuf> = assembly.sources.iter().map(|name| cwd.join(name)).collect();
    let mut found: Vec<PathBuf> = Vec::new();
    while let Some(path) = pending.pop() {
        let Ok(content) = world.read(&path) else { continue };
        for (directive, name) in directives(&content) {
            if directive == Directive::File && !assembly.lists_sources {
                continue;
            }
            if directive != Directive::File && name.contains(&b'\\') {
                return Err(Reason::Includes(format!("{} names a file by a macro", path.display())));
            }
            let name = OsStr::from_bytes(name);
            let places = std::iter::once(OsStr::new("")).chain(assembly.include_dirs.iter().map(OsString::as_os_str));
            let hit = places.map(|place| cwd.join(place).join(name)).find(|p| world.kind(p) == Some(FileKind::File));
            if let Some(hit) = hit.filter(|hit| !found.contains(hit)) {
                if directive == Directive::Include {
                    pending.push(hit.clone());
                }
                found.push(hit);
            }
        }
    }
    Ok(found.into_iter().map(Read::File).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directive {
    Include,
    Incbin,
    File,
}

/// The directives of a source that name files, with the name in quotes; several may stand on a line.
fn directives(content: &[u8]) -> Vec<(Directive, &[u8])> {
    const NAMES: &[(&[u8], Directive)] =
        &[(b".include", Directive::Include), (b".incbin", Directive::Incbin), (b".file", Directive::File)];
    let mut out = Vec::new();
    for line in content.split(|&byte| byte == b'\n') {
        for at in line.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at) {
            for &(name, directive) in NAMES {
                let Some(word) = line.get(at..at + name.len()).filter(|word| word.eq_ignore_ascii_case(name)) else {
                    continue;
                };
                let rest = &line[at + word.len()..];
                let mut quoted = rest.splitn(3, |&byte| byte == b'"');
                let before = quoted.next().unwrap_or_default();
                let fits = before.iter().all(|&byte| byte.is_ascii_whitespace() || byte.is_ascii_digit());
                match quoted.next() {
                    Some(name) if fits => out.push((directive, name)),
                    _ => {}
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryWorld;
    use crate::args::Operand;
    use crate::binutils::testing::{Scratch, call, shown};

    fn world() -> MemoryWorld {
        MemoryWorld::new()
            .with("/w/a.s", "\t.include \"one.inc\"\n x: .incbin \"blob\",4\n.INCLUDE \"none.inc\"\n.file 1 \"a.c\"\n")
            .with("/w/b.s", "nop")
            .with("/w/macro.s", ".macro m n\n.incbin \"\\n\"\n.endm\n")
            .with("/w/inc/one.inc", ".include \"two.inc\"")
            .with("/w/two.inc", "")
            .with("/w/blob", "")
            .with("/w/inc/blob", "")
            .with("/w/a.c", "")
            .with("/w/args", "b.s -o b.o")
    }

    fn planned(argv: &[&str]) -> String {
        shown(plan(&call(argv, Path::new("/w")), &world(), &includes), Path::new("/w"))
    }

    #[test]
    fn every_row_of_the_table() {
        for (spelling, meaning, operand) in TABLE.rows() {
            let spelling = std::str::from_utf8(spelling).unwrap().to_owned();
            let option = match operand {
                Operand::Joined => format!("{spelling}x"),
                Operand::Equals => format!("{spelling}=x"),
                _ => spelling.clone(),
            };
            let mut argv = vec!["as", &option];
            if matches!(operand, Operand::Either | Operand::Long | Operand::Separate) {
                argv.push("x");
            }
            argv.push("b.s");
            let expected = match meaning {
                Meaning::Flag | Meaning::Include | Meaning::Listing | Meaning::MaybeQuery => {
                    "b.s -> o=a.out".to_owned()
                }
                Meaning::Output => "b.s -> o=x".to_owned(),
                Meaning::Dependencies => "b.s -> o=a.out d=x".to_owned(),
                Meaning::Query => format!("Query({spelling:?})"),
            };
            assert_eq!(planned(&argv), expected, "{argv:?}");
        }
    }

    #[test]
    fn forms() {
        for (line, expected) in [
            ("as --64 -Iinc a.s -o a.o", "a.s blob inc/one.inc two.inc -> o=a.o"),
            ("as -I inc -alh=a.lst -g a.s -o a.o", "a.c a.s blob inc/one.inc two.inc -> o=a.o lst=a.lst"),
            ("as -aln=a.lst b.s", "b.s -> o=a.out lst=a.lst"),
            ("as a.s b.s -o x.o --MD x.d", "a.s b.s blob -> o=x.o d=x.d"),
            ("as -march=armv7-a -mfpu=neon b.s -ob.o", "b.s -> o=b.o"),
            ("as --defsym X=1 --gdwarf-5 b.s", "b.s -> o=a.out"),
            ("as @args", "args b.s -> o=b.o"),
            ("as macro.s", "Includes(\"/w/macro.s names a file by a macro\")"),
            ("as -o x.o", "Stdin"),
            ("as -", "Stdin"),
            ("as -V", "Query(\"-V\")"),
            ("as b.s -o /dev/null", "Device(\"/dev/null\")"),
            ("as none.s", "MissingInput(\"/w/none.s\")"),
            ("as -azz b.s", "UnknownOption(\"-azz\")"),
            ("as --what b.s", "UnknownOption(\"--what\")"),
        ] {
            assert_eq!(planned(&line.split(' ').collect::<Vec<_>>()), expected, "{line}");
        }
    }

    #[test]
    fn the_real_as_accepts_what_the_table_says() {
        let scratch = Scratch::new();
        scratch.file("a.s", "nop\n");
        scratch.run(&["as", "--64", "-alhn=a.lst", "--MD", "a.d", "-I", "x", "-Iy", "-mtune=k8", "-o", "a.o", "a.s"]);
        for file in ["a.o", "a.d", "a.lst"] {
            assert!(scratch.path(file).exists(), "{file}");
        }
    }
}
