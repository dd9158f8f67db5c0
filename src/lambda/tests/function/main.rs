//! The real worker behind the real front door, asked over HTTP as gg's engine asks.

#[allow(dead_code, reason = "shared with the tests of the sandboxes")]
#[path = "../../../worker/tests/sandbox/support.rs"]
mod bench;
mod emulator;
mod faults;
mod jail;
mod limits;
mod s3;
#[allow(dead_code, reason = "shared with the tests of the stores")]
#[path = "../../../store/tests/remote/servers.rs"]
mod servers;
mod service;
mod steps;
mod stores;
mod support;
