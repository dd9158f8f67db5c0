"""Joins IVF files: join.py OUTPUT FRAMES INPUT ...

FRAMES is how many frames each input shows but the last. Time stamps count frames here, so those of a chunk begin where
the chunk before it ends. The layout is that of libvpx's ivfenc.c: a header of 32 bytes, and before each frame its size
(4 bytes) and time stamp (8).
"""

import struct
import sys

HEADER = 32


def packets(content, name):
    """The time stamp and content of each frame of an IVF file."""
    if content[:4] != b"DKIF":
        sys.exit(f"join.py: {name} is no IVF file")
    at = HEADER
    while at < len(content):
        size, stamp = struct.unpack_from("<IQ", content, at)
        frame = content[at + 12 : at + 12 + size]
        if len(frame) != size:
            sys.exit(f"join.py: {name} ends within a frame")
        yield stamp, frame
        at += 12 + size


def main():
    output, frames, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    header, joined = b"", []
    for number, name in enumerate(names):
        with open(name, "rb") as file:
            content = file.read()
        header = header or content[:HEADER]
        if content[8:24] != header[8:24]:
            sys.exit(f"join.py: {name} has another codec, size or rate than {names[0]}")
        joined += [(number * frames + stamp, frame) for stamp, frame in packets(content, name)]
    with open(output, "wb") as file:
        file.write(header[:24] + struct.pack("<II", len(joined), 0))
        for stamp, frame in joined:
            file.write(struct.pack("<IQ", len(frame), stamp) + frame)


main()
