"""gg ends when it should not, or talks nonsense."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

import gg
import gg.connection


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


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"id": null, "error": {"kind": "request", "message": "what?"}}'])
def test_nonsense(line: str) -> None:
    session = stand_in(HELLO + f"sys.stdin.readline(); print('''{line}''', flush=True); sys.stdin.read()\n")
    with pytest.raises(gg.InfrastructureError, match="no answer"):
        session.force(gg.thunk("true"))


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
    future = session.submit(gg.thunk("cat", inputs={"a": b"x" * (8 << 20)}))
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
