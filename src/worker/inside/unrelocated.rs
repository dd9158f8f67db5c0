//! Stands for the relocated sandbox where it was not compiled in: it can never be had.

use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char};
use std::path::Path;

use super::root::Root;
use super::tool::Failed;
use super::{Run, Step, StepError};
use crate::request::Request;

/// What there is none of.
pub(super) struct Place(Infallible);

/// What there is none of.
pub(super) struct Launch {
    pub loader: *const c_char,
    pub cwd: CString,
    pub argv: *const *const c_char,
    pub envp: *const *const c_char,
}

pub(super) fn prepare(_scratch: &Path) -> Step<()> {
    Err(StepError { step: "use a relocated sandbox (gg was built without)".into(), errno: libc::ENOSYS })
}

impl Place {
    pub fn new(scratch: &Path) -> Step<Self> {
        prepare(scratch).and_then(|()| Err(StepError { step: "relocate".into(), errno: libc::ENOSYS }))
    }

    pub fn fill(&self, _request: &Request<'_>) -> Step<Root> {
        match self.0 {}
    }

    pub fn unfit(&self, _run: &Run) -> Option<String> {
        match self.0 {}
    }

    pub fn launch(
        &self,
        _executable: &CStr,
        _argv: &[*const c_char],
        _envp: &[*const c_char],
        _cwd: &CStr,
    ) -> Result<Launch, (Failed, i32)> {
        match self.0 {}
    }
}
