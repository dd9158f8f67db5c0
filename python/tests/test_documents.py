"""Every example in the docstrings and in README.md is run, and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Dict, Iterator, Tuple

import pytest

import gg

README = Path(__file__).resolve().parent.parent / "README.md"
FLAGS = doctest.ELLIPSIS
PUBLIC = sorted(set(gg.__all__) - {"graph"})


def blocks() -> Iterator[Tuple[str, int, str]]:
    """The kinds, lines and texts of the README's blocks."""
    text = README.read_text(encoding="utf-8")
    for block in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        yield block.group(1), text[: block.start()].count("\n") + 2, block.group(2)


def test_the_readme() -> None:
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    names: Dict[str, object] = {}
    seen = 0
    for kind, line, text in blocks():
        if kind == "pycon":
            test = doctest.DocTestParser().get_doctest(text, names, f"README.md:{line}", str(README), line)
            assert test.examples, f"README.md:{line}: no example"
            seen += len(test.examples)
            test.globs = names
            runner.run(test, clear_globs=False)
        elif kind == "python":
            # A file that the next example uses: its first line says its name.
            name = text.splitlines()[0][2:].strip()
            assert re.fullmatch(r"\w+\.py", name), f"README.md:{line}: the first line is to be '# NAME.py'"
            Path(name).write_text(text)
        else:
            assert kind in ("sh", "text"), f"README.md:{line}: a block of the kind {kind!r}"
    assert seen > 20 and runner.summarize(verbose=False).failed == 0


def modules() -> Iterator[str]:
    yield "gg"
    for module in pkgutil.iter_modules(gg.__path__):
        yield "gg." + module.name


@pytest.mark.parametrize("name", list(modules()))
def test_docstrings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend("")
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert result.failed == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_public_is_described(name: str) -> None:
    made = getattr(gg, name)
    assert made.__doc__, name
    for member, value in vars(made).items() if isinstance(made, type) else ():
        if not member.startswith("_") and (callable(value) or isinstance(value, (property, staticmethod))):
            assert getattr(value, "__doc__", None), f"{name}.{member}"
