//! `ar`, `gcc-ar`, `llvm-ar`: writing operations become steps, reading ones run here (GNU binutils manual, "ar").

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use super::archive::{self, Kind};
use super::draft::Draft;
use super::outline::{Outline, Thin};
use crate::args::{Item, Syntax, Table, meanings};
use crate::driver::environment;
use crate::{Call, Environment, FileKind, Plan, Read, Reason, StepKind, World};

/// The variables that archivers look at, beside those of every tool.
pub const ENVIRONMENT: &[&str] = &["COLLECT_GCC", "COMPILER_PATH", "GCC_EXEC_PREFIX", "GNUTARGET", "SOURCE_DATE_EPOCH"];

meanings! {
    enum Meaning {
        Flag = "flag",
        Thin = "thin",
        OutputDirectory = "output-dir",
        Plugin = "plugin",
        Query = "query",
        Refused = "refused",
    }
}

// The table is part of the program and a test parses it.
static TABLE: LazyLock<Table<Meaning>> = LazyLock::new(|| {
    Table::parse(include_str!("options/ar.txt"), Syntax::default())
        .unwrap_or_else(|error| panic!("models/binutils/options/ar.txt: {error}"))
});

/// What a letter of the operation means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    /// Writes, with the archive and members as operands.
    Write,
    /// Only writes the index unless there is another operation.
    Index,
    /// Prints or extracts.
    Read,
    /// Changes nothing that is read or written.
    Plain,
    /// A member's name precedes the archive's.
    Position,
    /// A number precedes the archive's name.
    Count,
    /// Real times and owners.
    Real,
    /// No times and owners.
    Deterministic,
    /// Only members that are newer.
    Newer,
    /// A thin archive.
    Thin,
    /// GNU: the next argument is text; LLVM: ignored.
    Dependencies,
    /// LLVM: the members are archives whose members are taken.
    Flatten,
    /// MRI script.
    Script,
    /// Asks for the version.
    Query,
}

/// The letters, operations and modifiers alike.
const LETTERS: &[(u8, Letter)] = &[
    (b'r', Letter::Write),
    (b'q', Letter::Write),
    (b'd', Letter::Write),
    (b'm', Letter::Write),
    (b's', Letter::Index),
    (b't', Letter::Read),
    (b'p', Letter::Read),
    (b'x', Letter::Read),
    (b'a', Letter::Position),
    (b'b', Letter::Position),
    (b'i', Letter::Position),
    (b'N', Letter::Count),
    (b'c', Letter::Plain),
    (b'f', Letter::Plain),
    (b'o', Letter::Plain),
    (b'O', Letter::Plain),
    (b'P', Letter::Plain),
    (b'S', Letter::Plain),
    (b'v', Letter::Plain),
    (b'D', Letter::Deterministic),
    (b'U', Letter::Real),
    (b'u', Letter::Newer),
    (b'T', Letter::Thin),
    (b'l', Letter::Dependencies),
    (b'L', Letter::Flatten),
    (b'M', Letter::Script),
    (b'V', Letter::Query),
    (b'h', Letter::Query),
];

/// What is known of the installed archivers. One for a session.
#[derive(Debug, Default)]
pub struct Archiver {
    deterministic: Mutex<HashMap<PathBuf, bool>>,
    pub(super) thin: archive::ThinSeen,
}

impl Archiver {
    /// Whether the archiver leaves times and owners out unless told otherwise; asked once.
    pub(super) fn is_deterministic(&self, call: &Call, world: &dyn World) -> bool {
        let mut known = self.deterministic.lock().unwrap_or_else(PoisonError::into_inner);
        *known
            .entry(call.tool.clone())
            .or_insert_with(|| says_deterministic(&call.tool, &environment::of_query(&call.env), world))
    }
}

/// Reads `--help` of ar, ranlib or strip: what it says of `[D]` or `-D`, before it comes to `U`, ends in `(default)`.
fn says_deterministic(tool: &Path, env: &Environment, world: &dyn World) -> bool {
    let argv = [tool.as_os_str().to_owned(), "--help".into()];
    let Ok(answer) = world.ask_once(&argv, Path::new("/"), env, &|_| Some(Vec::new())) else { return false };
    let text = String::from_utf8_lossy(&answer.stdout).into_owned() + &String::from_utf8_lossy(&answer.stderr);
    let deterministic = ["[D]", "-D "].iter().find_map(|option| text.split_once(option));
    let description = deterministic.map_or("", |(_, rest)| rest);
    let end = ["[U]", "-U "].iter().filter_map(|option| description.find(option)).min().unwrap_or(description.len());
    description[..end].contains("(default)")
}

/// A command line, parsed.
#[derive(Debug, Default)]
struct Command {
    letters: Vec<Letter>,
    operation: Option<u8>,
    thin: bool,
    plugin: Option<OsString>,
    archive: OsString,
    members: Vec<OsString>,
}

impl Command {
    fn has(&self, letter: Letter) -> bool {
        self.letters.contains(&letter)
    }

    fn letters(&mut self, word: &[u8]) -> Result<(), Reason> {
        for &byte in word {
            let Some(&(_, letter)) = LETTERS.iter().find(|(known, _)| *known == byte) else {
                return Err(Reason::UnknownOption(String::from_utf8_lossy(word).into_owned()));
            };
            if matches!(letter, Letter::Write | Letter::Read) {
                if self.operation.is_some_and(|operation| operation != byte) {
                    return Err(Reason::Malformed("two operations".to_owned()));
                }
                self.operation = Some(byte);
            }
            self.letters.push(letter);
        }
        Ok(())
    }

    /// Parses arguments with response files expanded.
    fn parse(args: &[OsString], llvm: bool) -> Result<Self, Reason> {
        let mut command = Self::default();
        let mut operands = Vec::new();
        let mut rest = args.iter();
        // GNU ar takes letters with a dash anywhere, and without one as the first argument only.
        while let Some(arg) = rest.next() {
            let bytes = arg.as_bytes();
            if bytes.starts_with(b"--") || bytes.starts_with(b"-X") {
                let takes_next = TABLE.rows().any(|(spelling, meaning, operand)| {
                    spelling == bytes && meaning != Meaning::Query && operand == crate::args::Operand::Long
                });
                let next = takes_next.then(|| rest.next().cloned()).flatten();
                let words: Vec<OsString> = std::iter::once(arg.clone()).chain(next).collect();
                for item in TABLE.split(&words)? {
                    command.long(item)?;
                }
            } else if let Some(letters) = bytes.strip_prefix(b"-").filter(|letters| !letters.is_empty()) {
                command.letters(letters)?;
            } else if command.letters.is_empty() && operands.is_empty() {
                command.letters(bytes)?;
            } else {
                operands.push(arg.clone());
            }
        }
        command.operands(operands, llvm)?;
        Ok(command)
    }

    fn long(&mut self, item: Item<Meaning>) -> Result<(), Reason> {
        match item {
            Item::Option { meaning: Meaning::Thin, .. } => self.thin = true,
            Item::Option { meaning: Meaning::Plugin, value, .. } => self.plugin = value,
            Item::Option { meaning: Meaning::Query, spelling, .. } => return Err(Reason::Query(spelling)),
            Item::Option { meaning: Meaning::Refused, spelling, .. } => return Err(Reason::UnknownOption(spelling)),
            // The directory matters only to extraction, which runs here.
            Item::Option { meaning: Meaning::Flag | Meaning::OutputDirectory, .. } => {}
            Item::Operand(operand) => return Err(Reason::UnknownOption(operand.to_string_lossy().into_owned())),
        }
        Ok(())
    }

    fn operands(&mut self, operands: Vec<OsString>, llvm: bool) -> Result<(), Reason> {
        let mut operands = operands.into_iter();
        if self.has(Letter::Query) {
            return Err(Reason::Query("-V".to_owned()));
        }
        if self.has(Letter::Script) {
            return Err(Reason::Stdin);
        }
        // What `l` takes changed: nothing until binutils 2.35, text since.
        if self.has(Letter::Dependencies) && !llvm {
            return Err(Reason::UnknownOption("l".to_owned()));
        }
        for letter in [Letter::Position, Letter::Count] {
            if self.has(letter) {
                operands.next().ok_or(Reason::NoInput)?;
            }
        }
        self.archive = operands.next().ok_or(Reason::NoInput)?;
        self.members = operands.collect();
        Ok(())
    }
}

/// The plan for a call of `ar`.
pub fn plan(archiver: &Archiver, call: &Call, world: &dyn World) -> Plan {
    let mut draft = Draft::new(call, world);
    match fill(archiver, &mut draft) {
        Ok(()) => draft.step(StepKind::Archive, ENVIRONMENT),
        Err(reason) => Plan::Here(reason),
    }
}

fn fill(archiver: &Archiver, draft: &mut Draft<'_>) -> Result<(), Reason> {
    let (call, world) = (draft.call, draft.world);
    let llvm = super::is_llvm(&call.tool);
    let args = draft.arguments()?;
    let command = Command::parse(&args, llvm)?;
    let writes = match command.operation {
        Some(operation) if command.has(Letter::Read) => {
            return Err(Reason::Reads(format!("ar {}", char::from(operation))));
        }
        Some(operation) => operation,
        None if command.has(Letter::Index) => b's',
        None => return Err(Reason::Malformed("no operation".to_owned())),
    };
    if command.has(Letter::Real) && (writes != b's' || llvm) {
        return Err(Reason::Unsealable("the times of the files it archives".to_owned()));
    }
    if command.has(Letter::Flatten) {
        return Err(Reason::UnknownOption("L".to_owned()));
    }
    if !command.has(Letter::Deterministic) && !archiver.is_deterministic(call, world) {
        return Err(Reason::Unsealable("the times and owners of the files it archives".to_owned()));
    }
    let path = call.absolute(&command.archive);
    let existing = match world.kind(&path) {
        Some(FileKind::File) => true,
        None => false,
        _ => return Err(Reason::Device(path.to_string_lossy().into_owned())),
    };
    let asked = command.thin || command.has(Letter::Thin);
    let was = if existing { archive::kind(&path, world) } else { None };
    // What is thin stays so, and what is not cannot become it.
    let thin = asked || was == Some(Kind::Thin);
    if thin {
        archiver.thin.set();
    }
    // A thin archive has a tag of its own, by which a later session knows its placeholder.
    let tag = if thin { "thin" } else { "out" };
    let mut all = Vec::new();
    if existing {
        draft.in_place(tag, &command.archive)?;
        all.extend(archive::members_if_thin(&path, world, &archiver.thin));
    } else if writes == b'r' || writes == b'q' {
        draft.output(tag, &command.archive, false)?;
    } else {
        return Err(Reason::MissingInput(path));
    }
    // GNU ar ignores `u` where it leaves times out; llvm-ar compares the files' times with those in the archive.
    if command.has(Letter::Newer) && existing && llvm {
        return Err(Reason::Unsealable("the times of the files it archives".to_owned()));
    }
    if writes == b'r' || writes == b'q' {
        for member in &command.members {
            let member = draft.input(member)?;
            // An archive put into a thin archive is replaced by its members.
            if thin {
                all.extend(archive::members_if_thin(&member, world, &archiver.thin));
                all.push(member);
            }
        }
    }
    draft.reads.extend(all.iter().cloned().map(Read::File));
    let outline = match was {
        _ if thin => Thin::new(&path, all, world).map(Outline::Thin),
        Some(Kind::Regular) => Some(Outline::Archive),
        _ => (!existing).then_some(Outline::Archive),
    };
    draft.outline(&path, outline);
    if let Some(plugin) = &command.plugin {
        draft.input(plugin)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryWorld;
    use crate::binutils::testing::{Scratch, call, reason, shown};
    use crate::{Answer, Write};

    const CWD: &str = "/w";

    fn world() -> MemoryWorld {
        let mut world = MemoryWorld::new()
            .with("/w/a.o", "")
            .with("/w/b.o", "")
            .with("/w/old.a", "!<arch>\n")
            .with("/w/args", "new.a a.o")
            .with("/w/p.so", "")
            .with("/w/thin.a", "!<thin>\na.o/            0           0     0     644     8         `\n");
        let help = Answer {
            success: true,
            stdout: b"  [D]  - use zero for timestamps (default)\n".into(),
            stderr: Vec::new(),
        };
        for tool in ["/usr/bin/ar", "/usr/bin/llvm-ar", "/usr/bin/gcc-ar"] {
            world.answers.insert(vec![tool.into(), "--help".into()], help.clone());
        }
        world
    }

    fn planned(line: &str) -> String {
        let argv: Vec<&str> = line.split(' ').collect();
        shown(plan(&Archiver::default(), &call(&argv, Path::new(CWD)), &world()), Path::new(CWD))
    }

    #[test]
    fn writing() {
        for (line, expected) in [
            ("ar rc new.a a.o b.o", "a.o b.o -> out=new.a"),
            ("ar -rcs new.a a.o", "a.o -> out=new.a"),
            ("ar cru old.a a.o", "a.o old.a -> out=old.a"),
            ("ar -r -c -s new.a a.o", "a.o -> out=new.a"),
            ("ar qcSvfP new.a a.o", "a.o -> out=new.a"),
            ("ar rcD new.a a.o", "a.o -> out=new.a"),
            ("ar d old.a x.o", "old.a -> out=old.a"),
            ("ar m old.a x.o", "old.a -> out=old.a"),
            ("ar s old.a", "old.a -> out=old.a"),
            ("ar sU old.a", "old.a -> out=old.a"),
            ("ar rb x.o old.a a.o", "a.o old.a -> out=old.a"),
            ("ar ra x.o old.a a.o", "a.o old.a -> out=old.a"),
            ("ar ri x.o old.a a.o", "a.o old.a -> out=old.a"),
            ("ar dN 2 old.a a.o", "old.a -> out=old.a"),
            ("ar rcl new.a a.o", "UnknownOption(\"l\")"),
            ("llvm-ar rcl new.a a.o", "a.o -> out=new.a"),
            ("ar --plugin p.so rc new.a a.o", "a.o p.so -> out=new.a"),
            ("ar --plugin=p.so rc new.a a.o", "a.o p.so -> out=new.a"),
            ("ar --target=elf64-x86-64 rc new.a a.o", "a.o -> out=new.a"),
            ("ar --record-libdeps=-lm -rc new.a a.o", "a.o -> out=new.a"),
            ("ar --output=dir -rc new.a a.o", "a.o -> out=new.a"),
            ("llvm-ar --format=gnu rc new.a a.o", "a.o -> out=new.a"),
            ("ar -X32_64 rc new.a a.o", "a.o -> out=new.a"),
            ("ar rc @args", "a.o args -> out=new.a"),
            ("gcc-ar rc new.a", " -> out=new.a"),
            ("ar rcT t.a a.o", "a.o -> thin=t.a"),
            ("ar --thin -rc t.a a.o", "a.o -> thin=t.a"),
            ("ar rcT t.a thin.a", "a.o thin.a -> thin=t.a"),
            ("llvm-ar rcu new.a a.o", "a.o -> out=new.a"),
        ] {
            assert_eq!(planned(line), expected, "{line}");
        }
    }

    #[test]
    fn here() {
        for (line, expected) in [
            ("ar t old.a", "Reads(\"ar t\")"),
            ("ar -p old.a a.o", "Reads(\"ar p\")"),
            ("ar xo old.a", "Reads(\"ar x\")"),
            ("ar tO old.a", "Reads(\"ar t\")"),
            ("ar -M", "Stdin"),
            ("ar -V", "Query(\"-V\")"),
            ("ar h", "Query(\"-V\")"),
            ("ar --version", "Query(\"--version\")"),
            ("ar --help", "Query(\"--help\")"),
            ("ar rcU new.a a.o", "Unsealable(\"the times of the files it archives\")"),
            ("llvm-ar ru old.a a.o", "Unsealable(\"the times of the files it archives\")"),
            ("llvm-ar rcL new.a old.a", "UnknownOption(\"L\")"),
            ("ar rc new.a none.o", "MissingInput(\"/w/none.o\")"),
            ("ar d none.a a.o", "MissingInput(\"/w/none.a\")"),
            ("ar s none.a", "MissingInput(\"/w/none.a\")"),
            ("ar --odd rc new.a", "UnknownOption(\"--odd\")"),
            ("ar --rsp-quoting windows rc new.a", "UnknownOption(\"--rsp-quoting\")"),
            ("ar rk new.a", "UnknownOption(\"rk\")"),
            ("ar rd new.a a.o", "Malformed(\"two operations\")"),
            ("ar c new.a a.o", "Malformed(\"no operation\")"),
            ("ar r", "NoInput"),
        ] {
            assert_eq!(planned(line), expected, "{line}");
        }
    }

    #[test]
    fn no_letter_stands_twice() {
        let letters: std::collections::BTreeSet<u8> = LETTERS.iter().map(|(letter, _)| *letter).collect();
        assert_eq!(letters.len(), LETTERS.len());
    }

    #[test]
    fn without_the_deterministic_default_plain_calls_run_here() {
        let mut world = world();
        let help = Answer { success: true, stdout: b"  [D]  - use zero\n  [U] - (default)".into(), stderr: Vec::new() };
        world.answers.insert(vec!["/usr/bin/ar".into(), "--help".into()], help);
        let cwd = Path::new(CWD);
        let archiver = Archiver::default();
        let here = reason(plan(&archiver, &call(&["ar", "rc", "new.a", "a.o"], cwd), &world));
        assert!(matches!(here, Reason::Unsealable(_)));
        let argv = ["ar", "rcD", "new.a", "a.o"];
        assert_eq!(shown(plan(&archiver, &call(&argv, cwd), &world), cwd), "a.o -> out=new.a");
    }

    #[test]
    fn the_real_ar_and_an_archive_with_a_mode() {
        let scratch = Scratch::new();
        scratch.object("a.o", "int f;");
        scratch.run(&["ar", "rc", "a.a", "a.o"]);
        scratch.run(&["chmod", "+x", "a.a"]);
        let step = crate::binutils::testing::step(plan(
            &Archiver::default(),
            &scratch.call(&["ar", "r", "a.a", "a.o"]),
            &scratch,
        ));
        let (path, outline) = (scratch.path("a.a"), Some(Outline::Archive.encode()));
        assert_eq!(step.writes, [Write { tag: "out".into(), path, executable: true, optional: false, outline }]);
        assert_eq!(step.env.get(std::ffi::OsStr::new("PATH")), Some(&"/usr/bin:/bin".into()));
    }

    #[test]
    fn an_existing_thin_archive_needs_its_members() {
        let scratch = Scratch::new();
        scratch.object("a.o", "int f;");
        scratch.run(&["ar", "rcT", "a.a", "a.o"]);
        let planned = plan(&Archiver::default(), &scratch.call(&["ar", "s", "a.a"]), &scratch);
        assert_eq!(shown(planned, &scratch.path("")), "a.a a.o -> thin=a.a");
    }

    #[test]
    fn what_is_known_of_archives_before_they_exist() {
        let cwd = Path::new(CWD);
        let outlined = |line: &str, world: &MemoryWorld| {
            let argv: Vec<&str> = line.split(' ').collect();
            let step = crate::binutils::testing::step(plan(&Archiver::default(), &call(&argv, cwd), world));
            let outline = step.writes[0].outline.clone();
            outline.map(|bytes| Outline::decode(&bytes).unwrap())
        };
        let path = |name: &str| cwd.join(name);
        let thin = |members: &[&str]| {
            let members = members.iter().map(|name| path(name)).collect();
            Some(Outline::Thin(Thin { directory: cwd.into(), members }))
        };
        let inner = thin(&["a.o"]).unwrap().encode();
        let mut world = MemoryWorld::new()
            .with(path("a.o"), "")
            .with(path("b.o"), "")
            .with(path("real.a"), "!<arch>\n")
            .with(path("text.a"), "what?")
            .with_placeholder(path("unknown.a"), None)
            .with_placeholder(path("regular.a"), Some(&Outline::Archive.encode()))
            .with_placeholder(path("thin.a"), Some(&inner))
            .with_placeholder(path("else/thin.a"), Some(&inner));
        world.answers = self::world().answers;
        for (line, expected) in [
            ("ar rc new.a a.o", Some(Outline::Archive)),
            ("ar r real.a a.o", Some(Outline::Archive)),
            ("ar r regular.a a.o", Some(Outline::Archive)),
            ("ar r unknown.a a.o", None),
            ("ar r text.a a.o", None),
            ("ar rcT new.a a.o b.o", thin(&["a.o", "b.o"])),
            ("ar rcT new.a thin.a b.o", thin(&["a.o", "thin.a", "b.o"])),
            ("ar r thin.a b.o", thin(&["a.o", "b.o"])),
            ("ar s thin.a", thin(&["a.o"])),
        ] {
            assert_eq!(outlined(line, &world), expected, "{line}");
        }
        // Moved: its members' names begin where it lies now.
        let forced = std::panic::AssertUnwindSafe(|| outlined("ar s else/thin.a", &world));
        assert!(std::panic::catch_unwind(forced).is_err());
    }
}
