"""One program run on some files: as a thunk, or here and now. Both are made from the same words, so they can be
compared."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Tuple, Union

import gg

#: Where a step runs in its sandbox.
PLACE = "/step"


class Step(NamedTuple):
    """A program, its arguments, and the files that it reads and writes, all in one directory."""

    label: str
    #: A name that is looked up in PATH, or the path of a Python script.
    program: str
    args: Tuple[str, ...]
    #: What it reads, by name: a file of this machine, or what another step writes.
    inputs: Mapping[str, Union[Path, "Made"]]
    #: The names of what it writes.
    outputs: Tuple[str, ...]
    #: What else it starts.
    programs: Tuple[str, ...] = ()


class Made(NamedTuple):
    """A file that a step writes."""

    step: Step
    name: str


class Thunks:
    """Steps as thunks, each once."""

    def __init__(self) -> None:
        self._known: Dict[int, gg.Thunk] = {}

    def of(self, step: Step) -> gg.Thunk:
        """The thunk of a step, and so of all that it needs; nothing runs."""
        if id(step) not in self._known:
            inputs = {
                name: self.of(it.step)[it.name] if isinstance(it, Made) else it for name, it in step.inputs.items()
            }
            make = gg.python if step.program.endswith(".py") else gg.thunk
            more: Dict[str, Any] = {
                "outputs": step.outputs,
                "programs": step.programs,
                "cwd": PLACE,
                "label": step.label,
            }
            self._known[id(step)] = make(step.program, step.args, inputs=inputs, **more)
        return self._known[id(step)]


class Serial:
    """Steps one after the other, without gg, below a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._done: Dict[int, Path] = {}

    def run(self, step: Step) -> Path:
        """Runs a step, and before it what it needs. The directory where its outputs are."""
        if id(step) not in self._done:
            inputs = {
                name: self.run(it.step) / it.name if isinstance(it, Made) else it for name, it in step.inputs.items()
            }
            place = Path(tempfile.mkdtemp(dir=self._directory))
            for name, path in inputs.items():
                os.symlink(os.path.abspath(path), place / name)
            interpreter = [sys.executable] if step.program.endswith(".py") else []
            subprocess.run([*interpreter, step.program, *step.args], cwd=place, stdin=subprocess.DEVNULL, check=True)
            self._done[id(step)] = place
        return self._done[id(step)]
