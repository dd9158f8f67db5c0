//! Where searches through the same directories led before.

use super::atlas::{DirId, Lacking, Probe};
use super::hash::QuickMap;

/// As many lists of directories as are kept: a target of a large build has one of its own, and its sources come together.
const MOST: usize = 256;

/// A list of directories that are searched one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChartId {
    at: u32,
    /// How often all lists had been thrown away.
    era: u32,
}

/// What has to hold for a directory on the way not to have the name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A directory still has the names that it had.
    Lacks(Lacking),
    /// It has to be looked for there.
    Look(DirId),
}

/// Where a search led.
#[derive(Debug)]
pub(super) struct Route {
    /// The match: a file, or nothing at all.
    pub found: Probe,
    /// The directories that do not have it, in their order.
    pub steps: Box<[Step]>,
}

#[derive(Debug)]
struct Chart {
    dirs: Box<[DirId]>,
    /// By the number of the name.
    routes: QuickMap<u32, Route>,
}

/// What names led to in a scan, with the scan's number, by the number of the name. A scan has two charts, and these tables
/// are as long as there are names.
type Now = Vec<(u32, Probe)>;

/// The routes through all lists of directories.
#[derive(Debug, Default)]
pub(super) struct Charts {
    charts: Vec<Chart>,
    era: u32,
    by_dirs: QuickMap<Box<[DirId]>, ChartId>,
    /// For the first chart of the scan, and for any other.
    now: [Now; 2],
    first: Option<ChartId>,
}

impl Charts {
    /// Begins a scan, in which ids stay what they are.
    pub fn begin(&mut self) {
        if self.charts.len() > MOST {
            self.charts.clear();
            self.era += 1;
            self.by_dirs.clear();
        }
        self.first = None;
    }

    /// The chart of these directories; a scan may ask for two.
    pub fn of(&mut self, dirs: &[DirId]) -> ChartId {
        let id = match self.by_dirs.get(dirs) {
            Some(&known) => known,
            None => {
                let id = ChartId { at: self.charts.len() as u32, era: self.era };
                self.charts.push(Chart { dirs: dirs.into(), routes: QuickMap::default() });
                self.by_dirs.insert(dirs.into(), id);
                id
            }
        };
        self.first.get_or_insert(id);
        id
    }

    fn table(&self, chart: ChartId) -> usize {
        usize::from(self.first != Some(chart))
    }

    /// The directories.
    pub fn dirs(&self, chart: ChartId) -> &[DirId] {
        &self.charts[chart.at as usize].dirs
    }

    /// What a name has led to in this scan already.
    pub fn now(&self, chart: ChartId, name: u32, scan: u32) -> Option<Probe> {
        let &(of, found) = self.now[self.table(chart)].get(name as usize)?;
        (of == scan).then_some(found)
    }

    /// Notes what a name leads to in this scan.
    pub fn note(&mut self, chart: ChartId, name: u32, scan: u32, found: Probe) {
        let table = self.table(chart);
        let now = &mut self.now[table];
        if now.len() <= name as usize {
            now.resize(name as usize + 1, (0, Probe::Missing));
        }
        now[name as usize] = (scan, found);
    }

    /// Where a name led.
    pub fn get(&self, chart: ChartId, name: u32) -> Option<&Route> {
        self.charts[chart.at as usize].routes.get(&name)
    }

    /// Takes out where a name led.
    pub fn take(&mut self, chart: ChartId, name: u32) -> Option<Route> {
        self.charts[chart.at as usize].routes.remove(&name)
    }

    /// Keeps where a name leads.
    pub fn put(&mut self, chart: ChartId, name: u32, route: Route) {
        self.charts[chart.at as usize].routes.insert(name, route);
    }
}
