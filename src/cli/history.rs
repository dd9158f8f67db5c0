//! Past run times, kept from build to build.

use std::io;
use std::path::Path;
use std::time::Duration;

use gg_force::History;
use serde::{Deserialize, Serialize};

/// As many steps are remembered; beyond that, the times of their kinds serve.
const MAX_STEPS: usize = 200_000;

#[derive(Serialize, Deserialize)]
struct Entry(String, String, u64);

/// The run times that were kept; none where the file is missing or damaged, since they only order the work.
pub fn load(path: &Path) -> History {
    let entries: Vec<Entry> = serde_json::from_slice(&std::fs::read(path).unwrap_or_default()).unwrap_or_default();
    entries.into_iter().map(|Entry(kind, label, us)| (kind, label, Duration::from_micros(us))).collect()
}

/// Keeps run times.
///
/// # Errors
/// Whatever the file system says.
pub fn save(path: &Path, history: &History) -> io::Result<()> {
    let entries: Vec<Entry> = history
        .iter()
        .take(MAX_STEPS)
        .map(|(kind, label, time)| Entry(kind.into(), label.into(), time.as_micros() as u64))
        .collect();
    let temporary = path.with_extension(std::process::id().to_string());
    std::fs::write(&temporary, serde_json::to_vec(&entries)?)?;
    std::fs::rename(&temporary, path)
}
