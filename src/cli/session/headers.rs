//! What headers were sealed as, from call to call.
//!
//! Most of what a compile reads was read by an earlier one. The scanner gives the same allocation for the same file, so one
//! look at an address tells what the file was, and its state whether it still is.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gg_ir::{AbsPath, Input};
use gg_models::scan::hash::QuickMap;
use gg_models::{Header, Read, State};
use gg_store::Protection;

/// A header whose content is in the store, or known to be where it is.
#[derive(Debug)]
struct Known {
    /// Keeps the address from being that of another file.
    _file: Arc<Path>,
    state: State,
    /// What its presence in the store rests on.
    protection: Protection,
    path: AbsPath,
    input: Input,
}

/// All headers sealed so far, by their addresses.
#[derive(Debug, Default)]
pub struct Headers(Mutex<QuickMap<usize, Known>>);

fn address(header: &Header) -> usize {
    Arc::as_ptr(&header.path).cast::<u8>() as usize
}

impl Headers {
    /// What each header among `reads` was sealed as, if it is what it was.
    pub fn known(&self, reads: &[Read], protection: Protection) -> Vec<Option<(AbsPath, Input)>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let input = |header: &Header| {
            let known = kept.get(&address(header))?;
            let holds = header.state == Some(known.state) && known.protection == protection;
            holds.then(|| (known.path.clone(), known.input.clone()))
        };
        let headers = reads.iter().filter_map(|read| if let Read::Header(header) = read { Some(header) } else { None });
        headers.map(input).collect()
    }

    /// Keeps what a header in a known state was sealed as.
    pub fn keep(&self, header: &Header, protection: Protection, path: &AbsPath, input: &Input) {
        let Some(state) = header.state else { return };
        let (path, input) = (path.clone(), input.clone());
        let known = Known { _file: Arc::clone(&header.path), state, protection, path, input };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(address(header), known);
    }
}
