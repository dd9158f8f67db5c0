"""The record of a run, as JUnit has it, and GoogleTest after it."""

from __future__ import annotations

import copy
from typing import Dict, List
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from .case import BAD, CRASHED, DISABLED, ERROR, SKIPPED, TIMED_OUT, Outcome


def element_of(outcome: Outcome) -> Element:
    """One case: as the test program recorded it, or in the same form."""
    if outcome.element is not None:
        return copy.deepcopy(outcome.element)
    idle = outcome.status == DISABLED
    element = Element("testcase", name=outcome.case.name, status="notrun" if idle else "run")
    element.set("result", "suppressed" if idle else "skipped" if outcome.status == SKIPPED else "completed")
    element.set("time", f"{outcome.seconds:.3f}")
    element.set("classname", outcome.case.suite)
    if outcome.status == SKIPPED:
        ElementTree.SubElement(element, "skipped", message=clean(outcome.why))
    elif outcome.status in BAD:
        kind = {CRASHED: "crash", TIMED_OUT: "timeout"}.get(outcome.status, "")
        failure = ElementTree.SubElement(element, "error" if outcome.status == ERROR else "failure")
        failure.set("message", clean(outcome.why))
        failure.set("type", kind)
        failure.text = clean(outcome.output)
    return element


def clean(text: str) -> str:
    """What XML can hold of a text."""
    return "".join(
        c if c in "\t\n" or " " <= c < "\ud800" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "\ufffd" for c in text
    )


def count(element: Element, outcomes: List[Outcome]) -> None:
    """Notes how many cases there are of which kind."""
    of = lambda *kinds: str(sum(outcome.status in kinds for outcome in outcomes))  # noqa: E731
    element.set("tests", str(len(outcomes)))
    element.set("failures", of(*(kind for kind in BAD if kind != ERROR)))
    element.set("disabled", of(DISABLED))
    element.set("skipped", of(SKIPPED))
    element.set("errors", of(ERROR))
    element.set("time", f"{sum(outcome.seconds for outcome in outcomes):.3f}")


def write(path: str, outcomes: List[Outcome]) -> None:
    """Writes the record, in the order of the outcomes."""
    suites: Dict[str, List[Outcome]] = {}
    for outcome in outcomes:
        suites.setdefault(outcome.case.suite, []).append(outcome)
    root = Element("testsuites", name="AllTests")
    count(root, outcomes)
    for name, members in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", name=name)
        count(suite, members)
        suite.extend(map(element_of, members))
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)
