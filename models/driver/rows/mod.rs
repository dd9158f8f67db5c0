//! The option table, one file a subject. Sources: GCC 12 manual, chapter 3; Clang 14 command line reference; `gcc
//! -dumpspecs` for what a driver hands on.
//!
//! The longest spelling wins, so a row here may take one option out of a family (`-fprofile-use` out of `-f`).

mod general;
mod generate;
mod link;
mod preprocess;
mod side;

use super::option::Row;

/// Every row of the table.
pub fn all() -> impl Iterator<Item = &'static Row> {
    [general::ROWS, preprocess::ROWS, generate::ROWS, side::ROWS, link::ROWS].into_iter().flatten()
}
