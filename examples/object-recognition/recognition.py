"""Says what is to be seen in each frame of a clip, in batches that are thunks. README.md says what this shows."""

from __future__ import annotations

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Tuple

import gg
from clip import FRAMES, THUMBNAIL, clip, cut
from detect import detect
from sheet import Batch, sheet

RESULTS = ("objects.json", "objects.html")


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="run", description="Says what is to be seen in each frame of a clip.")
    parser.add_argument(
        "-e", "--engine", default="", help="where thunks run: local:2, lambda:1000 [GG_ENGINE, or local]"
    )
    parser.add_argument("--frames", type=int, default=192, help="of the clip, 24 a second [%(default)s]")
    parser.add_argument("--batch", type=int, default=24, help="frames of a thunk [%(default)s]")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("."), help="the directory for objects.json and objects.html [.]"
    )
    parser.add_argument("--check", action="store_true", help="compare with the same done serially without gg")
    parser.add_argument("--cache", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def batches(frames: int, size: int) -> List[Tuple[int, int]]:
    """The first frame and the number of frames of each batch."""
    return [(begin, min(size, frames - begin)) for begin in range(0, frames, size)]


def with_gg(session: gg.Session, source: Path, model: Path, listed: List[Tuple[int, int]]) -> List[Batch]:
    """Cuts and recognises all batches as thunks, and says what that took."""
    cuts, seen = [], []
    for begin, count in listed:
        made = gg.thunk(
            "ffmpeg",
            cut(begin, count),
            inputs={"clip.mkv": source},
            outputs=[FRAMES, THUMBNAIL],
            cwd="/cut",
            label=f"frames from {begin}",
        )
        cuts.append(made)
        seen.append(detect(made[FRAMES], model / "model.tflite", model / "labels.txt"))
    results = session.force([*seen, *cuts])
    ran = [it for it in results if not it.cached]
    print(f"{len(ran)} of {len(results)} thunks ran, for {sum(it.cpu or 0 for it in ran):.1f} CPU s")
    found, pictures = results[: len(seen)], results[len(seen) :]
    return [Batch(begin, it.value(), cut[THUMBNAIL].bytes()) for (begin, _), it, cut in zip(listed, found, pictures)]


def serially(source: Path, model: Path, listed: List[Tuple[int, int]]) -> List[Batch]:
    """The same here and now: the same calls of ffmpeg, and the same function."""
    made = []
    for begin, count in listed:
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            os.symlink(os.path.abspath(source), place / "clip.mkv")
            subprocess.run(["ffmpeg", *cut(begin, count)], cwd=place, check=True)
            found = detect.function(place / FRAMES, model / "model.tflite", model / "labels.txt")
            made.append(Batch(begin, found, (place / THUMBNAIL).read_bytes()))
    return made


def texts(made: List[Batch]) -> Tuple[str, str]:
    """What the two results hold: a line of JSON for each frame, and the page."""
    lines = [
        json.dumps({"frame": batch.begin + number, "objects": objects})
        for batch in made
        for number, objects in enumerate(batch.found)
    ]
    return "\n".join(lines) + "\n", sheet(made)


def main() -> None:
    """Does what is asked."""
    asked = arguments()
    source, model = clip(asked.cache, asked.frames), asked.cache / "model"
    listed = batches(asked.frames, asked.batch)
    begun = time.monotonic()
    with gg.Session(engines=asked.engine) as session:
        made = with_gg(session, source, model, listed)
    took = time.monotonic() - begun
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, text in zip(RESULTS, texts(made)):
        (asked.out / name).write_text(text)
    counted = collections.Counter(
        name for batch in made for frame in batch.found for name in {it["is"] for it in frame}
    )
    print(f"{asked.frames} frames in {len(listed)} batches after {took:.1f} s")
    print("frames with", ", ".join(f"{name}: {count}" for name, count in sorted(counted.items())))
    if asked.check:
        begun, spent = time.monotonic(), sum(os.times()[:4])
        want = texts(serially(source, model, listed))
        spent = sum(os.times()[:4]) - spent
        print(f"serially, without gg: {time.monotonic() - begun:.1f} s, {spent:.1f} CPU s")
        same = [(asked.out / name).read_text() == text for name, text in zip(RESULTS, want)]
        for name, holds in zip(RESULTS, same):
            print(f"{'yes' if holds else 'NO':4} {name} is the same, byte for byte")
        if not all(same) or not counted:
            sys.exit(1)


try:
    main()
except gg.Error as error:
    sys.exit(f"run: {error}")
