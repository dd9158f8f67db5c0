//! The driver model against the real compilers.

mod includes;
mod links;
mod natives;
mod outputs;
mod reasons;
mod table;

use crate::binutils::Binutils;
use crate::driver::Driver;
use crate::driver::testing::Disk;
use crate::scan::Scanner;
use crate::{Call, Plan, Step};

/// The plan of a call, from models that remember nothing.
fn plan(call: &Call) -> Plan {
    Driver::default().plan(call, &Scanner::new(), &Binutils::new().linker, &Disk)
}

/// The step of a call that must be one.
fn step(call: &Call) -> Step {
    match plan(call) {
        Plan::Thunk(step) => step,
        Plan::Here(reason) => panic!("{:?}: {reason}", call.argv),
    }
}
