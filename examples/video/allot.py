"""Shares a clip's bits out to its chunks: allot.py KBPS STATS ...

Reads what vpxenc's first pass wrote of each chunk (--fpf), and writes beside STATS, as STATS.kbps, the bit rate for its
second pass. libvpx gives a frame bits by its modified error, av * sqrt(error / av), where av is the mean error of the
whole clip (vp8/encoder/firstpass.c, calculate_modified_err, at the default --bias-pct of 50); this is the same across
chunks.
"""

import math
import struct
import sys

#: FIRSTPASS_STATS of VP8: 18 doubles, of which the fourth is the error; the last record of a file is the sum.
RECORD = struct.Struct("<18d")
ERROR = 3


def errors(name):
    """The error of each frame of a chunk."""
    with open(name, "rb") as file:
        content = file.read()
    if len(content) % RECORD.size or len(content) < 2 * RECORD.size:
        sys.exit(f"allot.py: {name} is not what vpxenc's first pass writes for VP8")
    return [record[ERROR] for record in RECORD.iter_unpack(content)][:-1]


def main():
    kbps, names = float(sys.argv[1]), sys.argv[2:]
    chunks = [errors(name) for name in names]
    frames = sum(map(len, chunks))
    mean = sum(map(sum, chunks)) / frames
    weights = [sum(math.sqrt(error * mean) for error in chunk) for chunk in chunks]
    for name, chunk, weight in zip(names, chunks, weights):
        share = kbps * weight / sum(weights) * frames / len(chunk)
        with open(f"{name}.kbps", "w") as file:
            file.write(f"{max(1, round(share))}\n")


main()
