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
    /// A million bytes in a second.
    Speed,
}

impl Unit {
    /// A figure as people read it.
    pub fn show(self, figure: f64) -> String {
        match self {
            Self::Times => format!("{figure:.2} x"),
            Self::Ms if figure.abs() >= 10.0 => format!("{figure:.0} ms"),
            Self::Ms => format!("{figure:.2} ms"),
            Self::Us => format!("{figure:.1} us"),
            Self::Seconds => format!("{figure:.2} s"),
            Self::Bytes if figure >= 1e9 => format!("{:.2} GB", figure / 1e9),
            Self::Bytes if figure >= 1e6 => format!("{:.1} MB", figure / 1e6),
            Self::Bytes => format!("{:.2} KB", figure / 1e3),
            Self::Speed => format!("{figure:.0} MB/s"),
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
    /// What it is; none where something it needs is not to be had, as `beside` says.
    pub measured: Option<f64>,
    /// What gg took, for people.
    pub gg: String,
    /// What it is compared with took, for people; empty for a figure that stands by itself.
    pub beside: String,
}

impl Line {
    /// A line for a target.
    pub fn new(what: impl Into<String>, unit: Unit, target: f64, measured: f64) -> Self {
        Self { target: Some(target), ..Self::plain(what, unit, measured) }
    }

    /// A line that only stands for comparison.
    pub fn plain(what: impl Into<String>, unit: Unit, measured: f64) -> Self {
        let (what, measured) = (what.into(), Some(measured));
        Self { what, unit, target: None, measured, gg: String::new(), beside: String::new() }
    }

    /// With what it comes from: what gg took, and what it is compared with.
    pub fn of(self, gg: impl Into<String>, beside: impl Into<String>) -> Self {
        Self { gg: gg.into(), beside: beside.into(), ..self }
    }

    /// A line that could not be measured.
    pub fn missing(self, why: &anyhow::Error) -> Self {
        Self { measured: None, beside: format!("{why:#}"), ..self }
    }

    /// The figure, as people read it.
    pub fn figure(&self) -> String {
        self.measured.map_or_else(|| "not run".to_owned(), |figure| self.unit.show(figure))
    }

    /// How much of the target was used; none without one.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.measured? / self.target?)
    }

    /// Whether the target is reached; none without one.
    pub fn is_reached(&self) -> Option<bool> {
        self.ratio().map(|ratio| ratio <= 1.0)
    }
}

/// What a side took, with the ranges of its runs.
pub fn taken(label: &str, side: &Side) -> String {
    let shown = |middle: f64, (least, most): (f64, f64)| match least == most {
        true => format!("{middle:.2} s"),
        false => format!("{middle:.2} s ({least:.2}-{most:.2})"),
    };
    let (cpu, wall) = (shown(side.median.cpu, side.cpu_range), shown(side.median.wall, side.wall_range));
    format!("{label}: {cpu} CPU, {wall} wall")
}
