//! What the names in a file led to.
//!
//! Most headers of a compile were read by the one before, with the same lists of directories. What they include is then
//! known as a whole: it only has to be asked whether the files are still there, and whether the directories that lacked the
//! names still do.

use super::atlas::{FileId, Lacking, Probe, Spot};
use super::chart::{ChartId, Route, Step};

/// What the names in one file led to, as long as all that this rests on is so.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// The lists of directories for `"x"` and for `<x>`.
    pub charts: [ChartId; 2],
    /// The files, and whether what they include counts.
    pub targets: Vec<(FileId, bool)>,
    /// The directories that have to lack what they lacked.
    pub lacking: Vec<Lacking>,
    /// Which names, by their order in the file, have to be looked up all the same.
    pub rest: Vec<usize>,
}

impl Reached {
    /// For as many pairs of lists this is kept for a file: targets of a build that are made at the same time.
    pub const MOST: usize = 4;

    /// Takes out what is in it twice.
    pub fn tidy(&mut self) {
        // Of two ways to use a file, what it includes counts in one first.
        self.targets.sort_unstable_by_key(|&(target, follow)| (target, !follow));
        self.targets.dedup_by_key(|(target, _)| *target);
        self.lacking.sort_unstable();
        self.lacking.dedup();
        self.targets.shrink_to_fit();
        self.lacking.shrink_to_fit();
    }
}

/// Where a name led, if to anything, past which directories; `None` where that has to be found out anew each time.
pub(super) fn way<'r>(
    quoted: bool,
    beside: Option<Spot>,
    routes: impl Iterator<Item = Option<&'r Route>>,
) -> Option<(Option<FileId>, Vec<Lacking>)> {
    let mut lacking = Vec::new();
    if quoted {
        let spot = beside.filter(|spot| !spot.winding)?;
        match spot.found {
            Probe::File(file) => return Some((Some(file), lacking)),
            Probe::Device => return None,
            Probe::Missing => lacking.push(spot.lacking?),
        }
    }
    for route in routes {
        let route = route?;
        for step in &route.steps {
            match step {
                Step::Lacks(lacks) => lacking.push(*lacks),
                Step::Look(_) => return None,
            }
        }
        match route.found {
            Probe::File(file) => return Some((Some(file), lacking)),
            Probe::Device => return None,
            Probe::Missing => {}
        }
    }
    Some((None, lacking))
}
