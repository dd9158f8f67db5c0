//! A call of a described tool, planned.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::description::{DefaultOutput, Description, Role};
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
    let mut operands = 0_usize;
    for item in &items {
        match item {
            Item::Option { meaning, spelling, value } => add(draft, *meaning, spelling, value.as_deref())?,
            Item::Operand(name) => {
                operands += 1;
                let shown = name.to_string_lossy();
                let role = positional.next().or(tool.rest);
                let role = role.ok_or_else(|| Reason::Malformed(format!("operand {shown}")))?;
                add(draft, role, &shown, Some(name))?;
            }
        }
    }
    if draft.writes.is_empty() {
        if operands == 0 && draft.reads.is_empty() {
            return Err(Reason::NoInput);
        }
        let name = tool.default_output.as_ref().and_then(|default| default_output(default, &items));
        draft.output("out", &name.ok_or(Reason::Stdout)?, false)?;
    }
    Ok(())
}

fn add(draft: &mut Draft<'_>, role: Role, spelling: &str, value: Option<&OsStr>) -> Result<(), Reason> {
    match (role, value) {
        (Role::Flag, _) => {}
        (Role::Query, _) => return Err(Reason::Query(spelling.to_owned())),
        (Role::Reads, _) => return Err(Reason::Reads(spelling.to_owned())),
        (Role::Here, _) => return Err(Reason::UnknownOption(spelling.to_owned())),
        // A file's role, but the option stands without its optional operand.
        (_, None) => {}
        (Role::Input, Some(name)) => {
            draft.input(name)?;
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
            draft.output("out", name, role == Role::Executable)?;
        }
        (Role::InPlace, Some(name)) => {
            draft.in_place("out", name)?;
        }
    }
    Ok(())
}

/// The name of the output where no option or operand gives it.
fn default_output(default: &DefaultOutput, items: &[Item<Role>]) -> Option<OsString> {
    let from = items.iter().find_map(|item| match item {
        Item::Operand(name) if default.from == "first" => Some(name.as_os_str()),
        Item::Option { spelling, value, .. } if *spelling == default.from => value.as_deref(),
        _ => None,
    })?;
    let mut name = match &default.suffix {
        Some(suffix) => Path::new(from).with_extension(suffix.trim_start_matches('.')).into_os_string(),
        None => from.to_owned(),
    };
    name.push(&default.append);
    Some(name)
}
