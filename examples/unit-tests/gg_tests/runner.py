"""Forces jobs, and shows what comes of them as it comes."""

from __future__ import annotations

import concurrent.futures
import sys
import time
from typing import Dict, List, TextIO

import gg

from .case import BAD, DISABLED, ERROR, Case, Job, Outcome, Plan, ordered
from .place import ran

#: Lines that are shown of what a failed case wrote.
SHOWN = 60


class Runner:
    """A run."""

    def __init__(self, session: gg.Session, plan: Plan, out: TextIO = sys.stdout) -> None:
        self._session = session
        self._plan = plan
        self._out = out
        self._outcomes: Dict[Case, Outcome] = {outcome.case: outcome for outcome in plan.known}
        self._pending: Dict[gg.Future, Job] = {}
        #: Thunks that ran, and that were known.
        self._executed = self._cached = 0

    def run(self) -> List[Outcome]:
        """Forces all jobs, and what has to be run after them. The outcomes are in the plan's order."""
        began = time.monotonic()
        try:
            self._submit(self._plan.jobs)
            while self._pending:
                done, _ = concurrent.futures.wait(self._pending, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    self._take(future, self._pending.pop(future))
        finally:
            for future in self._pending:
                future.cancel()
        outcomes = ordered(self._plan.cases, self._outcomes)
        self._conclude(outcomes, time.monotonic() - began)
        return outcomes

    def _submit(self, jobs: List[Job]) -> None:
        # Futures come in the order of the thunks.
        self._pending.update(zip(self._session.submit_all([job.thunk() for job in jobs]), jobs))

    def _take(self, future: gg.Future, job: Job) -> None:
        error = future.exception()
        if error is None:
            result = future.result()
            self._cached += result.cached
            self._executed += not result.cached
            outcomes, more = job.read(ran(result, job.place.timeout))
        elif isinstance(error, gg.ProgramError):
            self._executed += 1
            outcomes, more = job.read(ran(error, job.place.timeout))
        elif isinstance(error, gg.RequestError) or not isinstance(error, gg.Error):
            raise error
        else:
            why = str(error).splitlines()[0]
            outcomes, more = [Outcome(case, ERROR, why=why) for case in job.cases], []
        for outcome in outcomes:
            self._outcomes[outcome.case] = outcome
            self._show(outcome)
        self._submit(more)

    def _show(self, outcome: Outcome) -> None:
        known = ", cached" if outcome.cached else ""
        digits = len(str(len(self._plan.cases)))
        place = f"[{len(self._outcomes):{digits}}/{len(self._plan.cases)}]"
        print(f"{place} {outcome.status:9} {outcome.case} ({outcome.seconds:.3f} s{known})", file=self._out)
        if outcome.status in BAD:
            print(f"    {outcome.why}", file=self._out)
            lines = outcome.output.strip("\n").splitlines()
            for line in ["..."] * (len(lines) > SHOWN) + lines[-SHOWN:]:
                print(f"    | {line}", file=self._out)
        self._out.flush()

    def _conclude(self, outcomes: List[Outcome], took: float) -> None:
        counts: Dict[str, int] = {}
        for outcome in outcomes:
            counts[outcome.status] = counts.get(outcome.status, 0) + 1
        parts = ", ".join(f"{counts[status]} {status}" for status in sorted(counts, key=str.lower))
        print(f"{len(outcomes)} cases: {parts or 'none'}", file=self._out)
        serial = sum(outcome.seconds for outcome in outcomes if outcome.status != DISABLED)
        print(f"thunks: {self._executed} executed, {self._cached} cached; {took:.2f} s for {serial:.2f} s of tests",
              file=self._out)
        for outcome in outcomes:
            if outcome.status in BAD:
                print(f"{outcome.status:9} {outcome.case}: {outcome.why}", file=self._out)
