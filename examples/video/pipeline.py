"""The steps from a clip to an encoded file, and what the result is compared by."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Union

from steps import Made, Step

HERE = Path(__file__).resolve().parent
RATE = 24
# With one thread each, what the programs make does not depend on the number of processors.
FFMPEG = ("-v", "error", "-nostdin", "-y", "-threads", "1")
VPXENC = tuple(
    (
        "--quiet --codec=vp8 --ivf --good --cpu-used=0 --threads=1 --token-parts=0 --tune=psnr "
        "--passes=2 --auto-alt-ref=1 --kf-max-dist=9999"
    ).split()
)
# A target that no clip reaches, so that the quality alone decides.
QUALITY = "--end-usage=cq --min-q=0 --max-q=63 --target-bitrate=1000000 --cq-level={}"
RATED = 'read share <kbps; exec vpxenc "--target-bitrate=$share" "$@"'


def clip(cache: Path, size: str, frames: int) -> Path:
    """The clip: a zoom into the Mandelbrot set with grain over it, stored without loss, each frame for itself."""
    path = cache / f"clip-{size}-{frames}.mkv"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        drawn = f"mandelbrot=s={size}:r={RATE}:end_pts=400:maxiter=2000,noise=alls=8:allf=t:all_seed=1"
        exact = ("-fflags", "+bitexact", "-flags", "+bitexact")
        coded = ("-pix_fmt", "yuv420p", "-c:v", "ffv1", "-level", "3", "-g", "1", *exact)
        made = path.with_suffix(".tmp.mkv")
        subprocess.run(
            ["ffmpeg", *FFMPEG, "-f", "lavfi", "-i", drawn, "-frames:v", str(frames), *coded, str(made)], check=True
        )
        made.rename(path)
    return path


class Encoding(NamedTuple):
    """The pipeline for one clip."""

    #: The raw frames of each chunk.
    cuts: List[Made]
    joined: Made


def encoding(source: Path, frames: int, chunk: int, quality: int, kbps: Optional[int]) -> Encoding:
    """Cuts the clip into chunks of so many frames, runs both passes on each, and joins them. Of constant quality, or of
    a mean bit rate."""
    numbers = range(-(-frames // chunk))
    cuts = [cut(source, chunk, number) for number in numbers]
    rate = () if kbps is not None else tuple(QUALITY.format(quality).split())
    firsts = []
    for number, raw in zip(numbers, cuts):
        args = (*VPXENC, *rate, "--pass=1", "--fpf=stats", "-o", "/dev/null", "chunk.y4m")
        firsts.append(
            Made(Step(f"first pass of chunk {number}", "vpxenc", args, {"chunk.y4m": raw}, ("stats",)), "stats")
        )
    names = [f"stats{number}" for number in numbers]
    shares = tuple(f"{name}.kbps" for name in names)
    allot = Step("allot", str(HERE / "allot.py"), (str(kbps), *names), dict(zip(names, firsts)), shares)
    seconds = []
    for number, raw, first, share in zip(numbers, cuts, firsts, shares):
        inputs: Dict[str, Union[Path, Made]] = {"chunk.y4m": raw, "stats": first}
        args = (*VPXENC, *rate, "--pass=2", "--fpf=stats", "-o", "chunk.ivf", "chunk.y4m")
        label = f"second pass of chunk {number}"
        if kbps is None:
            step = Step(label, "vpxenc", args, inputs, ("chunk.ivf",))
        else:
            inputs["kbps"] = Made(allot, share)
            step = Step(label, "sh", ("-c", RATED, "sh", *args), inputs, ("chunk.ivf",), ("vpxenc",))
        seconds.append(Made(step, "chunk.ivf"))
    names = [f"chunk{number}.ivf" for number in numbers]
    args = ("joined.ivf", str(chunk), *names)
    join = Step("join", str(HERE / "join.py"), args, dict(zip(names, seconds)), ("joined.ivf",))
    return Encoding(cuts, Made(join, "joined.ivf"))


def cut(source: Path, chunk: int, number: int) -> Made:
    """The raw frames of a chunk."""
    # Half a frame early: a time stamp that is rounded still leads to the frame that is meant.
    begin = max(0, (number * chunk - 0.5) / RATE)
    args = ("-ss", f"{begin:.6f}", "-i", "clip.mkv", "-frames:v", str(chunk), "-pix_fmt", "yuv420p", "chunk.y4m")
    step = Step(f"cut of chunk {number}", "ffmpeg", (*FFMPEG, *args), {"clip.mkv": source}, ("chunk.y4m",))
    return Made(step, "chunk.y4m")


def frame_hashes(path: Path) -> List[str]:
    """The MD5 of each frame that a file shows, as ffmpeg tells it."""
    told = "-fps_mode passthrough -pix_fmt yuv420p -f framemd5 -".split()
    command = ["ffmpeg", *FFMPEG, "-i", str(path), *told]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [line.rsplit(",", 1)[1].strip() for line in said.splitlines() if not line.startswith("#")]


def psnr(path: Path, source: Path) -> float:
    """The peak signal-to-noise ratio over all frames and planes, in dB."""
    match = "[0:v]settb=1,setpts=N[a];[1:v]settb=1,setpts=N[b];[a][b]psnr"
    told = ["-fps_mode", "passthrough", "-lavfi", match, "-f", "null", "-"]
    command = ["ffmpeg", "-nostdin", "-i", str(path), "-i", str(source), *told]
    said = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True).stderr
    return float(said.rsplit("average:", 1)[1].split()[0])
