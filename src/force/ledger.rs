//! What the coordinator asks of a store: the one seam between it and the disk.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use gg_ir::{Kind, Name, Reduction, Thunk};
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

    /// The content of a value.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be had.
    fn read(&self, value: &Name) -> Result<Vec<u8>, LedgerError>;

    /// Whether the content of a value begins with these bytes; may be asked of one that is too long to read.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be had.
    fn begins(&self, value: &Name, with: &[u8]) -> Result<bool, LedgerError>;

    /// Keeps an object, and says what it is called.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be kept.
    fn put(&self, kind: Kind, bytes: &[u8]) -> Result<Name, LedgerError>;

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

    fn read(&self, value: &Name) -> Result<Vec<u8>, LedgerError> {
        Ok(Store::read(self, value)?)
    }

    fn begins(&self, value: &Name, with: &[u8]) -> Result<bool, LedgerError> {
        let path = self.file(value)?;
        let mut head = Vec::with_capacity(with.len());
        let read = File::open(&path).and_then(|file| file.take(with.len() as u64).read_to_end(&mut head));
        read.map_err(|error| LedgerError::Other(format!("cannot read {}: {error}", path.display())))?;
        Ok(head == with)
    }

    fn put(&self, kind: Kind, bytes: &[u8]) -> Result<Name, LedgerError> {
        Ok(Store::put(self, kind, bytes)?)
    }

    fn forget(&self, thunk: &Name) {
        Store::forget(self, thunk);
    }
}
