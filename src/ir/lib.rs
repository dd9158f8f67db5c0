//! What gg computes with, and how it is written down. No I/O, no threads, no async.
//!
//! # Layout
//!
//! - `name`: [`Name`] and [`Reference`]: objects are named by their content
//! - `path`: [`AbsPath`]: a path inside a sandbox, which cannot leave it
//! - `thunk`: [`Thunk`]: the sealed description of one computation
//! - `tree`: [`Tree`]: a directory as a value
//! - `reduction`: [`Reduction`]: what a thunk evaluated to
//! - `placeholder`: [`Placeholder`]: the small file that stands for an output not computed yet
//! - `codec`: the canonical encoding, and the errors of malformed bytes
//!
//! # Encoding
//!
//! Thunks, trees and reductions are written as four bytes of magic (`ggT`, `ggD`, `ggR` and the version of the format)
//! and then their fields in order: integers as minimal LEB128, byte strings with their length in front, maps sorted by
//! key in byte order and without duplicates. A reader accepts exactly what the writer writes, so one object has one encoding, and
//! with it one name, on every machine.

mod codec;
mod failed;
mod name;
mod path;
mod placeholder;
mod reduction;
mod thunk;
mod tree;

pub use codec::DecodeError;
pub use failed::Failed;
pub use name::{Hasher, Kind, Name, NameError, Reference, Tag};
pub use path::{AbsPath, PathError};
pub use placeholder::Placeholder;
pub use reduction::{Cost, Made, Reduction};
pub use thunk::{Function, Input, Output, Thunk};
pub use tree::{Entry, Tree};

/// The version of every encoding in this crate. An object of another version is a [`DecodeError`].
pub const VERSION: u8 = 1;
