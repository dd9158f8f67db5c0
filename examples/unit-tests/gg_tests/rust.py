"""Test programs of Rust: what ``cargo nextest list`` says of them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import List, Sequence, Tuple

import gg

from .case import DISABLED, FAILED, PASSED, Case, Job, Outcome, Plan, Ran, Refused
from .googletest import failure
from .place import Place


@dataclass
class RustTest(Job):
    """A test function."""

    place: Place
    program: str
    cases: List[Case]

    def thunk(self) -> gg.Thunk:
        return self.place.thunk([self.program, "--exact", self.cases[0].name, "--nocapture"], str(self.cases[0]))

    def read(self, ran: Ran) -> Tuple[List[Outcome], List[Job]]:
        passed = ran.status == 0 and "test result: ok. 1 passed" in ran.text
        status = PASSED if passed else failure(ran) if ran.status else FAILED
        why = "" if passed else ran.how if ran.status else "the program does not know it"
        return [Outcome(self.cases[0], status, ran.seconds, why, "" if passed else ran.text, ran.cached)], []


def plan(place: Place, arguments: Sequence[str], filter: str) -> Plan:
    """The tests of the workspace here, with what cargo is told of it; ``filter`` is an expression of nextest's."""
    command = ["cargo", "nextest", "list", "--message-format", "json", *(["-E", filter] if filter else []), *arguments]
    asked = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if asked.returncode != 0:
        raise Refused(f"{' '.join(command)} failed")
    planned = Plan([], [])
    for name, suite in sorted(json.loads(asked.stdout)["rust-suites"].items()):
        own = place.but(cwd=suite["cwd"], env={"CARGO_MANIFEST_DIR": suite["cwd"], **place.env})
        for test, says in sorted(suite.get("testcases", {}).items()):
            if says["filter-match"]["status"] != "matches" and not says["ignored"]:
                continue
            case = Case(name, test)
            planned.cases.append(case)
            if says["ignored"]:
                planned.known.append(Outcome(case, DISABLED))
            else:
                planned.jobs.append(RustTest(own, suite["binary-path"], [case]))
    return planned
