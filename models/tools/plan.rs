//! A call of a described tool, planned.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::description::{Description, Role};
use super::follow::{Directories, follow};
use super::given::Given;
use super::{limits, writes};
use crate::args::Item;
use crate::binutils::draft::Draft;
use crate::{Call, FileKind, Plan, Read, Reason, World};

pub(super) fn plan(tool: &Description, call: &Call, world: &dyn World) -> Plan {
    let mut draft = Draft::new(call, world);
    match fill(tool, &mut draft) {
        Ok(()) => {
            let names: Vec<&str> = tool.environment.iter().map(String::as_str).collect();
            draft.step(tool.kind, &names)
        }
        Err(reason) => Plan::Here(reason),
    }
}

fn fill(tool: &Description, draft: &mut Draft<'_>) -> Result<(), Reason> {
    let args = if tool.response_files { draft.arguments()? } else { draft.call.args().to_vec() };
    let items = tool.options.split(&args)?;
    let mut positional = tool.positional.iter().copied();
    let mut inputs = Vec::new();
    for item in &items {
        match item {
            Item::Option { meaning, spelling, value } => {
                if let (Some(value), Some(values)) = (value, tool.values.get(spelling)) {
                    limits::value(values, spelling, value)?;
                }
                add(tool, draft, &mut inputs, *meaning, spelling, value.as_deref())?;
            }
            Item::Operand(name) => {
                let shown = name.to_string_lossy();
                let role = positional.next().or(tool.rest);
                let role = role.ok_or_else(|| Reason::Malformed(format!("operand {shown}")))?;
                add(tool, draft, &mut inputs, role, &shown, Some(name))?;
            }
        }
    }
    let given = Given::new(tool, &items);
    if draft.writes.is_empty() && given.operands.is_empty() && draft.reads.is_empty() {
        return Err(Reason::NoInput);
    }
    limits::around(tool, draft)?;
    for path in &inputs {
        limits::input(tool, path, draft)?;
    }
    let directories = Directories::of(tool.follow.as_ref(), &given, &draft.call.tool, draft.world);
    for row in &tool.derived {
        for name in writes::names(row, &given, &|name| directories.below(name, draft))? {
            limits::name(tool, &name)?;
            draft.output("out", &name, false)?;
        }
    }
    if draft.writes.is_empty() {
        return Err(Reason::Stdout);
    }
    if let Some(form) = &tool.follow {
        follow(form, &directories, &inputs, draft)?;
    }
    limits::outputs(tool, &items, &given, draft)?;
    limits::stdin(tool, &items, draft)
}

fn add(
    tool: &Description,
    draft: &mut Draft<'_>,
    inputs: &mut Vec<PathBuf>,
    role: Role,
    spelling: &str,
    value: Option<&OsStr>,
) -> Result<(), Reason> {
    match (role, value) {
        (Role::Flag, _) => {}
        (Role::Query, _) => return Err(Reason::Query(spelling.to_owned())),
        (Role::Reads, _) => return Err(Reason::Reads(spelling.to_owned())),
        (Role::Here, _) => return Err(Reason::UnknownOption(spelling.to_owned())),
        // A file's role, but the option stands without its optional operand.
        (_, None) => {}
        (Role::Input, Some(name)) => {
            limits::name(tool, name)?;
            inputs.push(draft.input(name)?);
        }
        (Role::InputDirectory, Some(name)) => {
            let directory = draft.call.absolute(name);
            draft.reads.push(Read::Directory(directory.clone()));
            let files = draft.world.list(&directory).unwrap_or_default();
            let files = files.into_iter().map(|name| directory.join(name));
            let files = files.filter(|path| draft.world.kind(path) == Some(FileKind::File));
            draft.reads.extend(files.map(Read::File));
        }
        (Role::Output | Role::Executable, Some(name)) => {
            if name == "-" {
                return Err(Reason::Stdout);
            }
            limits::name(tool, name)?;
            draft.output("out", name, role == Role::Executable)?;
        }
        (Role::InPlace, Some(name)) => {
            limits::name(tool, name)?;
            inputs.push(draft.in_place("out", name)?);
        }
    }
    Ok(())
}
