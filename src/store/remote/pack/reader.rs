//! Reading packs, and parts of packs.

use std::io::{self, Read};

use gg_ir::Name;

use super::{Block, PackError};
use crate::Store;
use crate::remote::arrive::{self, Failure};
use crate::remote::error::{RemoteError, Result};

/// The largest window that a frame may ask for, as a power of two; level 9 asks for 22 at most.
const WINDOW: u32 = 24;

/// An object within a block.
#[derive(Clone, Copy, Debug)]
pub(in crate::remote) struct Piece {
    /// Where it begins among the block's decompressed bytes.
    pub at: u64,
    pub name: Name,
}

/// What to take out of a block.
#[derive(Clone, Debug)]
pub(in crate::remote) struct BlockPlan {
    /// Where it begins in the pack; only for messages.
    pub offset: u64,
    /// Its compressed length.
    pub length: u64,
    /// The objects to take, by their places. A block of which nothing is wanted is skipped.
    pub pieces: Vec<Piece>,
    /// Whether the pieces are all that is in it, so that bytes left over are damage.
    pub exact: bool,
}

impl BlockPlan {
    /// Everything of a block.
    pub fn whole(block: &Block, names: &[Name]) -> Self {
        let mut at = 0;
        let piece = |name: &Name| {
            let piece = Piece { at, name: *name };
            // Checked when the index was read.
            at += name.length();
            piece
        };
        let pieces = names.iter().map(piece).collect();
        Self { offset: block.offset, length: block.length, pieces, exact: true }
    }

    /// Passes over a part of the pack.
    pub fn skip(offset: u64, length: u64) -> Self {
        Self { offset, length, pieces: Vec::new(), exact: false }
    }
}

/// Takes objects out of consecutive blocks, and puts them into the store.
///
/// # Errors
/// [`RemoteError::Pack`]; [`RemoteError::Local`]; what `from` carries in its errors.
pub(in crate::remote) fn unpack(mut from: impl Read, plans: &[BlockPlan], store: &Store) -> Result<()> {
    for plan in plans {
        let mut block = (&mut from).take(plan.length);
        if plan.pieces.is_empty() {
            let skipped = io::copy(&mut block, &mut io::sink()).map_err(|error| fault(error, PackError::Short))?;
            if skipped < plan.length {
                return Err(PackError::Short.into());
            }
            continue;
        }
        let damaged = PackError::Block { offset: plan.offset };
        one_block(&mut block, plan, store).map_err(|failure| match failure {
            Failure::Read(error) => fault(error, damaged.clone()),
            Failure::Damaged(error) => error.into(),
            Failure::Local(error) => error.into(),
        })?;
        // The next block begins behind this one, however much of it was wanted.
        let left = block.limit();
        let read = io::copy(&mut block, &mut io::sink()).map_err(|error| fault(error, damaged.clone()))?;
        if read < left || plan.exact && left > 0 {
            return Err(damaged.into());
        }
    }
    Ok(())
}

/// An error of reading: of the transport, which it carries, or damage.
pub(in crate::remote) fn fault(error: io::Error, damage: PackError) -> RemoteError {
    error.downcast::<RemoteError>().unwrap_or_else(|_| damage.into())
}

fn one_block(block: impl Read, plan: &BlockPlan, store: &Store) -> Result<(), Failure> {
    let damaged = || Failure::Damaged(PackError::Block { offset: plan.offset });
    let mut decoder = zstd::stream::read::Decoder::new(block)?.single_frame();
    decoder.window_log_max(WINDOW)?;
    let mut position = 0;
    for piece in &plan.pieces {
        let gap = piece.at.checked_sub(position).ok_or_else(damaged)?;
        if gap > 0 && io::copy(&mut (&mut decoder).take(gap), &mut io::sink())? < gap {
            return Err(damaged());
        }
        arrive::object(&mut decoder, &piece.name, store)?;
        position = piece.at + piece.name.length();
    }
    // Reading to the end also checks the frame's own checksum.
    if plan.exact && decoder.read(&mut [0])? > 0 { Err(damaged()) } else { Ok(()) }
}

/// Takes the one object out of a frame of its own.
///
/// # Errors
/// As [`unpack`].
pub(in crate::remote) fn unpack_object(from: &mut dyn Read, name: &Name, store: &Store) -> Result<()> {
    let plan = BlockPlan { offset: 0, length: 0, pieces: vec![Piece { at: 0, name: *name }], exact: true };
    let damaged = PackError::Object { name: *name };
    one_block(from, &plan, store).map_err(|failure| match failure {
        Failure::Read(error) => fault(error, damaged.clone()),
        Failure::Damaged(_) => damaged.into(),
        Failure::Local(error) => error.into(),
    })
}
