//! Copies that share their blocks, on the file systems that can (btrfs, xfs, bcachefs).

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

use crate::shards::lock;

/// Knows on which file systems sharing failed, so that it is tried once and not once per file.
#[derive(Debug, Default)]
pub(crate) struct Reflinks {
    failed: Mutex<HashSet<u64>>,
}

impl Reflinks {
    /// Makes `to` share the content of `from`; `false` when that cannot be had, and `to` is as it was.
    pub fn clone(&self, from: &File, to: &File) -> bool {
        let device = |file: &File| file.metadata().map(|meta| meta.dev());
        let (Ok(source), Ok(destination)) = (device(from), device(to)) else { return false };
        // Across file systems it never works.
        if source != destination || lock(&self.failed).contains(&source) {
            return false;
        }
        let cloned = rustix::fs::ioctl_ficlone(to, from).is_ok();
        if !cloned {
            lock(&self.failed).insert(source);
        }
        cloned
    }
}
