//! Searches: the first match of a name in a list of directories, and what all the names of a file led to.

use std::sync::Arc;

use super::{Atlas, DirId, FileId, Probe};
use crate::scan::Syntax;
use crate::scan::cache::Name;
use crate::scan::chart::{ChartId, Route, Step};
use crate::scan::facts::Use;
use crate::scan::reached::{Reached, way};
use crate::{FileKind, World};

impl Atlas {
    /// What the names that a file, as it was read in this scan, asks for led to in an earlier one with these lists of
    /// directories, if they still do.
    pub(in crate::scan) fn reached(
        &mut self,
        world: &dyn World,
        file: FileId,
        syntax: Syntax,
        charts: [ChartId; 2],
    ) -> Option<Arc<Reached>> {
        let known = self.files[file.0 as usize].read[syntax as usize].as_mut()?;
        let at = known.reached.iter().position(|reached| reached.charts == charts)?;
        known.reached.swap(0, at);
        let reached = Arc::clone(&known.reached[0]);
        let holds = reached.lacking.iter().all(|&lacking| self.lacks_still(world, lacking))
            && reached.targets.iter().all(|&(target, _)| self.glance(world, target) == Some(FileKind::File));
        holds.then_some(reached)
    }

    /// Keeps what the names that a file has asked for in this scan led to.
    pub(in crate::scan) fn keep_reached(&mut self, file: FileId, syntax: Syntax, charts: [ChartId; 2]) {
        let Some(known) = &mut self.files[file.0 as usize].read[syntax as usize] else { return };
        let mut out = Reached { charts, ..Reached::default() };
        for (at, (lookup, name)) in known.lexed.facts.lookups.iter().zip(&known.lexed.names).enumerate() {
            let beside = if lookup.quoted { known.beside[at] } else { None };
            let routes = charts.iter().skip(usize::from(!lookup.quoted)).map(|&chart| self.charts.get(chart, name.id));
            match if lookup.next { None } else { way(lookup.quoted, beside, routes) } {
                Some((target, lacking)) => {
                    out.targets.extend(target.map(|target| (target, lookup.usage != Use::Data)));
                    out.lacking.extend(lacking);
                }
                None => out.rest.push(at),
            }
        }
        out.tidy();
        known.reached.retain(|reached| reached.charts != charts);
        known.reached.truncate(Reached::MOST - 1);
        known.reached.insert(0, Arc::new(out));
    }

    /// Directories that are searched one after the other.
    pub(in crate::scan) fn chart(&mut self, dirs: &[DirId]) -> ChartId {
        self.charts.of(dirs)
    }

    /// The directories of a chart.
    pub(in crate::scan) fn dirs(&self, chart: ChartId) -> &[DirId] {
        self.charts.dirs(chart)
    }

    /// The first match of a name in the directories of a chart.
    pub(in crate::scan) fn first(&mut self, world: &dyn World, chart: ChartId, name: &Name) -> Probe {
        if let Some(found) = self.charts.now(chart, name.id, self.scan) {
            return found;
        }
        let found = self.search(world, chart, name);
        self.charts.note(chart, name.id, self.scan, found);
        found
    }

    fn search(&mut self, world: &dyn World, chart: ChartId, name: &Name) -> Probe {
        if let Some(mut route) = self.charts.take(chart, name.id)
            && let Some(found) = self.follow(world, &mut route, name)
        {
            self.charts.put(chart, name.id, route);
            return found;
        }
        let mut steps = Vec::new();
        let mut found = Probe::Missing;
        let mut winding = false;
        for at in 0..self.dirs(chart).len() {
            let dir = self.dirs(chart)[at];
            let spot = self.look(world, dir, name);
            (found, winding) = (spot.found, winding || spot.winding);
            if found != Probe::Missing {
                break;
            }
            steps.push(spot.lacking.map_or(Step::Look(dir), Step::Lacks));
        }
        if !winding && found != Probe::Device {
            self.charts.put(chart, name.id, Route { found, steps: steps.into() });
        }
        found
    }

    /// Where a route leads, if it still leads to where it led.
    fn follow(&mut self, world: &dyn World, route: &mut Route, name: &Name) -> Option<Probe> {
        for step in &mut route.steps {
            let misses = match *step {
                Step::Lacks(lacking) => self.lacks_still(world, lacking),
                Step::Look(dir) => {
                    let spot = self.look(world, dir, name);
                    if let Some(lacking) = spot.lacking.filter(|_| !spot.winding) {
                        *step = Step::Lacks(lacking);
                    }
                    spot.found == Probe::Missing
                }
            };
            if !misses {
                return None;
            }
        }
        match route.found {
            Probe::File(file) if self.glance(world, file) != Some(FileKind::File) => None,
            found => Some(found),
        }
    }
}
