"""The tests of a CMake project: what ``ctest --show-only=json-v1`` says of them."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from typing import Any, Dict, List, Sequence, Tuple

import gg

from .case import DISABLED, FAILED, PASSED, SKIPPED, Case, Job, Outcome, Plan, Ran, Refused
from .googletest import failure
from .place import Place

#: What a test may say that changes nothing where each test has a sandbox of its own.
OF_NO_CONCERN = {"COST", "LABELS", "PROCESSORS", "PROCESSOR_AFFINITY", "RESOURCE_LOCK", "RUN_SERIAL",
                 "TIMEOUT_AFTER_MATCH", "ATTACHED_FILES", "ATTACHED_FILES_ON_FAIL", "MEASUREMENT", "_BACKTRACE_TRIPLES"}
UNDERSTOOD = {"DISABLED", "ENVIRONMENT", "FAIL_REGULAR_EXPRESSION", "PASS_REGULAR_EXPRESSION", "REQUIRED_FILES",
              "SKIP_REGULAR_EXPRESSION", "SKIP_RETURN_CODE", "TIMEOUT", "WILL_FAIL", "WORKING_DIRECTORY"}


@dataclass
class CTest(Job):
    """A test."""

    place: Place
    command: Sequence[str]
    cases: List[Case]
    properties: Dict[str, Any] = field(default_factory=dict)

    def thunk(self) -> gg.Thunk:
        return self.place.thunk(self.command, str(self.cases[0]))

    def read(self, ran: Ran) -> Tuple[List[Outcome], List[Job]]:
        status, why = self.judged(ran)
        return [Outcome(self.cases[0], status, ran.seconds, why, "" if status == PASSED else ran.text, ran.cached)], []

    def judged(self, ran: Ran) -> Tuple[str, str]:
        """What ctest makes of how a test's program ended."""
        says = self.properties

        def printed(name: str) -> str:
            return next((it for it in says.get(name, []) if re.search(it, ran.text)), "")

        if ran.timed_out:
            return failure(ran), ran.how
        if printed("SKIP_REGULAR_EXPRESSION"):
            return SKIPPED, f"it printed {printed('SKIP_REGULAR_EXPRESSION')!r}"
        if says.get("SKIP_RETURN_CODE") == ran.status:
            return SKIPPED, ran.how
        if ran.status > 128 and not says.get("WILL_FAIL"):
            return failure(ran), ran.how
        passed, why = ran.status == 0, ran.how
        if "PASS_REGULAR_EXPRESSION" in says:
            passed = bool(printed("PASS_REGULAR_EXPRESSION"))
            why = f"it did not print {says['PASS_REGULAR_EXPRESSION']}"
        if passed and printed("FAIL_REGULAR_EXPRESSION"):
            passed, why = False, f"it printed {printed('FAIL_REGULAR_EXPRESSION')!r}"
        if says.get("WILL_FAIL"):
            passed, why = not passed, "it was to fail, and did not"
        return (PASSED, "") if passed else (FAILED, why)


def plan(place: Place, directory: str, filter: str) -> Plan:
    """The tests of a build directory whose names the regular expression is found in."""
    command = ["ctest", "--test-dir", directory, "--show-only=json-v1", *(["-R", filter] if filter else [])]
    asked = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if asked.returncode != 0:
        raise Refused(f"{' '.join(command)} failed")
    planned = Plan([], [])
    for test in json.loads(asked.stdout)["tests"]:
        says = {said["name"]: said["value"] for said in test.get("properties", [])}
        case = Case("", test["name"])
        planned.cases.append(case)
        if says.get("DISABLED"):
            planned.known.append(Outcome(case, DISABLED))
            continue
        strange = set(says) - UNDERSTOOD - OF_NO_CONCERN
        if strange or "command" not in test:
            what = f"has {', '.join(sorted(strange))}" if strange else "has no program: build it first"
            raise Refused(f"the test {case} {what}, which is not understood; choose others with --filter")
        environment = dict(pair.split("=", 1) for pair in says.get("ENVIRONMENT", []))
        own = place.but(
            build=directory,
            uncaptured=place.uncaptured and test["command"][0].startswith(f"{directory}/"),
            cwd=says.get("WORKING_DIRECTORY", directory),
            env={**place.env, **environment},
            timeout=place.timeout if place.timeout is not None else says.get("TIMEOUT"),
            inputs={**place.inputs, **{path: gg.file(path) for path in says.get("REQUIRED_FILES", [])}},
        )
        planned.jobs.append(CTest(own, test["command"], [case], says))
    return planned
