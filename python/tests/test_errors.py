"""Each kind of failure, from a real program."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path

import pytest

import gg


def shell(script: str, **more: object) -> gg.Thunk:
    return gg.thunk("sh", ["-c", script], **more)  # type: ignore[arg-type]


def failure(thunk: gg.Thunk) -> gg.ProgramError:
    with pytest.raises(gg.ProgramError) as caught:
        gg.force(thunk)
    return caught.value


def test_a_program_that_fails_is_told_with_all_that_is_known() -> None:
    error = failure(shell("echo out; echo 'what is wrong' >&2; exit 3", inputs={"data": "d"}, label="try it"))
    assert type(error) is gg.ProgramError
    assert (error.status, error.signal, error.label, error.command[:2]) == (3, None, "try it", ["sh", "-c"])
    assert error.inputs == ["/data"] and error.stdout == "out\n" and error.stderr == "what is wrong\n"
    assert error.thunk is not None and error.thunk.startswith("T") and error.thunk in error.message
    assert "try it" in error.message and "what is wrong" in str(error)


def test_a_signal() -> None:
    assert failure(shell("kill -SEGV $$")).signal == signal.SIGSEGV


def test_an_output_that_is_not_written() -> None:
    error = failure(shell("true", outputs={"a": "a", "b": "b"}, optional=["b"]))
    assert error.missing == ["/a"] or error.missing == ["a"]


def test_an_optional_output_may_be_missing() -> None:
    assert set(gg.force(shell("echo > a", outputs=["a", "b"], optional=["b"])).outputs) == {"a"}


def test_writing_what_is_no_output() -> None:
    assert "/stray" in failure(shell("echo > out; echo > /stray", outputs="out")).message
    assert gg.force(shell("echo > out; echo > /stray", outputs="out", strict=False)).text() == "\n"
    assert gg.force(shell("echo > /tmp/own; echo > out", outputs="out")).text() == "\n"


def test_time_out() -> None:
    error = failure(shell("echo so far; exec sleep 60", programs=["sleep"], timeout=1, label="too slow"))
    assert error.timed_out and error.status is None and error.stdout == "so far\n"
    assert "too slow" in error.message and "1 s" in error.message


def test_what_it_has_written_all_the_same() -> None:
    error = failure(shell("echo half > half; exit 3", outputs=["half", "whole"]))
    assert not error.timed_out and list(error.outputs) == ["half"] and len(error.missing) == 1
    assert error.outputs["half"].text() == "half\n"


def test_a_library_that_is_missing() -> None:
    where = gg.default_session()._ask("capture", program="ls")
    program = gg.file("/bin/ls")
    loader = next(iter(Path("/lib64").glob("ld-linux*")))
    thunk = gg.thunk("/ls", inputs={"/ls": program, str(loader): gg.file(loader)}, capture=False)
    assert where["executable"].endswith("/ls")
    error = failure(thunk)
    assert "lib" in error.message and ".so" in error.message


def test_another_thunks_failure() -> None:
    base = shell("echo broken >&2; exit 9", outputs="out", label="the base")
    thunk = shell("cat in", inputs={"in": base}, programs=["cat"], label="the user")
    with pytest.raises(gg.DependencyError) as caught:
        gg.force(thunk)
    assert caught.value.status == 9 and caught.value.label == "the base" and caught.value.stderr == "broken\n"


def test_what_is_no_thunk() -> None:
    for thunk, said in (
        (gg.thunk("no-such-program-anywhere"), "no-such-program-anywhere"),
        (gg.thunk("sh", inputs={"a": gg.file("missing")}), "missing"),
        (gg.thunk("sh", inputs={"a": gg.object("nothing")}), "nothing"),
    ):
        with pytest.raises(gg.RequestError, match=said):
            gg.force(thunk)


def test_errors_pass_between_processes() -> None:
    error = pickle.loads(pickle.dumps(failure(shell("echo half > half; exit 4", outputs=["half", "whole"]))))
    assert isinstance(error, gg.ProgramError) and error.status == 4
    # Also in a session of its own.
    assert error.outputs["half"].text() == "half\n"
    assert gg.force(gg.thunk("cat", ["/in"], inputs={"/in": error.outputs["half"]})).stdout == "half\n"


def test_what_is_not_there_is_refused_alone() -> None:
    for name in "ab":
        Path(name).write_text(name)
    made = [gg.thunk("cat", ["/x"], inputs={"/x": Path(name)}) for name in ("a", "missing", "b")]
    user = gg.thunk("cat", ["/y"], inputs={"/y": shell("cat /x > o", inputs={"/x": Path("missing")}, outputs="o")})
    thunks = [*made, gg.thunk("no-such-program-anywhere"), user]
    one, missing, two, program, using = gg.map(lambda it: it, thunks, return_exceptions=True)
    assert (one.stdout, two.stdout) == ("a", "b")
    for error in (missing, program, using):
        assert isinstance(error, gg.RequestError), error
    assert "missing" in str(missing) and "no-such-program" in str(program)


def test_what_cannot_be_said_is_refused_alone() -> None:
    bad = os.fsdecode(b"bad\xff")
    unsayable = [
        gg.thunk("cat", ["/x"], inputs={bad: "1"}),
        gg.thunk("true", label=bad),
        gg.thunk("true", env={bad: "1"}),
        gg.thunk("cat", ["/x"], inputs={"/x": "\ud83d"}),
        gg.thunk("cat", ["/x"], inputs={"/x": "\ud83d" * 100_000}),
        gg.thunk("true", packages=[bad]),
    ]
    for thunk in unsayable:
        with pytest.raises(gg.RequestError, match=r"'.?(bad\\udcff|(\\ud83d)+)' cannot be said in UTF-8"):
            gg.force(thunk)
        with pytest.raises(gg.RequestError, match="UTF-8"):
            gg.default_session().name(thunk)
    with pytest.raises(gg.RequestError, match="UTF-8"):
        gg.default_session().put("\ud83d")
    long = gg.submit(shell("sleep 1; echo fine", programs=["sleep"]))
    ends = list(gg.map(lambda it: it, [*unsayable, shell("echo fine")], return_exceptions=True))
    assert [type(end).__name__ for end in ends] == ["RequestError"] * 6 + ["Result"]
    assert long.result().stdout == "fine\n"
    # What is said as bytes can be.
    made = gg.thunk("cat", [b"/b\xff"], env={"A": b"\xff"}, inputs={"/b": b"\xff"}, cwd=b"/c\xff", capture=True)
    assert failure(made).status == 1
    # Text of which all is said, if not in ASCII.
    assert gg.force(shell("echo $A", env={"A": "é𝄞"}, label="𝄞", inputs={"/é𝄞": "é𝄞"})).stdout == "é𝄞\n"


def test_what_needs_what_cannot_be_said_is_refused_too() -> None:
    bad = shell("true", label="\udcff", outputs="o")
    good = shell("true", outputs="o")
    users = [shell("true", inputs={"/in": it}) for it in (bad, good)]
    one, two = gg.map(lambda it: it, users, return_exceptions=True)
    assert isinstance(one, gg.RequestError) and not isinstance(two, gg.RequestError)


def test_one_failure_of_many() -> None:
    thunks = [shell("exit 1", label="it fails"), *(shell(f"echo {n}") for n in range(3))]
    with pytest.raises(gg.ProgramError, match="it fails"):
        gg.force(thunks)
    first, *rest = gg.map(lambda thunk: thunk, thunks, return_exceptions=True)
    assert isinstance(first, gg.ProgramError) and [result.stdout for result in rest] == ["0\n", "1\n", "2\n"]
