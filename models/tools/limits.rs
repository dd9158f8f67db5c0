//! What makes a call of a described tool run here, whatever its options are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::description::{Description, Values};
use super::given::{Given, is_given};
use super::pattern::{begins, fits_one, line_fits};
use super::{description::Role, places};
use crate::args::Item;
use crate::binutils::draft::Draft;
use crate::{Reason, stdin_path};

/// The bytes of an input that tell what it is.
const HEAD: usize = 64;

/// What the program, the variables and the person's own files have to say.
pub(super) fn around(tool: &Description, draft: &Draft<'_>) -> Result<(), Reason> {
    if !tool.really.is_empty() {
        let real = draft.world.resolve(&draft.call.tool).unwrap_or_else(|_| draft.call.tool.clone());
        let name = real.file_name().unwrap_or_default();
        if !fits_one(&tool.really, name.as_bytes()) {
            return Err(Reason::NoModel);
        }
    }
    let is_set = |name: &OsStr| fits_one(&tool.here.variables, name.as_bytes());
    if let Some((name, _)) = draft.call.env.iter().find(|(name, value)| is_set(name) && !value.is_empty()) {
        return Err(Reason::Unsealable(format!("the variable {}", name.to_string_lossy())));
    }
    for pattern in &tool.here.files {
        let pattern = match (pattern.strip_prefix("~/"), draft.call.var("HOME")) {
            (Some(rest), Some(home)) => Path::new(home).join(rest),
            (Some(_), None) => continue,
            (None, _) => draft.call.absolute(pattern),
        };
        if let Some(path) = places::matching(&pattern, draft.world).first() {
            return Err(Reason::Unsealable(path.display().to_string()));
        }
    }
    Ok(())
}

/// What the operand of an option may be.
pub(super) fn value(values: &Values, spelling: &str, value: &OsStr) -> Result<(), Reason> {
    let unknown = || Reason::UnknownOption(format!("{spelling} {}", value.to_string_lossy()));
    if fits_one(&values.except, value.as_bytes()) {
        return Err(unknown());
    }
    let Some(allowed) = &values.allowed else { return Ok(()) };
    let fits = match values.split {
        None => fits_one(allowed, value.as_bytes()),
        // What groups or hides a separator is not understood.
        Some(_) if value.as_bytes().iter().any(|byte| b"'\"\\[](){};@".contains(byte)) => false,
        Some(split) => {
            let text = value.to_str().ok_or_else(unknown)?;
            text.split(split).all(|part| fits_one(allowed, part.as_bytes()))
        }
    };
    if fits { Ok(()) } else { Err(unknown()) }
}

/// A name that an input or output may have.
pub(super) fn name(tool: &Description, name: &OsStr) -> Result<(), Reason> {
    if fits_one(&tool.here.names, name.as_bytes()) {
        return Err(Reason::Malformed(format!("the name {}", name.to_string_lossy())));
    }
    Ok(())
}

/// What an input may be, and hold.
pub(super) fn input(tool: &Description, path: &Path, draft: &Draft<'_>) -> Result<(), Reason> {
    let missing = |_| Reason::MissingInput(path.to_owned());
    let unknown = || Reason::Malformed(format!("what is in {}", path.display()));
    if !tool.inputs.is_empty() {
        let mut rows = tool.inputs.iter().filter(|row| fits_one(&row.names, path.as_os_str().as_bytes())).peekable();
        rows.peek().ok_or_else(unknown)?;
        let head = match draft.world.head(path, HEAD).map_err(missing)? {
            Some(head) => head,
            None => draft.world.read(path).map_err(missing)?.iter().copied().take(HEAD).collect(),
        };
        if !rows.any(|row| row.begins.is_empty() || row.begins.iter().any(|it| begins(it, &head))) {
            return Err(unknown());
        }
    }
    if !tool.here.lines.is_empty() {
        let content = draft.world.read(path).map_err(missing)?;
        let found = content.split(|&byte| byte == b'\n').find(|line| line_fits(&tool.here.lines, line.trim_ascii()));
        if let Some(line) = found {
            let line = String::from_utf8_lossy(line.trim_ascii()).into_owned();
            return Err(Reason::Malformed(format!("`{line}` in {}", path.display())));
        }
    }
    Ok(())
}

/// What outputs may be called, and what has to be given for them; whether the tool makes them at all, where they are there.
pub(super) fn outputs(
    tool: &Description,
    items: &[Item<Role>],
    given: &Given<'_>,
    draft: &Draft<'_>,
) -> Result<(), Reason> {
    for write in &draft.writes {
        let path = write.path.as_os_str().as_bytes();
        let rows: Vec<_> = tool.outputs.iter().filter(|row| fits_one(&row.names, path)).collect();
        let is_met = |list: &Vec<String>| list.iter().any(|name| given.has(name));
        if !tool.outputs.is_empty() && !rows.iter().any(|row| row.requires.iter().all(is_met)) {
            let unmet = rows.iter().flat_map(|row| &row.requires).find(|list| !is_met(list));
            let what = unmet.map_or_else(String::new, |list| format!(" without {}", list.join(" or ")));
            return Err(Reason::Unsealable(format!("what it puts into {}{what}", write.path.display())));
        }
        if let Some(options) = &tool.overwrites
            && !options.iter().any(|name| is_given(items, name))
            && draft.world.kind(&write.path).is_some()
        {
            return Err(Reason::Unsealable(format!("whether {} is there", write.path.display())));
        }
    }
    Ok(())
}

/// Standard input, where the tool looks at it: it must hold nothing.
pub(super) fn stdin(tool: &Description, items: &[Item<Role>], draft: &Draft<'_>) -> Result<(), Reason> {
    let Some(stdin) = &tool.stdin else { return Ok(()) };
    let one_of = |names: &[String]| names.iter().any(|name| is_given(items, name));
    if !stdin.with.is_empty() && !one_of(&stdin.with) || one_of(&stdin.unless) {
        return Ok(());
    }
    let is_empty = |path: PathBuf| draft.world.read(&path).is_ok_and(|content| content.is_empty());
    if draft.world.has_stdin() && is_empty(stdin_path(&draft.call.cwd)) { Ok(()) } else { Err(Reason::Stdin) }
}
