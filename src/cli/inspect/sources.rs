//! The steps that a source is for.

use std::collections::BTreeMap;
use std::path::Path;

use gg_ir::{AbsPath, Name, Thunk};
use gg_store::Store;

use super::absolute;
use crate::report::{Record, StepRecord};

/// The places of the steps whose commands name this file (an absolute path) as something to read; of several for the same file,
/// the last one.
pub fn users(record: &Record, path: &Path, store: &Store) -> Vec<usize> {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else { return Vec::new() };
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, step) in record.steps.iter().enumerate().filter(|(_, step)| step.command.contains(&*name)) {
        if reads(step, path, store) {
            found.insert(&step.label, place);
        }
    }
    let mut places: Vec<usize> = found.into_values().collect();
    places.sort_unstable();
    places
}

fn reads(step: &StepRecord, path: &Path, store: &Store) -> bool {
    let thunk = step.thunk.parse::<Name>().ok().and_then(|name| store.read_thunk(&name).ok());
    let Some(thunk) = thunk else {
        // All that is left is the text.
        return step.command.split(' ').any(|word| absolute(Path::new(word), Path::new(&step.directory)) == path);
    };
    let is_input = |path: &AbsPath| thunk.inputs.contains_key(path) && !is_output(&thunk, path);
    let named = |word: &std::ffi::OsString| absolute(Path::new(word), thunk.function.cwd.as_path()) == path;
    AbsPath::new(path).is_ok_and(|path| is_input(&path)) && thunk.function.args.iter().skip(1).any(named)
}

fn is_output(thunk: &Thunk, path: &AbsPath) -> bool {
    thunk.outputs.values().any(|output| output.path == *path)
}
