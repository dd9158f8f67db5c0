"""Programs that have not been linked yet: placeholders that ``gg infer`` has left.

A placeholder is an input like any file, and stands for what its thunk will have written. But which libraries such a
program needs is not known before it is linked, so it cannot be captured: it gets those that compilers link to without
being asked, and the shared libraries of the build.
"""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Dict, List

import gg

#: What programs of C and C++ are linked to without being asked; these bring what they need in turn (libc, libm).
RUNTIME = ("libstdc++.so.6", "libgcc_s.so.1")
#: No placeholder is longer, in bytes.
LONGEST = 512


def is_pending(path: str) -> bool:
    """Whether a file is a placeholder."""
    try:
        if os.path.getsize(path) > LONGEST:
            return False
        with open(path, "rb") as file:
            return b"/* gg-placeholder " in file.read(LONGEST)
    except OSError:
        return False


@functools.lru_cache(None)
def runtime() -> List[str]:
    """Where the compiler's runtime libraries are."""
    found = []
    for name in RUNTIME:
        asked = subprocess.run(["c++", f"-print-file-name={name}"], stdout=subprocess.PIPE, text=True, check=True)
        path = os.path.normpath(asked.stdout.strip())
        if os.path.isabs(path):
            found.append(path)
    return found


@functools.lru_cache(None)
def shared(directory: str) -> Dict[str, gg.Source]:
    """The shared libraries of a build, linked or not, by path."""
    return {str(path): gg.file(path) for path in sorted(Path(directory).rglob("*.so*")) if path.is_file()}
