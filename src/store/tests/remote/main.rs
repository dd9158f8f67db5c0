//! Remote stores, against a directory and against real servers.
#![cfg(feature = "remote")]

mod support;
mod trips;
