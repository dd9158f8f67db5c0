//! `objcopy`, `llvm-objcopy`: one file to another or in place, with sections from and to files (GNU binutils manual,
//! "objcopy").

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::LazyLock;

use super::ar::Archiver;
use super::draft::Draft;
use super::strip;
use crate::args::{Item, Syntax, Table, meanings};
use crate::{Call, Plan, Reason, StepKind, World};

/// The variables that `objcopy` looks at, beside those of every tool.
pub const ENVIRONMENT: &[&str] = strip::ENVIRONMENT;

meanings! {
    enum Meaning {
        Flag = "flag",
        /// The output's format; with `-F` the input's too.
        Format = "format",
        /// The input's format.
        InputFormat = "input-format",
        /// The operand is a file that is read.
        Read = "read",
        /// `section=file`, read.
        ReadPair = "read-pair",
        /// `section=file`, written.
        WritePair = "write-pair",
        /// The operand is a file that is written.
        Write = "write",
        Times = "times",
        Query = "query",
    }
}

// The table is part of the program and a test parses it.
static TABLE: LazyLock<Table<Meaning>> = LazyLock::new(|| {
    Table::parse(include_str!("options/objcopy.txt"), Syntax { clusters: true, terminator: true, ..Syntax::default() })
        .unwrap_or_else(|error| panic!("models/binutils/options/objcopy.txt: {error}"))
});

/// Options with an operand that take away from a file, or add what only debuggers look for.
const TAKES_AWAY: &[&str] = &[
    "-R",
    "--remove-section",
    "-N",
    "--strip-symbol",
    "-K",
    "--keep-symbol",
    "--keep-symbols",
    "--strip-symbols",
    "--add-gnu-debuglink",
    "--compress-debug-sections",
];

/// The plan for a call of `objcopy`.
pub fn plan(archiver: &Archiver, call: &Call, world: &dyn World) -> Plan {
    let mut draft = Draft::new(call, world);
    match fill(archiver, &mut draft) {
        Ok(()) => draft.step(StepKind::Strip, ENVIRONMENT),
        Err(reason) => Plan::Here(reason),
    }
}

fn fill(archiver: &Archiver, draft: &mut Draft<'_>) -> Result<(), Reason> {
    let args = draft.arguments()?;
    let mut files = Vec::new();
    let mut written = Vec::new();
    let mut formats = strip::Formats::default();
    let (mut explicit, mut only_less) = (false, true);
    for item in TABLE.split(&args)? {
        let (meaning, spelling, value) = match item {
            Item::Operand(name) => {
                files.push(name);
                continue;
            }
            Item::Option { meaning, spelling, value } => {
                only_less &= value.is_none() || TAKES_AWAY.contains(&&*spelling);
                (meaning, spelling, value.unwrap_or_default())
            }
        };
        match meaning {
            Meaning::Format => formats.set(&spelling, Some(value)),
            Meaning::InputFormat => formats.input = Some(value),
            Meaning::Flag => explicit |= strip::is_deterministic_flag(&spelling),
            Meaning::Read => {
                draft.input(&value)?;
            }
            Meaning::ReadPair => {
                draft.input(after_equals(&value)?)?;
            }
            Meaning::WritePair => written.push(after_equals(&value)?.to_owned()),
            Meaning::Write => written.push(value),
            Meaning::Times => return Err(Reason::Unsealable("the times of its inputs".to_owned())),
            Meaning::Query => return Err(Reason::Query(spelling)),
        }
    }
    let how = strip::How { explicit, only_less };
    match files.as_slice() {
        [] => return Err(Reason::NoInput),
        [file] => strip::in_place(archiver, draft, file, &how)?,
        [input, output] => strip::copy(archiver, draft, input, output, &formats, &how)?,
        _ => return Err(Reason::Malformed("more than two files".to_owned())),
    }
    for name in written {
        draft.output("side", &name, false)?;
    }
    Ok(())
}

/// The file of `section=file`.
fn after_equals(value: &OsString) -> Result<&OsStr, Reason> {
    let bytes = value.as_bytes();
    let at = bytes.iter().position(|&byte| byte == b'=');
    at.map(|at| OsStr::from_bytes(&bytes[at + 1..]))
        .ok_or_else(|| Reason::Malformed(format!("{} without a file", value.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryWorld;
    use crate::args::Operand;
    use crate::binutils::testing::{Scratch, call, shown, step};
    use std::path::Path;

    fn planned(argv: &[&str]) -> String {
        let world = MemoryWorld::new().with("/w/a", "\x7fELF").with("/w/f", "").with("/w/args", "-S a c");
        shown(plan(&Archiver::default(), &call(argv, Path::new("/w")), &world), Path::new("/w"))
    }

    #[test]
    fn every_row_of_the_table() {
        for (spelling, meaning, operand) in TABLE.rows() {
            let spelling = std::str::from_utf8(spelling).unwrap();
            let mut argv = vec!["objcopy", spelling];
            let value = if matches!(meaning, Meaning::ReadPair | Meaning::WritePair) { ".x=f" } else { "f" };
            if matches!(operand, Operand::Either | Operand::Long) {
                argv.push(value);
            }
            argv.extend(["a", "c"]);
            let expected = match meaning {
                Meaning::Flag | Meaning::Format | Meaning::InputFormat => "a -> out=c".to_owned(),
                Meaning::Read | Meaning::ReadPair => "a f -> out=c".to_owned(),
                Meaning::Write | Meaning::WritePair => "a -> out=c side=f".to_owned(),
                Meaning::Times => "Unsealable(\"the times of its inputs\")".to_owned(),
                Meaning::Query => format!("Query({spelling:?})"),
            };
            assert_eq!(planned(&argv), expected, "{argv:?}");
        }
    }

    #[test]
    fn forms() {
        for (line, expected) in [
            ("objcopy a", "a -> out=a"),
            ("objcopy -O binary -R .note -S a c", "a -> out=c"),
            ("objcopy -I binary -O elf64-x86-64 -B i386 f c", "f -> out=c"),
            ("objcopy --add-section .x=f --set-section-flags .x=noload a", "a f -> out=a"),
            ("objcopy --add-section=.x=/dev/null a c", "a -> out=c"),
            ("objcopy --dump-section .a=1 --dump-section .b=2 a", "a -> out=a side=1 side2=2"),
            ("objcopy --dump-section .a=1 a /dev/null", "Device(\"/dev/null\")"),
            ("objcopy --add-gnu-debuglink=none a", "MissingInput(\"/w/none\")"),
            ("objcopy --add-section .x a", "Malformed(\".x without a file\")"),
            ("objcopy --compress-debug-sections=zlib -i4 a c", "a -> out=c"),
            ("objcopy @args", "a args -> out=c"),
            ("objcopy", "NoInput"),
            ("objcopy a b c", "Malformed(\"more than two files\")"),
            ("objcopy --what a", "UnknownOption(\"--what\")"),
        ] {
            assert_eq!(planned(&line.split(' ').collect::<Vec<_>>()), expected, "{line}");
        }
    }

    #[test]
    fn modes_are_those_of_the_real_objcopy() {
        let scratch = Scratch::new();
        scratch.object("a.o", "int main(void) { return 0; }");
        scratch.run(&["gcc", "a.o", "-o", "a"]);
        scratch.run(&["gcc", "-no-pie", "a.o", "-o", "fixed"]);
        for argv in [
            &["objcopy", "a", "x"][..],
            &["objcopy", "--output-target=binary", "fixed", "fixed.bin"],
            &["objcopy", "-I", "binary", "-O", "elf64-x86-64", "a", "blob.o"],
            &["llvm-objcopy", "-O", "binary", "a", "llvm.bin"],
            &["objcopy", "-O", "binary", "a", "x.bin"],
            &["objcopy", "--dump-section", ".text=text", "a.o"],
            &["objcopy", "--only-keep-debug", "a", "a.debug"],
        ] {
            let step = step(plan(&Archiver::default(), &scratch.call(argv), &scratch));
            scratch.run(argv);
            for write in step.writes {
                assert_eq!(write.executable, scratch.executable(&write.path), "{argv:?} {}", write.tag);
            }
        }
    }
}
