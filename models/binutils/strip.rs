//! `strip`, `llvm-strip`: in place, or one file to another (GNU binutils manual, "strip").

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::LazyLock;

use super::ar::Archiver;
use super::archive;
use super::draft::Draft;
use super::outline::Outline;
use crate::args::{Item, Syntax, Table, meanings};
use crate::{Call, Plan, Reason, StepKind, World};

/// The variables that `strip` and `objcopy` look at, beside those of every tool.
pub const ENVIRONMENT: &[&str] = &["GNUTARGET", "SOURCE_DATE_EPOCH"];

meanings! {
    enum Meaning {
        Flag = "flag",
        Output = "output",
        /// The output's format; with `-F` the input's too.
        Format = "format",
        /// The input's format.
        InputFormat = "input-format",
        Times = "times",
        Query = "query",
    }
}

// The table is part of the program and a test parses it.
static TABLE: LazyLock<Table<Meaning>> = LazyLock::new(|| {
    Table::parse(include_str!("options/strip.txt"), Syntax { clusters: true, terminator: true, ..Syntax::default() })
        .unwrap_or_else(|error| panic!("models/binutils/options/strip.txt: {error}"))
});

/// The plan for a call of `strip`.
pub fn plan(archiver: &Archiver, call: &Call, world: &dyn World) -> Plan {
    let mut draft = Draft::new(call, world);
    match fill(archiver, &mut draft) {
        Ok(()) => draft.step(StepKind::Strip, ENVIRONMENT),
        Err(reason) => Plan::Here(reason),
    }
}

fn fill(archiver: &Archiver, draft: &mut Draft<'_>) -> Result<(), Reason> {
    let args = draft.arguments()?;
    let mut inputs = Vec::new();
    let mut output = None;
    let mut formats = Formats::default();
    let mut explicit = false;
    for item in TABLE.split(&args)? {
        match item {
            Item::Operand(name) => inputs.push(name),
            Item::Option { meaning: Meaning::Output, value, .. } => output = value,
            Item::Option { meaning: Meaning::Times, .. } => {
                return Err(Reason::Unsealable("the times of its inputs".to_owned()));
            }
            Item::Option { meaning: Meaning::Query, spelling, .. } => return Err(Reason::Query(spelling)),
            Item::Option { meaning: Meaning::Format, spelling, value } => formats.set(&spelling, value),
            Item::Option { meaning: Meaning::InputFormat, value, .. } => formats.input = value,
            Item::Option { meaning: Meaning::Flag, spelling, .. } => {
                explicit |= is_deterministic_flag(&spelling);
            }
        }
    }
    let how = How { explicit, only_less: formats.input.is_none() && formats.output.is_none() };
    match (inputs.as_slice(), output) {
        ([], _) => Err(Reason::NoInput),
        ([input], Some(output)) => copy(archiver, draft, input, &output, &formats, &how),
        (_, Some(_)) => Err(Reason::Malformed("-o with several inputs".to_owned())),
        (inputs, None) => inputs.iter().try_for_each(|name| in_place(archiver, draft, name, &how)),
    }
}

/// What the options say of the files' content.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Archives are to have no times.
    pub explicit: bool,
    /// Nothing comes into the file that another planner could look for, but what was there.
    pub only_less: bool,
}

/// What `-I`, `-O` and `-F` name.
#[derive(Debug, Default)]
pub(super) struct Formats {
    pub input: Option<OsString>,
    pub output: Option<OsString>,
}

impl Formats {
    /// Takes the operand of `-O` or `-F`.
    pub fn set(&mut self, spelling: &str, value: Option<OsString>) {
        if matches!(spelling, "-F" | "--target") {
            self.input.clone_from(&value);
        }
        self.output = value;
    }
}

/// Whether an option asks for archives without times.
pub(super) fn is_deterministic_flag(spelling: &str) -> bool {
    matches!(spelling, "-D" | "--enable-deterministic-archives")
}

/// A file changed in place.
pub(super) fn in_place(archiver: &Archiver, draft: &mut Draft<'_>, name: &OsStr, how: &How) -> Result<(), Reason> {
    let path = draft.in_place("out", name)?;
    keep_outline(draft, &path, &path, how);
    check_archive(archiver, draft, &path, how.explicit)
}

/// What is known of a file that is not computed yet is true of it without some symbols and sections, too.
fn keep_outline(draft: &mut Draft<'_>, input: &Path, output: &Path, how: &How) {
    if how.only_less {
        let known = Outline::at(input, draft.world);
        draft.outline(output, known.filter(|outline| !matches!(outline, Outline::Thin(_))));
    }
}

/// A file copied.
pub(super) fn copy(
    archiver: &Archiver,
    draft: &mut Draft<'_>,
    input: &OsStr,
    output: &OsStr,
    formats: &Formats,
    how: &How,
) -> Result<(), Reason> {
    let path = draft.input(input)?;
    let executable = is_executable(draft, &path, formats);
    let output = draft.output("out", output, executable)?;
    keep_outline(draft, &path, &output, how);
    check_archive(archiver, draft, &path, how.explicit)
}

/// Whether a copy is executable. LLVM copies the mode; BFD sets the execute bits (bfd_close, for EXEC_P and DYNAMIC) of
/// what is a program or, in an ELF output, a shared object, whatever the mode of the input. Of a placeholder, which is
/// executable if it was linked, that must be known only where the two differ.
fn is_executable(draft: &Draft<'_>, path: &Path, formats: &Formats) -> bool {
    let mode = draft.world.executable(path);
    if super::is_llvm(&draft.call.tool) {
        return mode;
    }
    if formats.input.as_deref().is_some_and(|format| format == "binary") {
        return false;
    }
    let elf = formats.output.as_deref().is_none_or(|format| format.as_bytes().starts_with(b"elf"));
    let head = match draft.world.head(path, 18) {
        Ok(None) if elf || !mode => return mode,
        Ok(None) => draft.world.read(path).map(|content| content.get(..18).unwrap_or_default().to_vec()),
        Ok(Some(head)) => Ok(head),
        Err(error) => Err(error),
    };
    match head {
        // e_type, whichever the byte order: 2 is ET_EXEC, 3 is ET_DYN.
        Ok(head) if head.starts_with(b"\x7fELF") => {
            let kind = head.get(16..18).unwrap_or_default();
            kind.contains(&2) || (elf && kind.contains(&3))
        }
        Ok(head) => head.starts_with(b"MZ"),
        Err(_) => mode,
    }
}

/// Archives get times where the tool was built so, and thin ones have their members changed.
fn check_archive(archiver: &Archiver, draft: &Draft<'_>, path: &Path, explicit: bool) -> Result<(), Reason> {
    let head = draft.world.head(path, archive::MAGIC.len()).ok().flatten();
    let is_archive = match head {
        Some(head) if head == archive::THIN_MAGIC => {
            return Err(Reason::Unsealable("the members of a thin archive".to_owned()));
        }
        Some(head) => head == archive::MAGIC,
        None => path.extension().is_some_and(|suffix| suffix == "a"),
    };
    if is_archive && !explicit && !archiver.is_deterministic(draft.call, draft.world) {
        return Err(Reason::Unsealable("the times of an archive's members".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Operand;
    use crate::binutils::testing::{Scratch, call, shown, step};
    use crate::{Answer, MemoryWorld};

    fn world() -> MemoryWorld {
        let mut world = MemoryWorld::new()
            .with("/w/a", "\x7fELF")
            .with("/w/b", "\x7fELF")
            .with("/w/a.a", "!<arch>\n")
            .with("/w/thin.a", "!<thin>\n")
            .with("/w/args", "-s a");
        let help = "  -D --enable-deterministic-archives\n     Produce deterministic output (default)\n  -U --disable";
        let help = Answer { success: true, stdout: help.into(), stderr: vec![] };
        world.answers.insert(vec!["/usr/bin/strip".into(), "--help".into()], help);
        world
    }

    fn planned(argv: &[&str]) -> String {
        shown(plan(&Archiver::default(), &call(argv, Path::new("/w")), &world()), Path::new("/w"))
    }

    #[test]
    fn every_flag_of_the_table() {
        for (spelling, meaning, operand) in TABLE.rows() {
            let spelling = std::str::from_utf8(spelling).unwrap();
            let mut argv = vec!["strip", spelling];
            if matches!(operand, Operand::Either | Operand::Long) {
                argv.push("x");
            }
            argv.push("a");
            let expected = match meaning {
                Meaning::Flag | Meaning::Format | Meaning::InputFormat => "a -> out=a".to_owned(),
                Meaning::Output => "a -> out=x".to_owned(),
                Meaning::Times => "Unsealable(\"the times of its inputs\")".to_owned(),
                Meaning::Query => format!("Query({spelling:?})"),
            };
            assert_eq!(planned(&argv), expected, "{argv:?}");
        }
    }

    #[test]
    fn forms() {
        for (line, expected) in [
            ("strip a b", "a b -> out=a out2=b"),
            ("strip -sxo c a", "a -> out=c"),
            ("strip -R .comment -R.note a", "a -> out=a"),
            ("strip --remove-section=.comment a", "a -> out=a"),
            ("strip @args", "a args -> out=a"),
            ("strip -g a.a", "a.a -> out=a.a"),
            ("llvm-strip -g a.a", "Unsealable(\"the times of an archive's members\")"),
            ("llvm-strip -D -g a.a", "a.a -> out=a.a"),
            ("strip -g thin.a", "Unsealable(\"the members of a thin archive\")"),
            ("strip -o c a b", "Malformed(\"-o with several inputs\")"),
            ("strip none", "MissingInput(\"/w/none\")"),
            ("strip", "NoInput"),
            ("strip --what a", "UnknownOption(\"--what\")"),
        ] {
            assert_eq!(planned(&line.split(' ').collect::<Vec<_>>()), expected, "{line}");
        }
    }

    #[test]
    fn a_stripped_library_is_what_it_was() {
        let library = Outline::Shared(crate::binutils::ld::Shared::default());
        let thin = Outline::Thin(crate::binutils::outline::Thin::default());
        let mut all = world()
            .with_placeholder("/w/lib.so", Some(&library.encode()))
            .with_placeholder("/w/lib.a", Some(&Outline::Archive.encode()))
            .with_placeholder("/w/thin", Some(&thin.encode()))
            .with("/w/a", "");
        all.answers = world().answers;
        all.answers.insert(vec!["/usr/bin/objcopy".into(), "--help".into()], Answer::default());
        let known = |line: &str| {
            let argv: Vec<&str> = line.split(' ').collect();
            let call = call(&argv, Path::new("/w"));
            let planned = crate::binutils::Binutils::new().plan(&call, &all).unwrap();
            step(planned).writes[0].outline.as_deref().and_then(Outline::decode)
        };
        for line in [
            "strip lib.so",
            "strip -s -R .comment lib.so -o x.so",
            "objcopy --add-gnu-debuglink=a --strip-debug lib.so",
            "objcopy -S lib.so x.so",
        ] {
            assert_eq!(known(line).as_ref(), Some(&library), "{line}");
        }
        assert_eq!(known("strip -g lib.a"), Some(Outline::Archive));
        for line in [
            "strip a",
            "strip thin",
            "strip -O binary lib.so -o x",
            "objcopy -O binary lib.so x",
            "objcopy --rename-section .x=.dynamic lib.so x",
            "objcopy --update-section .dynamic=a lib.so",
        ] {
            assert_eq!(known(line), None, "{line}");
        }
    }

    #[test]
    fn modes_are_those_of_the_real_strip() {
        let scratch = Scratch::new();
        scratch.object("a.o", "int main(void) { return 0; }");
        scratch.run(&["gcc", "a.o", "-o", "a"]);
        scratch.run(&["cp", "a.o", "x"]);
        scratch.run(&["cp", "a", "notx"]);
        scratch.run(&["chmod", "+x", "x"]);
        scratch.run(&["chmod", "-x", "notx"]);
        for argv in [
            ["strip", "a", "-o", "1"],
            ["strip", "a.o", "-o", "2"],
            ["strip", "x", "-o", "3"],
            ["strip", "notx", "-o", "4"],
        ] {
            let step = step(plan(&Archiver::default(), &scratch.call(&argv), &scratch));
            scratch.run(&argv);
            assert_eq!(step.writes[0].executable, scratch.executable(&step.writes[0].path), "{argv:?}");
        }
    }
}
