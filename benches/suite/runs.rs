//! All that was measured, and medians of it.

use serde::Serialize;

use crate::spent::Spent;

/// One run of one side of a row.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The row, or what several rows share.
    pub row: String,
    /// What was run.
    pub side: String,
    /// What it took.
    #[serde(flatten)]
    pub spent: Spent,
}

/// All runs, in the order in which they ended.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Runs(Vec<Run>);

/// What a side took in the middle, and at its ends.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Side {
    /// The medians, each figure by itself.
    pub median: Spent,
    /// The least and the most CPU time.
    pub cpu_range: (f64, f64),
    /// The least and the most wall time.
    pub wall_range: (f64, f64),
    /// How many runs there were.
    pub runs: usize,
}

/// The middle of some figures; of an even number, the mean of the two in the middle. 0 of none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => 0.0,
        n if n % 2 == 1 => figures[n / 2],
        n => f64::midpoint(figures[n / 2 - 1], figures[n / 2]),
    }
}

fn range(figures: &[f64]) -> (f64, f64) {
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    (least, figures.iter().copied().fold(0.0, f64::max))
}

impl Runs {
    /// Notes a run.
    pub fn add(&mut self, row: &str, side: &str, spent: Spent) {
        self.0.push(Run { row: row.to_owned(), side: side.to_owned(), spent });
    }

    /// What a side of a row took; none if it was never run.
    pub fn side(&self, row: &str, side: &str) -> Option<Side> {
        let spent: Vec<Spent> =
            self.0.iter().filter(|run| run.row == row && run.side == side).map(|run| run.spent).collect();
        if spent.is_empty() {
            return None;
        }
        let of = |figure: fn(&Spent) -> f64| spent.iter().map(figure).collect::<Vec<_>>();
        let median = Spent {
            wall: median(of(|spent| spent.wall)),
            cpu: median(of(|spent| spent.cpu)),
            own_cpu: median(of(|spent| spent.own_cpu)),
            own_peak: median(of(|spent| spent.own_peak as f64)) as u64,
        };
        let (cpu_range, wall_range) = (range(&of(|spent| spent.cpu)), range(&of(|spent| spent.wall)));
        Some(Side { median, cpu_range, wall_range, runs: spent.len() })
    }
}
