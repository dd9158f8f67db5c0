//! How thunks failed whose failure was the answer.

use gg_ir::{Failed, Name};

use crate::error::Result;
use crate::object::mark_used;
use crate::reductions::{read_record, unsealed};
use crate::store::Store;

impl Store {
    /// How the thunk failed, if that is known. A damaged record is moved to the quarantine and counts as unknown.
    ///
    /// # Errors
    /// When the record is there and cannot be read.
    pub fn failure(&self, thunk: &Name) -> Result<Option<Failed>> {
        let path = self.layout.failure(thunk);
        let Some(bytes) = read_record(&path)? else { return Ok(None) };
        let failed = unsealed(&bytes).and_then(|record| Failed::decode(record).ok());
        match failed.filter(|failed| failed.thunk == *thunk) {
            Some(failed) => {
                // Only decides what is deleted first.
                let _ = mark_used(&path);
                Ok(Some(failed))
            }
            None => {
                self.layout.quarantine(&path)?;
                Ok(None)
            }
        }
    }

    /// Remembers how a thunk failed.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn record_failure(&self, failed: &Failed) -> Result<()> {
        self.write_record(&self.layout.failure(&failed.thunk), failed.encode())
    }
}
