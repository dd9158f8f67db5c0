//! What a described tool needs beside itself and its libraries.

use std::path::Path;

use super::Parts;
use crate::tools::{Needs, matching};
use crate::{FileKind, Reason};

/// `needs` of the program at `tool`, which is found through links.
pub(super) fn capture(tool: &Path, needs: &Needs, parts: &mut Parts) -> Result<(), Reason> {
    let real = parts.world.resolve(tool).map_err(|_| Reason::MissingInput(tool.to_owned()))?;
    let beside = real.parent().unwrap_or(Path::new("/"));
    for name in &needs.starts {
        let program = if name.contains('/') { Some(beside.join(name)) } else { parts.on_path(name) };
        let Some(program) = program else { continue };
        if parts.world.kind(&program) == Some(FileKind::File) && parts.is_script(&program)? {
            return Err(Reason::Wrapper);
        }
        parts.program(&program)?;
    }
    for pattern in &needs.files {
        for path in matching(&beside.join(pattern), parts.world) {
            parts.file(&path);
            parts.tree(&path);
        }
    }
    for pattern in &needs.modules {
        for path in matching(&beside.join(pattern), parts.world) {
            parts.program(&path)?;
        }
    }
    parts.messages.extend(needs.messages.iter().cloned());
    Ok(())
}
