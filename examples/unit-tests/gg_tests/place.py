"""Where test programs run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import gg

from .case import Ran, Refused
from .pending import is_pending, runtime, shared

#: Where a test program writes its own record of the run.
RECORD = "/tmp/gg-record"
#: What stands between the program's text and its record.
MARK = "----- gg-gtest: the record -----"
#: Seconds that a program has to end once it is told to.
GRACE = 5
#: What `timeout` says of a program whose time was over: that it went, or had to be killed.
OVER = (124, 137)
# A program that fails may have written a record as well, and what a thunk that failed has written is lost, but for its
# streams. So the record is appended to these.
SCRIPT = f"""
limit=$1
shift
if [ "$limit" ]; then timeout -k {GRACE} "$limit" "$@" 2>&1; else "$@" 2>&1; fi
status=$?
echo
echo "{MARK}"
if [ -e {RECORD} ]; then cat {RECORD}; fi
exit $status
"""


@dataclass(frozen=True)
class Place:
    """What a test program can see beside itself and its libraries."""

    cwd: str
    #: Inputs by path.
    inputs: Mapping[str, Union[gg.Source, "os.PathLike[str]"]] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    #: Files of this machine that belong to the program.
    also: Tuple[str, ...] = ()
    #: Further programs that it starts.
    programs: Tuple[str, ...] = ()
    #: Where the shared libraries of a program are that is not linked yet, if not beside it.
    build: str = ""
    #: Treats a program that is linked as if it were not: so it is the same thunk before and after.
    uncaptured: bool = False
    #: Seconds that a case may run.
    timeout: Optional[float] = None
    #: Runs anew what was run before.
    volatile: bool = False

    def but(self, **changes: object) -> "Place":
        """The same with changes."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def thunk(
        self, command: Sequence[str], label: str, cases: int = 1, env: Optional[Dict[str, str]] = None
    ) -> gg.Thunk:
        """A run of a program for so many cases."""
        limit = "" if self.timeout is None else f"{self.timeout * cases:g}"
        program, also, inputs = [command[0]], self.also, self.inputs
        if self.uncaptured or is_pending(command[0]):
            program, also = [], (*also, *runtime())
            inputs = {**shared(self.build or os.path.dirname(command[0])), command[0]: gg.file(command[0]), **inputs}
        return gg.thunk(
            "sh",
            ["-c", SCRIPT, "gg-gtest", limit, *command],
            programs=[*program, "cat", *(["timeout"] if limit else []), *self.programs],
            also=also,
            inputs=dict(inputs),
            env={**self.env, **(env or {})},
            cwd=self.cwd,
            volatile=self.volatile,
            # Tests write scratch files.
            strict=False,
            label=label,
        )


def ran(result: Union[gg.Result, gg.ProgramError], timeout: Optional[float]) -> Ran:
    """How a program that a :meth:`Place.thunk` ran has ended."""
    text, _, record = result.stdout.partition(f"\n{MARK}\n")
    if isinstance(result, gg.Result):
        return Ran(text, 0, result.wall, result.cached, record)
    if result.status is None and result.signal is None:
        # Not even the shell ended by itself.
        return Ran(text + result.stderr + result.message, 137, 0.0, False, timed_out=True)
    status = 128 + result.signal if result.signal else result.status or 0
    over = timeout is not None and status in OVER
    return Ran(text + result.stderr, status, 0.0, False, record, over)


def inputs_of(stated: Iterable[str], cwd: str) -> Dict[str, gg.Source]:
    """What `PATH[=FILE]` says, as `gg run --in` has it."""
    inputs = {}
    for text in stated:
        path, _, at = text.partition("=")
        here = os.path.join(os.getcwd(), at or path)
        if not os.path.exists(here):
            raise Refused(f"--in {text}: there is no {here}")
        inputs[os.path.normpath(os.path.join(cwd, path))] = gg.file(here)
    return inputs


def environment_of(stated: Iterable[str]) -> Dict[str, str]:
    """What `NAME[=VALUE]` says; without a value, it is as here."""
    pairs: List[Tuple[str, str, str]] = [text.partition("=") for text in stated]
    return {name: value if equals else os.environ.get(name, "") for name, equals, value in pairs}
