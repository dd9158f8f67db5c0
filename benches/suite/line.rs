//! A line of the table.

use serde::Serialize;

use crate::runs::Side;

/// What a figure counts, and so how it is written.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// So many times what stands beside.
    Times,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// A figure as people read it.
    pub fn show(self, figure: f64) -> String {
        match self {
            Self::Times => format!("{figure:.2} x"),
            Self::Ms if figure >= 10.0 => format!("{figure:.0} ms"),
            Self::Ms => format!("{figure:.2} ms"),
            Self::Us => format!("{figure:.1} us"),
            Self::Seconds => format!("{figure:.2} s"),
            Self::Bytes if figure >= 1e9 => format!("{:.2} GB", figure / 1e9),
            Self::Bytes if figure >= 1e6 => format!("{:.1} MB", figure / 1e6),
            Self::Bytes => format!("{:.2} KB", figure / 1e3),
        }
    }
}

/// One figure, what it should be at most, and what it comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What is measured.
    pub what: String,
    /// What it counts.
    pub unit: Unit,
    /// What it should be at most; a figure without stands in the table for comparison.
    pub target: Option<f64>,
    /// What it is.
    pub measured: f64,
    /// What gg took, for people.
    pub gg: String,
    /// What it is compared with took, for people; empty for a figure that stands by itself.
    pub beside: String,
}

impl Line {
    /// How much of the target was used; none without one.
    pub fn ratio(&self) -> Option<f64> {
        self.target.map(|target| self.measured / target)
    }

    /// Whether the target is reached; none without one.
    pub fn is_reached(&self) -> Option<bool> {
        self.target.map(|target| self.measured <= target)
    }
}

/// CPU seconds of a side, with their range.
pub fn cpu(label: &str, side: &Side) -> String {
    shown(label, side.median.cpu, side.cpu_range, "CPU")
}

/// Wall seconds of a side, with their range.
pub fn wall(label: &str, side: &Side) -> String {
    shown(label, side.median.wall, side.wall_range, "wall")
}

fn shown(label: &str, middle: f64, (least, most): (f64, f64), kind: &str) -> String {
    if least == most {
        format!("{label}: {middle:.2} s {kind}")
    } else {
        format!("{label}: {middle:.2} s {kind} ({least:.2}-{most:.2})")
    }
}
