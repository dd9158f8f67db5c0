"""gg ends when it should not, or talks nonsense."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest

import gg
import gg.connection
import gg.stating


def stand_in(script: str) -> gg.Session:
    """A session with something else in place of gg."""
    Path("gg").write_text(f"#!{sys.executable}\nimport json, os, sys\n{script}")
    os.chmod("gg", 0o755)
    return gg.Session("./gg")


HELLO = "sys.stdin.readline(); print(json.dumps({'id': 1, 'ok': {'protocol': 1}}), flush=True)\n"


def test_gg_is_killed_while_it_works() -> None:
    session = gg.Session()
    futures = [session.submit(gg.thunk("sleep", ["60"], env={"N": os.urandom(4).hex()})) for _ in range(3)]
    assert session._connection is not None
    os.kill(session._connection._process.pid, signal.SIGKILL)
    for future in futures:
        with pytest.raises(gg.InfrastructureError, match="signal 9"):
            future.result(20)
    assert session.broken
    with pytest.raises(gg.InfrastructureError):
        session.force(gg.thunk("true"))
    session.close()


def test_the_default_session_starts_anew() -> None:
    gg.default_session().info
    connection = gg.default_session()._connection
    assert connection is not None
    os.kill(connection._process.pid, signal.SIGKILL)
    connection.teller.join(20)
    assert gg.force(gg.thunk("echo", ["again"])).stdout == "again\n"


def test_what_gg_said_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    session = stand_in(HELLO + "sys.stdin.readline(); sys.stderr.write('the disk is full\\n'); sys.exit(7)\n")
    future = session.submit(gg.thunk("true"))
    with pytest.raises(gg.InfrastructureError, match="exit status 7.*the disk is full"):
        future.result(20)
    assert "the disk is full" in capfd.readouterr().err


def test_no_gg() -> None:
    with pytest.raises(gg.InfrastructureError, match="GG_BIN"):
        gg.Session("/no/such/gg").force(gg.thunk("true"))


def test_another_protocol() -> None:
    error = {"kind": "request", "message": "only protocol 2"}
    answer = f"print(json.dumps({{'id': 1, 'error': {error}}}), flush=True); sys.stdin.read()\n"
    with pytest.raises(gg.RequestError, match="only protocol 2"):
        stand_in("sys.stdin.readline()\n" + answer).force(gg.thunk("true"))


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"id": 2, "error": 1}'])
def test_nonsense(line: str) -> None:
    session = stand_in(HELLO + f"sys.stdin.readline(); print('''{line}''', flush=True); sys.stdin.read()\n")
    with pytest.raises(gg.InfrastructureError, match="no answer"):
        session.force(gg.thunk("true"))


STRAY = {"id": None, "error": {"kind": "request", "message": "what?"}}


def test_what_gg_does_not_understand_is_told_to_who_asked() -> None:
    session = stand_in(HELLO + f"sys.stdin.readline(); print(json.dumps({STRAY}), flush=True); sys.stdin.read()\n")
    with pytest.raises(gg.RequestError, match="what?"):
        session.force(gg.thunk("true"))
    assert not session.broken
    session.close()


def test_what_gg_does_not_understand_is_nobody_elses_misfortune(capfd: pytest.CaptureFixture[str]) -> None:
    failure = {"id": 2, "event": "failed", "key": "t0", "error": {"kind": "program", "message": "in its own way"}}
    answers = f"for it in ({STRAY}, {failure}): print(json.dumps(it), flush=True)\n"
    session = stand_in(HELLO + "sys.stdin.readline(); sys.stdin.readline()\n" + answers + "sys.stdin.read()\n")
    one, two = session.submit(gg.thunk("true")), session.submit(gg.thunk("true"))
    with pytest.raises(gg.ProgramError, match="in its own way"):
        one.result(20)
    assert not session.broken and not two.done() and "gg: what?" in capfd.readouterr().err
    session.close()


def test_one_of_many_that_gg_cannot_state() -> None:
    events = [
        {"id": 2, "event": "failed", "key": "t0", "error": {"kind": "request", "message": "no such file"}},
        {"id": 2, "event": "done", "key": "t1", "thunk": "T1", "stdout": "fine"},
        {"id": 2, "ok": {"done": 1, "failed": 1}},
    ]
    answers = f"for it in {events}: print(json.dumps(it), flush=True)\n"
    session = stand_in(HELLO + "sys.stdin.readline()\n" + answers + "sys.stdin.read()\n")
    bad, good = session.map(lambda it: gg.thunk("echo", [it]), "ab", return_exceptions=True)
    assert isinstance(bad, gg.RequestError) and str(bad) == "no such file" and good.stdout == "fine"
    session.close()


def test_a_gg_that_does_not_end_is_ended() -> None:
    session = stand_in(HELLO + "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100)\n")
    assert session.info
    assert session._connection is not None
    process = session._connection._process
    gg.connection.PATIENCE, kept = 0.2, gg.connection.PATIENCE
    try:
        session.close()
    finally:
        gg.connection.PATIENCE = kept
    assert process.wait(5) == -signal.SIGKILL


def test_no_wait_for_a_gg_that_does_not_read() -> None:
    session = stand_in(HELLO + "import time; time.sleep(100)\n")
    future = session.submit(gg.thunk("cat", inputs={str(n): b"x" * 60_000 for n in range(140)}))
    assert not future.done()
    assert session._connection is not None
    session._connection._process.kill()
    with pytest.raises(gg.InfrastructureError):
        future.result(20)


def test_an_answer_without_events_is_told() -> None:
    session = stand_in(
        HELLO + "sys.stdin.readline(); print(json.dumps({'id': 2, 'ok': {}}), flush=True); sys.stdin.read()\n"
    )
    with pytest.raises(gg.InfrastructureError, match="without saying"):
        session.force(gg.thunk("true"))
    session.close()


RECORDS = (
    HELLO
    + """
for line in sys.stdin:
    with open("requests", "a") as file:
        file.write(line)
    if json.loads(line)["do"] == "cancel":
        print(json.dumps({"id": json.loads(line)["id"], "ok": {}}), flush=True)
"""
)


def requests() -> List[Dict[str, Any]]:
    """What was asked of a stand-in, once its session is closed."""
    return [json.loads(line) for line in Path("requests").read_text().splitlines()]


def test_gg_hears_of_what_is_cancelled() -> None:
    session = stand_in(RECORDS)
    one, two = session.submit_all([gg.thunk("sleep", ["1"]), gg.thunk("sleep", ["2"])])
    assert one.cancel() and one.cancel()
    other = session.submit(gg.thunk("sleep", ["3"]))
    alone = session.submit(gg.thunk("sleep", ["4"]))
    assert two.cancel() and alone.cancel()
    session.close()
    said = [(request["do"], request.get("of"), request.get("keys")) for request in requests()]
    first, _, third = (request["id"] for request in requests() if request["do"] == "force")
    cancelled = [("cancel", first, ["t0"]), ("cancel", first, ["t1"]), ("cancel", third, None)]
    assert [it for it in said if it[0] == "cancel"] == cancelled
    with pytest.raises(gg.Cancelled):
        other.result(20)


def test_a_map_that_nobody_holds_is_cancelled() -> None:
    Path("requests").touch()
    session = stand_in(RECORDS)
    results = session.map(lambda n: gg.thunk("sleep", [str(n)]), range(3))
    del results
    results = session.map(lambda n: gg.thunk("sleep", [str(n)]), range(3))
    results.close()
    assert list(results) == []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and Path("requests").read_text().count("cancel") < 2:
        time.sleep(0.01)
    session.close()
    assert sorted(request["do"] for request in requests()) == ["cancel", "cancel", "force", "force"]
    session.close()


PROGRAMS = (
    HELLO
    + """
for line in sys.stdin:
    with open("requests", "a") as file:
        file.write(line)
    request = json.loads(line)
    if request["do"] == "capture":
        answer = {"ok": {"executable": "/python", "args": ["python"], "env": {}, "inputs": {"/": {"tree": "V"}}}}
        if request["args"] == ["/none"]:
            answer = {"error": {"kind": "request", "message": "no such program"}}
    elif request["do"] == "put":
        answer = {"ok": {"object": "V" + str(len(request["text"])), "mode": "0644"}}
    else:
        answer = {"ok": {}}
        for key in request["want"]:
            event = {"id": request["id"], "event": "done", "key": key, "thunk": "T"}
            print(json.dumps(event), flush=True)
    print(json.dumps({"id": request["id"], **answer}), flush=True)
"""
)


def test_programs_are_captured_anew_for_each_statement() -> None:
    session = stand_in(PROGRAMS)

    def call(path: str, of: Any = "x") -> gg.Thunk:
        capture = {"capture": {"program": "python", "args": [path]}}
        return gg.Thunk({}, {"/of": gg.graph.source(of)}, capture)

    session.force([call("/a", str(n)) for n in range(1200)] + [call("/b")])
    assert [request["do"] for request in requests()] == ["capture", "force", "capture", "force"]
    session.force(call("/a"))
    assert [request["do"] for request in requests()][4:] == ["capture", "force"]
    # One that cannot be captured.
    bad = gg.Thunk({"outputs": {"out": "/o"}}, {}, {"capture": {"program": "python", "args": ["/none"]}})
    thunks = [call("/a"), bad, call("/a", bad), call("/b"), call("/a", call("/a", bad["out"]).only())]
    ends = list(session.map(lambda it: it, thunks, return_exceptions=True))
    assert [type(end).__name__ for end in ends] == ["Result", *["RequestError"] * 2, "Result", "RequestError"]
    assert len({id(end) for end in ends}) == 5 and len(requests()[-1]["thunks"]) == 2
    session.close()


def test_what_is_too_much_for_one_request_is_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gg.stating, "LONGEST", gg.stating.BESIDE + 200_000)
    session = stand_in(PROGRAMS)

    def thunk(size: int, *used: gg.Thunk) -> gg.Thunk:
        inputs = {str(n): "x" * 10_000 for n in range(size)}
        return gg.thunk("true", inputs={**inputs, **{f"u{n}": it for n, it in enumerate(used)}}, outputs="o")

    base = thunk(9)
    thunks = [thunk(5, base) for _ in range(7)] + [thunk(20), thunk(1), thunk(15, base), base]
    ends = list(session.map(lambda it: it, thunks, return_exceptions=True))
    assert [isinstance(end, gg.RequestError) for end in ends] == [False] * 7 + [True, False, True, False]
    for error in (ends[7], ends[9]):
        assert "bytes" in str(error) and "gg.file" in str(error)
    assert all(len(json.dumps(request)) < gg.stating.LONGEST for request in requests()) and len(requests()) > 4
    for request in requests():
        for recipe in request["thunks"].values():
            assert all(it["thunk"] in request["thunks"] for it in recipe["inputs"].values() if "thunk" in it)
    session.close()


def test_what_many_use_is_stated_as_seldom_as_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gg.stating, "MOST", 40)
    session = stand_in(PROGRAMS)
    base = gg.thunk("true", outputs="o")
    for _ in range(29):
        base = gg.thunk("true", inputs={"/in": base}, outputs="o")
    session.force([gg.thunk("true", [str(n)], inputs={"/in": base}) for n in range(25)])
    assert [len(request["thunks"]) for request in requests()] == [40, 40, 35]
    session.close()


def test_large_contents_are_sent_once() -> None:
    session = stand_in(PROGRAMS)
    text, content = "é" * 70_000, b"y" * 80_000
    for _ in range(2):
        session.force([gg.thunk("cat", [str(n)], inputs={"a": text, "b": content, "c": "short"}) for n in range(3)])
    session.force(gg.thunk("cat", inputs={"a": gg.text(bytes(bytearray(content)), mode=0o755)}))
    puts = [request for request in requests() if request["do"] == "put"]
    assert [request["text"] for request in puts] == [text, content.decode()]
    last = requests()[-1]["thunks"]["t0"]["inputs"]
    assert last == {"/a": {"object": "V80000", "mode": "0755"}}
    session.close()


def test_what_is_left_is_cancelled_when_one_fails() -> None:
    failure = {"kind": "program", "message": "no luck"}
    event = {"id": 2, "event": "failed", "key": "t0", "error": failure}
    script = RECORDS.replace(
        "    if", f"    if json.loads(line)['do'] == 'force': print(json.dumps({event}), flush=True)\n    if"
    )
    thunks = [gg.thunk("false"), gg.thunk("sleep", ["9"])]
    for force in (lambda session: session.force(thunks), lambda session: list(session.map(lambda it: it, thunks))):
        session = stand_in(script)
        with pytest.raises(gg.ProgramError, match="no luck"):
            force(session)
        session.close()
        assert [request["do"] for request in requests()] == ["force", "cancel"]
        os.unlink("requests")
