"""Programs of GoogleTest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional, Sequence, Tuple
from xml.etree import ElementTree

import gg

from .case import CRASHED, DISABLED, FAILED, PASSED, SKIPPED, TIMED_OUT, Case, Job, Outcome, Plan, Ran, Refused
from .place import RECORD, Place, ran

#: Cases that one thunk runs by their names: what the system takes as an argument ends at 128 KiB.
MOST_NAMED = 50
#: Characters that are shown of why a case failed.
LINE = 100
#: Beyond so many cases there are shards, unless it is said otherwise.
MOST_THUNKS = 500
SHARDS = 100

SUITE = re.compile(r"^([^\s#]+)\.(?:\s+#.*)?$")
CASE = re.compile(r"^  ([^\s#]+)(?:\s+#.*)?$")
BEGUN = re.compile(r"^\[ RUN      \] (.+?)\n", re.M)
ENDED = re.compile(r"^\[ *(OK|FAILED|SKIPPED) *\] (\S+?)(?:, where .*)? \((\d+) ms\)$", re.M)
STATUS = {"OK": PASSED, "FAILED": FAILED, "SKIPPED": SKIPPED}


def listed(text: str) -> List[Case]:
    """The cases in what ``--gtest_list_tests`` prints."""
    cases: List[Case] = []
    suite = ""
    for line in text.splitlines():
        found = SUITE.match(line)
        if found:
            suite = found[1]
            continue
        found = CASE.match(line)
        if found and suite:
            cases.append(Case(suite, found[1]))
    return cases


def disabled(case: Case) -> bool:
    """Whether it only runs if it is asked for: ``DISABLED_*`` and ``*/DISABLED_*``, of suites and of cases."""
    return any(part.startswith("DISABLED_") for name in (case.suite, case.name) for part in name.split("/"))


@dataclass
class GoogleTest(Job):
    """A run of some cases of a program."""

    place: Place
    #: The program and the arguments that are its own.
    command: Sequence[str]
    cases: List[Case]
    filter: str
    #: Which shard of how many, if it is one.
    shard: Optional[Tuple[int, int]] = None

    def thunk(self) -> gg.Thunk:
        env = {}
        label = str(self.cases[0]) if len(self.cases) == 1 else f"{self.cases[0]} and {len(self.cases) - 1} more"
        if self.shard is not None:
            env = {"GTEST_SHARD_INDEX": str(self.shard[0]), "GTEST_TOTAL_SHARDS": str(self.shard[1])}
            label = f"shard {self.shard[0]} of {self.shard[1]}"
        flags = [f"--gtest_output=xml:{RECORD}", "--gtest_color=no"]
        flags += [f"--gtest_filter={self.filter}"] if self.filter else []
        return self.place.thunk([*self.command, *flags], label, len(self.cases), env)

    def read(self, ran: Ran) -> Tuple[List[Outcome], List[Job]]:
        outcomes = from_record(ran) if ran.record else {}
        outcomes = {case: outcomes[case] for case in self.cases if case in outcomes}
        if len(outcomes) < len(self.cases):
            for outcome in from_text(ran):
                if outcome.case in self.cases:
                    outcomes.setdefault(outcome.case, outcome)
        left = [case for case in self.cases if case not in outcomes]
        if not any(it.status in (FAILED, CRASHED, TIMED_OUT) for it in outcomes.values()) and (ran.status != 0 or left):
            # Something else than a case went wrong: in what is around them, or at the end of the program.
            if len(self.cases) > 1:
                return [], [self.alone(case) for case in self.cases]
            why = ran.how if ran.status else "it ran, and this case did not"
            return [Outcome(self.cases[0], failure(ran), ran.seconds, why, ran.text)], []
        return list(outcomes.values()), self.rest(left)

    def alone(self, case: Case) -> Job:
        """A run of one of the cases."""
        return GoogleTest(self.place, self.command, [case], str(case))

    def rest(self, left: List[Case]) -> List[Job]:
        """Runs of cases that were not reached."""
        groups = [left[start : start + MOST_NAMED] for start in range(0, len(left), MOST_NAMED)]
        return [GoogleTest(self.place, self.command, group, ":".join(map(str, group))) for group in groups]


def brief(text: str) -> str:
    """The beginning of a failure's text, in one line."""
    words = " ".join(text.replace(": Failure\n", " ", 1).split())
    return words if len(words) <= LINE else words[: LINE - 1] + "…"


def failure(ran: Ran) -> str:
    """What became of a case that its program did not survive."""
    return TIMED_OUT if ran.timed_out else CRASHED if ran.status > 128 else FAILED


def from_record(ran: Ran) -> Dict[Case, Outcome]:
    """What the program's own record says."""
    try:
        root = ElementTree.fromstring(ran.record)
    except ElementTree.ParseError:
        # Of a program that died while it wrote.
        return {}
    outcomes = {}
    texts = {outcome.case: outcome for outcome in from_text(ran)} if ran.status else {}
    for element in root.iter("testcase"):
        case = Case(element.get("classname", ""), element.get("name", ""))
        messages = [failed.get("message", "") for failed in element.findall("failure")]
        skipped = element.find("skipped")
        status, why = PASSED, ""
        if element.get("status") == "notrun":
            status = DISABLED
        elif messages:
            status, why = FAILED, brief(messages[0])
        elif skipped is not None:
            status, why = SKIPPED, skipped.get("message", "").strip().replace("\n", ": ")
        seconds = float(element.get("time") or 0)
        output = ""
        if messages:
            output = texts[case].output if case in texts else "\n".join(messages)
        outcomes[case] = Outcome(case, status, seconds, why, output, ran.cached, element)
    return outcomes


def from_text(ran: Ran) -> List[Outcome]:
    """What can be told from what the program printed: also from one that died."""
    outcomes = []
    begun = list(BEGUN.finditer(ran.text))
    for index, found in enumerate(begun):
        suite, _, name = found[1].partition(".")
        case = Case(suite, name)
        until = begun[index + 1].start() if index + 1 < len(begun) else len(ran.text)
        text = ran.text[found.end() : until]
        ended = next((it for it in ENDED.finditer(text) if it[2] == found[1]), None)
        if ended is not None:
            text = text[: ended.start()]
            status, seconds = STATUS[ended[1]], int(ended[3]) / 1000
            why = brief(text[max(text.find(": Failure\n"), 0) :]) if status == FAILED else ""
            outcomes.append(Outcome(case, status, seconds, why, text, ran.cached))
        elif index + 1 == len(begun):
            outcomes.append(Outcome(case, failure(ran), 0.0, ran.how, text, ran.cached))
    return outcomes


def plan(
    session: gg.Session, place: Place, command: Sequence[str], filter: str, shards: Optional[int], per: str
) -> Plan:
    """What there is to run of a program: one thunk for each case or suite (``per``), or for each of so many shards."""
    listing = [*command, "--gtest_list_tests", *([f"--gtest_filter={filter}"] if filter else [])]
    try:
        text = ran(session.force(place.thunk(listing, "the list of cases")), None).text
    except gg.ProgramError as error:
        raise Refused(f"{command[0]} does not list its tests: {error}") from error
    cases = listed(text)
    all_of_them = any(arg.lstrip("-").startswith("gtest_also_run_disabled_tests") for arg in command[1:])
    idle = [] if all_of_them else [case for case in cases if disabled(case)]
    known = [Outcome(case, DISABLED) for case in idle]
    left = [case for case in cases if case not in set(idle)]
    if shards is None and not per and len(left) > MOST_THUNKS:
        shards = SHARDS
    if shards is not None:
        return Plan(cases, list(sharded(place, command, filter, left, shards)), known)
    if per != "suite":
        return Plan(cases, [GoogleTest(place, command, [case], str(case)) for case in left], known)
    suites: Dict[str, List[Case]] = {}
    for case in left:
        suites.setdefault(case.suite, []).append(case)
    jobs: List[Job] = []
    for suite, own in suites.items():
        chosen = f"{suite}.*" if not filter else ":".join(map(str, own))
        jobs.append(GoogleTest(place, command, own, chosen))
    return Plan(cases, jobs, known)


def sharded(place: Place, command: Sequence[str], filter: str, cases: List[Case], shards: int) -> Iterable[Job]:
    """Shards, with the cases that GoogleTest is known to run in each; what it does not, runs by name afterwards."""
    for index in range(shards):
        own = cases[index::shards]
        if own:
            yield GoogleTest(place, command, own, filter, (index, shards))
