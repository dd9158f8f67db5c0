//! Which parts of a pack are read together.

use std::ops::Range;

use gg_ir::Name;

use super::pack::{BlockPlan, Index, Piece};
use super::sources::{PackSource, key};

/// Packs of up to this many bytes are read whole: the rest of them will be wanted by the next compile.
pub(super) const WHOLE: u64 = 4 << 20;
/// Bytes that nobody asked for are cheaper than another request.
const GAP: u64 = 128 << 10;
/// Larger parts are read side by side.
const SPAN: u64 = 8 << 20;

/// A part of a pack that is read in one request.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub range: Range<u64>,
    pub blocks: Vec<BlockPlan>,
}

/// Reads near blocks together.
pub(super) fn spans(mut blocks: Vec<BlockPlan>) -> Vec<Span> {
    blocks.sort_by_key(|block| block.offset);
    let mut spans: Vec<Span> = Vec::new();
    for block in blocks {
        let (start, end) = (block.offset, block.offset.saturating_add(block.length));
        match spans.last_mut() {
            Some(span)
                if start >= span.range.end && start - span.range.end <= GAP && end - span.range.start <= SPAN =>
            {
                if start > span.range.end {
                    span.blocks.push(BlockPlan::skip(span.range.end, start - span.range.end));
                }
                span.range.end = end;
                span.blocks.push(block);
            }
            _ => spans.push(Span { range: start..end, blocks: vec![block] }),
        }
    }
    spans
}

/// Every block with an object that is `wanted`; each is taken whole.
pub(super) fn by_index(index: &Index, wanted: impl Fn(&Name) -> bool) -> Vec<BlockPlan> {
    let blocks = index.blocks().filter(|(_, names)| names.iter().any(&wanted));
    blocks.map(|(block, names)| BlockPlan::whole(block, names)).collect()
}

/// The blocks of a pack in which these objects lie, as the sources say.
pub(super) fn by_source(source: &PackSource, wanted: &[Name]) -> Vec<BlockPlan> {
    let mut plans = Vec::new();
    for (offset, block) in &source.blocks {
        let mut pieces = Vec::new();
        for (at, told) in &block.objects {
            // Two that differ behind the first 8 bytes are told apart when they arrive.
            let named = wanted.iter().find(|name| key(name) == *told);
            pieces.extend(named.map(|name| Piece { at: *at, name: *name }));
        }
        if !pieces.is_empty() {
            plans.push(BlockPlan { offset: *offset, length: block.length, pieces, exact: false });
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(offset: u64, length: u64) -> BlockPlan {
        let pieces = vec![Piece { at: 0, name: Name::of_value(b"x") }];
        BlockPlan { offset, length, pieces, exact: false }
    }

    #[test]
    fn near_blocks_are_read_together() {
        let spans = spans(vec![block(500, 100), block(4, 96), block(100, 50), block(2 * GAP, 10)]);
        let ranges: Vec<_> = spans.iter().map(|span| span.range.clone()).collect();
        assert_eq!(ranges, [4..600, 2 * GAP..2 * GAP + 10]);
        let lengths: Vec<_> = spans[0].blocks.iter().map(|block| (block.length, block.pieces.len())).collect();
        assert_eq!(lengths, [(96, 1), (50, 1), (350, 0), (100, 1)]);
    }

    #[test]
    fn large_parts_are_read_side_by_side() {
        let spans = spans((0..10).map(|n| block(4 + n * (3 << 20), 3 << 20)).collect());
        assert_eq!(spans.len(), 5);
        assert!(spans.iter().all(|span| span.range.end - span.range.start <= SPAN));
    }
}
