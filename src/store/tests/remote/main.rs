//! Remote stores, against a directory and against real servers.
#![cfg(feature = "remote")]

mod faulty;
mod inventory;
mod real;
mod servers;
mod support;
mod trips;
