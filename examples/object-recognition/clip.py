"""The clip, and the frames of its batches."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Tuple

RATE = 24
#: Frames that each picture is shown for.
SHOWN = 48
# With one thread, what ffmpeg makes does not depend on the number of processors.
FFMPEG = ("-v", "error", "-nostdin", "-y", "-threads", "1", "-filter_threads", "1")
EXACT = ("-fflags", "+bitexact", "-flags", "+bitexact")
#: What a batch's cut writes: the network's input, and a picture for people.
FRAMES, THUMBNAIL = "frames.rgb", "thumbnail.jpg"


def clip(cache: Path, frames: int) -> Path:
    """A clip that moves over photographs, one after the other, and over again."""
    path = cache / f"clip-{frames}.mkv"
    if not path.exists():
        made = path.with_suffix(".tmp.mkv")
        pictures = sorted((cache / "pictures").glob("*.png"))
        inputs = [word for picture in pictures for word in ("-i", str(picture))]
        fill = "scale=1280:720:force_original_aspect_ratio=increase,crop=1280:720,format=yuv420p"
        way = f"z='1+0.3*on/{SHOWN}':x='(iw-iw/zoom)*on/{SHOWN}':y='(ih-ih/zoom)/2'"
        move = f"zoompan={way}:d={SHOWN}:s=640x360:fps={RATE},setsar=1"
        scenes = [f"[{number}]{fill},{move}[v{number}]" for number in range(len(pictures))]
        joined = "".join(f"[v{number}]" for number in range(len(pictures)))
        loop = f"concat=n={len(pictures)},loop=loop=-1:size={SHOWN * len(pictures)}"
        graph = ";".join([*scenes, f"{joined}{loop}[all]"])
        coded = ("-c:v", "ffv1", "-level", "3", "-g", "1", *EXACT)
        command = [
            "ffmpeg",
            *FFMPEG,
            *inputs,
            "-filter_complex",
            graph,
            "-map",
            "[all]",
            "-frames:v",
            str(frames),
            *coded,
            str(made),
        ]
        subprocess.run(command, check=True)
        made.rename(path)
    return path


def cut(begin: int, count: int) -> Tuple[str, ...]:
    """The arguments with which ffmpeg takes a batch of frames from clip.mkv."""
    # Half a frame early: a time stamp that is rounded still leads to the frame that is meant.
    seek = ("-ss", f"{max(0, (begin - 0.5) / RATE):.6f}", "-i", "clip.mkv")
    frames = (
        "-frames:v",
        str(count),
        "-vf",
        "scale=300:300:flags=bilinear+bitexact",
        "-pix_fmt",
        "rgb24",
        "-f",
        "rawvideo",
        FRAMES,
    )
    picture = (
        "-frames:v",
        "1",
        "-vf",
        "scale=240:135:flags=bicubic+bitexact",
        "-q:v",
        "6",
        *EXACT,
        "-f",
        "mjpeg",
        THUMBNAIL,
    )
    return (*FFMPEG, *seek, *frames, *picture)
