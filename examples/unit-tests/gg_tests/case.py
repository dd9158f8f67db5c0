"""Test cases, what came of them, and the jobs that run them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Dict, List, Optional, Protocol, Tuple
from xml.etree.ElementTree import Element

import gg

if TYPE_CHECKING:
    from .place import Place

PASSED, FAILED, CRASHED, TIMED_OUT, SKIPPED, DISABLED, ERROR = (
    "ok", "FAILED", "CRASHED", "TIMED OUT", "skipped", "disabled", "ERROR")
#: What makes a run one that failed.
BAD = (FAILED, CRASHED, TIMED_OUT, ERROR)


class Refused(Exception):
    """What was asked for cannot be done, and nothing was run."""


@dataclass(frozen=True)
class Case:
    """A test case."""

    suite: str
    name: str

    def __str__(self) -> str:
        return f"{self.suite}.{self.name}" if self.suite else self.name


@dataclass
class Outcome:
    """What came of a case."""

    case: Case
    status: str
    #: How long it ran, in seconds, whenever that was.
    seconds: float = 0.0
    #: One line: why it has that status.
    why: str = ""
    #: What it wrote, where that is of interest.
    output: str = ""
    #: Whether that was known, so that nothing ran.
    cached: bool = False
    #: The test program's own record of it.
    element: Optional[Element] = None


@dataclass
class Ran:
    """How a job's program ended."""

    #: What it wrote to its standard output and error, in its order.
    text: str
    #: Its exit status; 128 and the number of a signal that ended it.
    status: int
    seconds: float
    cached: bool
    #: Its own record of the run, if it wrote one.
    record: str = ""
    #: Whether it was ended because its time was over.
    timed_out: bool = False

    @property
    def how(self) -> str:
        """In words."""
        if self.timed_out:
            return "it was ended when its time was over"
        return f"it was killed by signal {self.status - 128}" if self.status > 128 else f"exit status {self.status}"


class Job(Protocol):
    """A thunk that runs cases."""

    place: "Place"
    cases: List[Case]

    def thunk(self) -> gg.Thunk:
        """The thunk."""

    def read(self, ran: Ran) -> Tuple[List[Outcome], "List[Job]"]:
        """What came of the cases, and what is to be run because that does not tell of all of them."""


@dataclass
class Plan:
    """What there is to run."""

    #: All cases, in the order in which they are recorded.
    cases: List[Case]
    jobs: List[Job]
    #: Cases of which the outcome is known without running anything.
    known: List[Outcome] = field(default_factory=list)


def ordered(cases: List[Case], outcomes: Dict[Case, Outcome]) -> List[Outcome]:
    """The outcomes in the order of the cases; what nobody expected is last."""
    listed = [outcomes[case] for case in cases if case in outcomes]
    expected = set(cases)
    return listed + sorted((it for it in outcomes.values() if it.case not in expected), key=lambda it: str(it.case))
