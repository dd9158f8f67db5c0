//! What the coordinator asks of a store: the one seam between it and the disk.

use std::sync::Arc;

use gg_ir::{Name, Reduction, Thunk};
use gg_store::{Store, StoreError};

/// Why a store could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The object is not there.
    #[error("{0} is not in the store")]
    Missing(Name),
    /// The object's bytes are not those it is named after.
    #[error("{0} is corrupt in the store")]
    Corrupt(Name),
    /// Anything else: the text says what and on which file.
    #[error("{0}")]
    Other(String),
}

/// Thunks and reductions by name. Called from several threads; each call may block on I/O.
pub trait Ledger: Send + Sync {
    /// The thunk of this name.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be had.
    fn read_thunk(&self, name: &Name) -> Result<Arc<Thunk>, LedgerError>;

    /// What the thunk evaluated to when it was last run, if that is known and every output is to be had.
    ///
    /// # Errors
    /// [`LedgerError`] when the record cannot be read; the coordinator then runs the thunk.
    fn reduction(&self, thunk: &Name) -> Result<Option<Reduction>, LedgerError>;

    /// Keeps a reduction.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be kept; the build goes on without.
    fn record(&self, reduction: &Reduction) -> Result<(), LedgerError>;

    /// Drops the reduction of this thunk, if there is one.
    fn forget(&self, thunk: &Name);
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing { name } => Self::Missing(name),
            StoreError::Corrupt { name, .. } => Self::Corrupt(name),
            other => Self::Other(other.to_string()),
        }
    }
}

impl Ledger for Store {
    fn read_thunk(&self, name: &Name) -> Result<Arc<Thunk>, LedgerError> {
        Ok(Store::read_thunk(self, name)?)
    }

    fn reduction(&self, thunk: &Name) -> Result<Option<Reduction>, LedgerError> {
        Ok(Store::reduction(self, thunk)?)
    }

    fn record(&self, reduction: &Reduction) -> Result<(), LedgerError> {
        Ok(Store::record(self, reduction)?)
    }

    fn forget(&self, thunk: &Name) {
        Store::forget(self, thunk);
    }
}
