//! Frames: compressing objects one after the other, and getting a frame's bytes back.

use std::io;

use zstd::stream::raw::{CParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

use super::FRAME;

/// What is repeated is found by all levels; the higher ones only take longer.
const LEVEL: i32 = 1;
/// Ends a frame: an empty last block (RFC 8878, 3.1.1.2).
const END: [u8; 3] = [1, 0, 0];

/// Compresses the objects of one frame, each so that it can be decompressed without what follows.
pub(super) struct Compressor(Encoder<'static>);

impl Compressor {
    pub fn new() -> io::Result<Self> {
        let mut encoder = Encoder::new(LEVEL)?;
        encoder.set_parameter(CParameter::WindowLog(FRAME.ilog2()))?;
        Ok(Self(encoder))
    }

    /// Begins another frame.
    pub fn begin(&mut self) -> io::Result<()> {
        self.0.reinit()
    }

    /// The bytes that continue the frame.
    pub fn add(&mut self, object: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(object.len() / 4 + 1024);
        let mut input = InBuffer::around(object);
        while input.pos() < object.len() {
            self.step(&mut out, |encoder, output| encoder.run(&mut input, output))?;
        }
        while self.step(&mut out, Encoder::flush)? > 0 {}
        Ok(out)
    }

    fn step(
        &mut self,
        out: &mut Vec<u8>,
        work: impl FnOnce(&mut Encoder<'static>, &mut OutBuffer<'_, Vec<u8>>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        out.reserve(512);
        let written = out.len();
        work(&mut self.0, &mut OutBuffer::around_pos(out, written))
    }
}

/// Decompresses a frame that holds `length` bytes, as far as it goes. Its end is added to the bytes.
pub(super) fn decompress(frame: &mut Vec<u8>, length: usize) -> Vec<u8> {
    let end = frame.len();
    frame.extend_from_slice(&END);
    // With its end the frame is whole, and decompressed to where it belongs without a window beside.
    if let Ok(bytes) = zstd::bulk::decompress(frame, length)
        && bytes.len() == length
    {
        return bytes;
    }
    frame.truncate(end);
    piecemeal(frame, length).unwrap_or_default()
}

/// What comes before the damage.
fn piecemeal(frame: &[u8], length: usize) -> io::Result<Vec<u8>> {
    let mut decoder = Decoder::new()?;
    let mut input = InBuffer::around(frame);
    let mut bytes = Vec::with_capacity(length);
    loop {
        let before = (input.pos(), bytes.len());
        let step = decoder.run(&mut input, &mut OutBuffer::around_pos(&mut bytes, before.1));
        if step.is_err() || (input.pos(), bytes.len()) == before {
            return Ok(bytes);
        }
    }
}
