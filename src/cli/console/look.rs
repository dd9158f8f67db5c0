//! How gg is to look, as the environment and the command line say.

use std::time::Duration;

/// How much gg says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Failures only.
    Quiet,
    /// How far the build is, and what it came to, for a person.
    #[default]
    Normal,
    /// Retries, and why tools ran here and now, as well.
    Verbose,
}

/// How the progress of a build is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Not at all.
    Off,
    /// By a line each time that so much time has passed.
    Plain(Duration),
    /// By a block of lines at the bottom of a terminal; by lines where there is none.
    #[default]
    Auto,
}

/// Between two lines, where nothing is said: a build that ends before that says nothing in a log.
pub const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// How gg is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// How much gg says.
    pub verbosity: Verbosity,
    /// How progress is shown.
    pub progress: Progress,
    /// Whether gg's own words may be coloured on a terminal.
    pub colour: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { verbosity: Verbosity::Normal, progress: Progress::Auto, colour: true }
    }
}
