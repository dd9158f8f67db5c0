//! Captured programs run in real sandboxes, which hold what was captured and nothing else. One file per kind of program;
//! `support` is the common helper.

mod errors;
mod programs;
mod python;
mod scripts;
mod sights;
mod support;
