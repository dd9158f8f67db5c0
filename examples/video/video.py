"""Encodes a clip in chunks, each of them in thunks, and joins them. README.md says what this shows."""

from __future__ import annotations

import argparse
import filecmp
import os
import sys
import tempfile
import time
from pathlib import Path

import gg
from pipeline import RATE, Encoding, clip, encoding, frame_hashes, psnr
from steps import Serial, Thunks

#: Frames of a chunk in the table; ExCamera's are 6.
CHUNKS = (6, 12, 24, 48, 120)


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="run", description="Encodes a clip in chunks, in parallel, and joins them.")
    parser.add_argument(
        "-e", "--engine", default="", help="where thunks run: local:2, lambda:1000 [GG_ENGINE, or local]"
    )
    parser.add_argument("--size", default="640x360", help="of the clip [%(default)s]")
    parser.add_argument("--frames", type=int, default=240, help="of the clip, 24 a second [%(default)s]")
    parser.add_argument("--chunk", type=int, default=24, help="frames of a chunk [%(default)s]")
    parser.add_argument("--quality", type=int, default=32, help="from 0, the best, to 63 [%(default)s]")
    parser.add_argument("--kbps", type=int, help="a mean bit rate in place of a constant quality")
    parser.add_argument("-o", "--out", type=Path, default=Path("video.ivf"), help="the encoded file [%(default)s]")
    parser.add_argument("--check", action="store_true", help="compare with the same steps run serially without gg")
    parser.add_argument("--table", action="store_true", help="bytes and quality for several lengths of chunks")
    return parser.parse_args()


def forced(session: gg.Session, what: Encoding, out: Path) -> bool:
    """Forces a pipeline and saves its result; whether that was known."""
    result = session.force(Thunks().of(what.joined.step))
    result[what.joined.name].save(out)
    return result.cached


def check(what: Encoding, out: Path, source: Path, frames: int) -> bool:
    """Runs the same steps serially without gg, and compares the file, the frames shown, and the frames cut."""
    with tempfile.TemporaryDirectory() as place:
        serial, begun = Serial(Path(place)), time.monotonic()
        want = serial.run(what.joined.step) / what.joined.name
        print(f"serially, without gg: {time.monotonic() - begun:.1f} s")
        cut = [shown for made in what.cuts for shown in frame_hashes(serial.run(made.step) / made.name)]
        results = {
            "the file is the same, byte for byte": filecmp.cmp(out, want, shallow=False),
            f"each of {frames} frames is shown, with the same MD5": len(frame_hashes(out)) == frames
            and frame_hashes(out) == frame_hashes(want),
            "the chunks hold the clip's frames": cut == frame_hashes(source),
        }
    for text, holds in results.items():
        print(f"{'yes' if holds else 'NO':4} {text}")
    return all(results.values())


def table(session: gg.Session, source: Path, asked: argparse.Namespace) -> None:
    """Bytes and quality by the length of chunks; the whole clip as one chunk is what a serial encoder makes."""
    print("frames a chunk     bytes  of whole  PSNR dB")
    whole = 0
    for chunk in (asked.frames, *(it for it in reversed(CHUNKS) if it < asked.frames)):
        with tempfile.TemporaryDirectory() as place:
            out = Path(place) / "joined.ivf"
            forced(session, encoding(source, asked.frames, chunk, asked.quality, asked.kbps), out)
            size = out.stat().st_size
            whole = whole or size
            name = "whole" if chunk == asked.frames else str(chunk)
            print(f"{name:>14} {size:9} {size / whole:9.2f} {psnr(out, source):8.2f}", flush=True)


def main() -> None:
    """Does what is asked."""
    asked = arguments()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gg-examples" / "video"
    source = clip(cache, asked.size, asked.frames)
    begun = time.monotonic()
    with gg.Session(engines=asked.engine) as session:
        if asked.table:
            table(session, source, asked)
            return
        what = encoding(source, asked.frames, asked.chunk, asked.quality, asked.kbps)
        known = forced(session, what, asked.out)
    size, length, took = asked.out.stat().st_size, asked.frames / RATE, time.monotonic() - begun
    said = f"{size} bytes, {length:.1f} s of video in {len(what.cuts)} chunks, after {took:.1f} s"
    print(f"{asked.out}: {said}{', known' if known else ''}")
    if asked.check and not check(what, asked.out, source, asked.frames):
        sys.exit(1)


try:
    main()
except gg.Error as error:
    sys.exit(f"run: {error}")
