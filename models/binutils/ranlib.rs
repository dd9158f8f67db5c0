//! `ranlib`, `gcc-ranlib`, `llvm-ranlib`: archives indexed in place.

use std::sync::LazyLock;

use super::archive::{self, Kind, ThinSeen, members_if_thin};
use super::draft::Draft;
use super::outline::{Outline, Thin};
use crate::args::{Item, Syntax, Table, meanings};
use crate::{Call, Plan, Read, Reason, StepKind, World};

/// The variables that indexers look at, beside those of every tool.
pub const ENVIRONMENT: &[&str] = super::ar::ENVIRONMENT;

meanings! {
    enum Meaning {
        Flag = "flag",
        Plugin = "plugin",
        Query = "query",
        Refused = "refused",
    }
}

// The table is part of the program and a test parses it.
static TABLE: LazyLock<Table<Meaning>> = LazyLock::new(|| {
    Table::parse(include_str!("options/ranlib.txt"), Syntax { clusters: true, terminator: true, ..Syntax::default() })
        .unwrap_or_else(|error| panic!("models/binutils/options/ranlib.txt: {error}"))
});

/// The plan for a call of `ranlib`.
pub fn plan(archiver: &super::ar::Archiver, call: &Call, world: &dyn World) -> Plan {
    let mut draft = Draft::new(call, world);
    match fill(&mut draft, archiver) {
        Ok(()) => draft.step(StepKind::Archive, ENVIRONMENT),
        Err(reason) => Plan::Here(reason),
    }
}

fn fill(draft: &mut Draft<'_>, archiver: &super::ar::Archiver) -> Result<(), Reason> {
    let args = draft.arguments()?;
    let mut archives = Vec::new();
    let mut explicit = false;
    for item in TABLE.split(&args)? {
        match item {
            Item::Operand(name) => archives.push(name),
            Item::Option { meaning: Meaning::Flag, .. } => explicit = true,
            Item::Option { meaning: Meaning::Plugin, value, .. } => {
                draft.input(&value.unwrap_or_default())?;
            }
            Item::Option { meaning: Meaning::Query, spelling, .. } => return Err(Reason::Query(spelling)),
            Item::Option { meaning: Meaning::Refused, .. } => {
                return Err(Reason::Unsealable("the time of the archive's index".to_owned()));
            }
        }
    }
    if archives.is_empty() {
        return Err(Reason::NoInput);
    }
    if !explicit && !archiver.is_deterministic(draft.call, draft.world) {
        return Err(Reason::Unsealable("the time of the archive's index".to_owned()));
    }
    let thin: &ThinSeen = &archiver.thin;
    for archive in archives {
        let path = draft.call.absolute(&archive);
        let kind = archive::kind(&path, draft.world);
        let path = draft.in_place(if kind == Some(Kind::Thin) { "thin" } else { "out" }, &archive)?;
        let members = members_if_thin(&path, draft.world, thin);
        draft.reads.extend(members.iter().cloned().map(Read::File));
        let outline = match kind {
            Some(Kind::Thin) => Thin::new(&path, members, draft.world).map(Outline::Thin),
            Some(Kind::Regular) => Some(Outline::Archive),
            None => None,
        };
        draft.outline(&path, outline);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binutils::ar::Archiver;
    use crate::binutils::testing::{Scratch, call, shown};
    use crate::{Answer, MemoryWorld};
    use std::path::Path;

    #[test]
    fn every_option() {
        let mut world = MemoryWorld::new().with("/w/a.a", "").with("/w/b.a", "").with("/w/p.so", "");
        let help =
            Answer { success: true, stdout: b"  -D      Use zero for timestamp (default)\n".into(), stderr: vec![] };
        world.answers.insert(vec!["/usr/bin/ranlib".into(), "--help".into()], help);
        for (line, expected) in [
            ("ranlib a.a", "a.a -> out=a.a"),
            ("ranlib a.a b.a", "a.a b.a -> out=a.a out2=b.a"),
            ("ranlib -D a.a", "a.a -> out=a.a"),
            ("ranlib --plugin p.so a.a", "a.a p.so -> out=a.a"),
            ("ranlib --plugin=p.so a.a", "a.a p.so -> out=a.a"),
            ("ranlib -U a.a", "Unsealable(\"the time of the archive's index\")"),
            ("ranlib -t a.a", "Unsealable(\"the time of the archive's index\")"),
            ("gcc-ranlib a.a", "Unsealable(\"the time of the archive's index\")"),
            ("gcc-ranlib -D a.a", "a.a -> out=a.a"),
            ("ranlib none.a", "MissingInput(\"/w/none.a\")"),
            ("ranlib", "NoInput"),
            ("ranlib -v", "Query(\"-v\")"),
            ("ranlib -V", "Query(\"-V\")"),
            ("ranlib -h", "Query(\"-h\")"),
            ("ranlib -H", "Query(\"-H\")"),
            ("ranlib --help", "Query(\"--help\")"),
            ("ranlib --version", "Query(\"--version\")"),
            ("ranlib --x a.a", "UnknownOption(\"--x\")"),
        ] {
            let argv: Vec<&str> = line.split(' ').collect();
            let planned = plan(&Archiver::default(), &call(&argv, Path::new("/w")), &world);
            assert_eq!(shown(planned, Path::new("/w")), expected, "{line}");
        }
    }

    #[test]
    fn the_real_ranlib_is_deterministic() {
        let scratch = Scratch::new();
        scratch.object("a.o", "int f;");
        scratch.run(&["ar", "rcT", "a.a", "a.o"]);
        for tool in ["ranlib", "gcc-ranlib"] {
            let planned = plan(&Archiver::default(), &scratch.call(&[tool, "a.a"]), &scratch);
            assert_eq!(shown(planned, &scratch.path("")), "a.a a.o -> thin=a.a");
        }
    }
}
