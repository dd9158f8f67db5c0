"""Python functions whose calls are thunks."""

from __future__ import annotations

import collections
import enum
import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import List

import pytest

import gg

MATHS = """
import collections
import pathlib
import gg
import helper_beside

Pair = collections.namedtuple("Pair", "a b")

@gg.function
def add(a, b=0):
    return a + b

@gg.function
def shape(value):
    print("seen", value)
    return {"keys": sorted(value), "from": helper_beside.NAME}

@gg.function
def lines(path, more=None):
    assert isinstance(path, pathlib.Path)
    return [path.name, len(path.read_text().splitlines()), more]

@gg.function
def fails(what):
    raise ValueError("because of " + what)

@gg.function
def unsayable():
    return (1, 2)

@gg.function(pickle=True)
def swap(pair):
    return Pair(pair.b, pair.a)

@gg.function(dynamic=True)
def fib(n):
    return n if n < 2 else add(fib(n - 1), b=fib(n - 2))

@gg.function(dynamic=True)
def total(path):
    words = path.read_text().split()
    if len(words) == 1:
        return int(words[0])
    return add(total(gg.text(words[0])), total(gg.text(" ".join(words[1:]))))

@gg.function(dynamic=True)
def same(path):
    return lines(path, more="again")

@gg.function(dynamic=True)
def mixed():
    return swap(Pair(1, 2))
"""


@pytest.fixture
def maths(here: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    name = "maths_" + os.urandom(4).hex()
    Path(name + ".py").write_text(MATHS)
    Path("helper_beside.py").write_text("NAME = 'helper'\n")
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.delitem(sys.modules, "helper_beside", raising=False)
    return importlib.import_module(name)


def test_a_call(maths: ModuleType) -> None:
    thunk = maths.add(1, b=2)
    assert isinstance(thunk, gg.Thunk) and thunk.label == "add(1, b=2)"
    result = gg.force(thunk)
    assert result.value() == 3 and maths.add.function(1, 2) == 3
    assert gg.force(maths.add(1, b=2)).cached
    shaped = gg.force(maths.shape({"b": 1, "a": [None, 1.5, "é"]}))
    assert shaped.value() == {"keys": ["a", "b"], "from": "helper"} and shaped.stdout.startswith("seen {'b': 1")


def test_calls_of_calls(maths: ModuleType) -> None:
    assert gg.force(maths.add(maths.add(1, 2), b=maths.add(3))).value() == 6


def test_paths_and_outputs_are_given_as_paths(maths: ModuleType) -> None:
    Path("some.txt").write_text("1\n2\n")
    assert gg.force(maths.lines(Path("some.txt"))).value() == ["some.txt", 2, None]
    made = gg.thunk("sh", ["-c", "echo 1 > out"], outputs="out")
    assert gg.force(maths.lines(made)).value()[1] == 1
    assert gg.force(maths.lines(gg.force(made)["out"], more=[1])).value()[1:] == [1, [1]]


def test_map(maths: ModuleType) -> None:
    assert [result.value() for result in gg.map(maths.add, range(20), range(20))] == [2 * n for n in range(20)]


def test_a_failure_has_the_traceback(maths: ModuleType) -> None:
    with pytest.raises(gg.ProgramError, match="because of you") as caught:
        gg.force(maths.fails("you"))
    assert "in fails" in caught.value.stderr and caught.value.label == "fails('you')"
    with pytest.raises(gg.ProgramError, match="pickle=True"):
        gg.force(maths.unsayable())


def test_json_is_not_allowed_to_change_what_is_said(maths: ModuleType) -> None:
    class Color(str, enum.Enum):
        RED = "r"

    class Size(enum.IntEnum):
        BIG = 1

    class Text(str):
        """Not the same as its content."""

    values = ((1, 2), {1: 2}, object(), {1, 2}, float("nan"), Color.RED, Size.BIG, collections.Counter("a"), Text("t"))
    nested = ([{"a": Size.BIG}], {Text("key"): 1}, {"a": [(1,)]}, {True: 1}, "\ud83d\ude00")
    for value in (*values, *nested):
        with pytest.raises(TypeError, match="pickle=True"):
            maths.add(value)
    circle: List[object] = []
    circle.append(circle)
    with pytest.raises(TypeError, match="cannot be said in JSON"):
        maths.add(circle)
    for value in ({"a": [None, True, 1, 1.0, -0.0, "t", "\udcff", 10**30]}, [], "", {}):
        maths.add(value)


def test_what_is_changed_meanwhile_counts(maths: ModuleType, here: Path) -> None:
    assert gg.force(maths.shape([])).value()["from"] == "helper"
    Path("helper_beside.py").write_text("NAME = 'another helper'\n")
    assert gg.force(maths.shape([])).value()["from"] == "another helper"
    with pytest.raises(gg.RequestError, match="UTF-8"):
        gg.force(maths.lines(here / "bad\udcff"))


def test_a_call_within_something_else_is_refused(maths: ModuleType) -> None:
    for function in (maths.add, maths.swap):
        for value in ([maths.fib(1)], {"a": (gg.text("x"),)}):
            with pytest.raises(TypeError, match="argument of its own") as caught:
                function(value)
            assert "pickle" not in str(caught.value)


def test_pickle(maths: ModuleType) -> None:
    assert gg.force(maths.swap(maths.Pair(1, (2, 3)))).value() == maths.Pair((2, 3), 1)


def test_dynamic(maths: ModuleType) -> None:
    assert gg.force(maths.fib(5)).value() == 5
    assert gg.force(maths.total(gg.text("1 2 3"))).value() == 6
    Path("some.txt").write_text("1\n2\n")
    assert gg.force(maths.same(Path("some.txt"))).value() == ["some.txt", 2, "again"]
    with pytest.raises(gg.ProgramError, match="in json"):
        gg.force(maths.mixed())


OPTIONS = """
import os
import subprocess
import gg
import options_beside

def mode():
    return os.environ.get("MODE")

@gg.function(env={"MODE": "fast"})
def with_mode():
    return mode()

@gg.function
def plain():
    return mode()

@gg.function(env={"MODE": "slow"}, dynamic=True)
def of_plain():
    return plain()

@gg.function(dynamic=True)
def of_with_mode():
    return with_mode()

@gg.function(dynamic=True)
def deep(n):
    return deep(n - 1) if n else with_mode()

@gg.function(programs=["wc"])
def counts(text):
    return int(subprocess.run(["wc", "-w"], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout)

def helper(text):
    return counts(text)

@gg.function(dynamic=True)
def of_counts(text):
    return helper(text)

@gg.function(dynamic=True)
def of_beside(text):
    return options_beside.counts(text)

@gg.function(dynamic=True)
def hidden(text):
    return globals()["co" + "unts"](text)

@gg.function
def slow():
    import time
    time.sleep(1.5)
    return "slept"

@gg.function(timeout=1, dynamic=True)
def of_slow():
    return slow()

@gg.function(volatile=True, dynamic=True)
def of_volatile():
    return plain()

@gg.function
def returns_a_call():
    return plain()
"""


@pytest.fixture
def options(here: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    name = "options_" + os.urandom(4).hex()
    Path(name + ".py").write_text(OPTIONS)
    counts = OPTIONS[OPTIONS.index("@gg.function(programs") : OPTIONS.index("def helper")]
    Path("options_beside.py").write_text("import subprocess\nimport gg\n" + counts)
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.delitem(sys.modules, "options_beside", raising=False)
    return importlib.import_module(name)


def test_what_a_call_is_called_from_changes_nothing(options: ModuleType) -> None:
    alone = gg.force(options.with_mode())
    assert alone.value() == "fast" and gg.force(options.of_with_mode()).value() == "fast"
    assert gg.force(options.deep(2)).value() == "fast"
    assert gg.force(options.plain()).value() is None and gg.force(options.of_plain()).value() is None
    assert gg.force(options.of_slow()).value() == "slept"
    # The inner one is not volatile, and known.
    assert gg.force(options.of_volatile()).value() is None and gg.force(options.plain()).cached


def test_what_a_call_in_a_call_needs_comes_with_that(options: ModuleType) -> None:
    assert gg.force(options.of_counts("a b")).value() == 2
    assert gg.force(options.of_beside("a b c")).value() == 3
    with pytest.raises(gg.ProgramError, match=r"counts needs programs=\['wc'\]"):
        gg.force(options.hidden("a b"))


def test_a_call_is_returned_by_what_is_dynamic_alone(options: ModuleType) -> None:
    with pytest.raises(gg.ProgramError, match="dynamic=True"):
        gg.force(options.returns_a_call())


def test_a_text_is_no_list() -> None:
    for name in ("programs", "packages", "also"):
        with pytest.raises(TypeError, match=f"{name}: 'wc' is one"):
            gg.function(**{name: "wc"})


def test_a_package_with_relative_imports(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "package_" + os.urandom(4).hex()
    (here / name / "sub").mkdir(parents=True)
    for init in (here / name, here / name / "sub"):
        (init / "__init__.py").touch()
    (here / name / "base.py").write_text("def ten():\n    return 10\n")
    (here / name / "sub" / "steps.py").write_text(
        "import gg\nfrom ..base import ten\n\n@gg.function\ndef more(n):\n    return n + ten()\n"
    )
    monkeypatch.syspath_prepend(str(here))
    steps = importlib.import_module(name + ".sub.steps")
    assert gg.force(steps.more(1)).value() == 11


def test_the_main_program() -> None:
    Path("main.py").write_text(
        "import dataclasses, gg\n"
        "@dataclasses.dataclass\n"
        "class Point:\n    x: int\n"
        "@gg.function(pickle=True)\n"
        "def right(point):\n    return Point(point.x + 1)\n"
        "if __name__ == '__main__':\n"
        "    print(gg.force(right(right(Point(1)))).value())\n"
    )
    done = subprocess.run(
        [sys.executable, "main.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
    )
    assert (done.returncode, done.stdout) == (0, "Point(x=3)\n"), done.stderr


def test_a_module_as_the_main_program() -> None:
    Path("pkg/sub").mkdir(parents=True)
    Path("pkg/__init__.py").touch()
    Path("pkg/other.py").write_text("def h():\n    return 41\n")
    text = (
        "import dataclasses, gg\n"
        "from {dots}other import h\n"
        "@dataclasses.dataclass\n"
        "class Point:\n    x: int\n"
        "@gg.function(pickle=True)\n"
        "def right(point):\n    return Point(point.x + h())\n"
        "@gg.function(pickle=True, dynamic=True)\n"
        "def twice(point):\n    return right(right(point))\n"
        "if __name__ == '__main__':\n"
        "    print(gg.force(twice(Point(1))).value())\n"
    )
    Path("pkg/mod.py").write_text(text.format(dots="."))
    Path("pkg/sub/mod.py").write_text(text.format(dots=".."))
    Path("pkg/__main__.py").write_text(text.format(dots="."))
    Path("alone.py").write_text(text.format(dots="pkg."))
    for name in ("pkg.mod", "pkg", "pkg.sub.mod", "alone"):
        command = [sys.executable, "-m", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        assert (done.returncode, done.stdout) == (0, "Point(x=83)\n"), (name, done.stderr)


def test_a_module_that_is_a_link(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "linked_" + os.urandom(4).hex()
    Path("lib").mkdir()
    Path("lib/real_steps.py").write_text("import gg\n@gg.function\ndef f(n):\n    return n + 1\n")
    Path(name + ".py").symlink_to("lib/real_steps.py")
    # Also where links lead to the directory.
    Path("where").symlink_to(".")
    monkeypatch.syspath_prepend(str(here / "where"))
    assert gg.force(importlib.import_module(name).f(1)).value() == 2


def test_what_is_in_no_file_is_refused() -> None:
    def inner() -> None:
        """Not at the top."""

    with pytest.raises(TypeError, match="top of its module"):
        gg.function(inner)()
    code = "import gg\n@gg.function\ndef f(): pass\nf()"
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, universal_newlines=True)
    assert "in no file" in done.stderr


def test_the_functions_environment_decides_what_is_captured(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "finds_" + os.urandom(4).hex()
    (here / "aside").mkdir()
    (here / "aside" / "only_there.py").write_text("WHERE = 'aside'\n")
    path = str(here / "aside")
    text = f"import gg\n@gg.function(env={{'PYTHONPATH': {path!r}}})\ndef where():\n    import only_there\n    return only_there.WHERE\n"
    (here / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(here))
    assert gg.force(importlib.import_module(name).where()).value() == "aside"
