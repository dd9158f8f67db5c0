"""Many at once: order, cancellation, threads, asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import List

import pytest

import gg


def square(n: int) -> gg.Thunk:
    return gg.thunk("sh", ["-c", "echo $(($N * $N)) > out"], env={"N": str(n)}, outputs="out", label=f"{n} squared")


def sleep(seconds: int, tag: str = "") -> gg.Thunk:
    return gg.thunk("sleep", [str(seconds)], env={"TAG": tag or os.urandom(8).hex()})


def test_two_hundred_in_order() -> None:
    results = list(gg.map(square, range(200)))
    assert [result.json() for result in results] == [n * n for n in range(200)]
    assert all(result.cached for result in gg.map(square, range(200)))


def test_as_they_come() -> None:
    slow, fast = sleep(2), square(1001)
    order = [future.thunk for future in gg.as_completed([slow, fast])]
    assert order == [fast, slow]
    mine: "concurrent.futures.Future[gg.Result]" = concurrent.futures.Future()
    with pytest.raises(TypeError, match="neither a thunk nor a future"):
        list(gg.as_completed([mine]))  # type: ignore[list-item]
    mixed = [gg.submit(square(2)), gg.submit(square(3))]
    assert {future.result().json() for future in concurrent.futures.as_completed(mixed)} == {4, 9}
    assert sorted(result.json() for result in gg.map(square, [4, 5], ordered=False)) == [16, 25]


def test_the_first_failure_ends_a_map() -> None:
    def make(n: int) -> gg.Thunk:
        return (
            gg.thunk("false", env={"RUN": os.urandom(8).hex()}, label="number one")
            if n == 1
            else sleep(60)
            if n
            else square(0)
        )

    begun = time.monotonic()
    with gg.Session() as session:
        results = session.map(make, range(3))
        assert next(results).json() == 0
        with pytest.raises(gg.ProgramError, match="number one"):
            next(results)
    assert time.monotonic() - begun < 50


def test_a_map_that_is_dropped_makes_room() -> None:
    begun = time.monotonic()
    with gg.Session(engines=["local:1"]) as session:
        results = session.map(lambda n: sleep(n), [50, 51])
        del results
        session.force(sleep(0))
    assert time.monotonic() - begun < 30


def test_large_contents_of_many() -> None:
    blob = b"x" * 400_000
    with gg.Session() as session:
        thunks = [gg.thunk("wc", ["-c", str(n)], inputs={str(n): blob}) for n in range(700)]
        futures = session.submit_all(thunks)
        assert futures[1].result().stdout == "400000 1\n"
        for future in futures:
            future.cancel()


def test_the_same_thunk_twice() -> None:
    thunk = square(12)
    assert [result.json() for result in gg.force([thunk, thunk, square(12)])] == [144] * 3


def test_cancel() -> None:
    with gg.Session() as session:
        future = session.submit(sleep(60))
        assert future.running() and not future.done()
        assert future.cancel() and future.cancelled() and future.cancel() and not future.running()
        for get in (future.result, future.exception):
            with pytest.raises(concurrent.futures.CancelledError) as caught:
                get()
            assert isinstance(caught.value, gg.Cancelled)
        assert concurrent.futures.wait([future], timeout=5).not_done == set()
        done = session.submit(square(3))
        done.result()
        assert not done.cancel() and not done.running()


def test_what_is_cancelled_makes_room() -> None:
    begun = time.monotonic()
    with gg.Session(engines=["local:1"]) as session:
        futures = session.submit_all([sleep(50), sleep(51), sleep(0.25)])
        assert futures[0].cancel() and futures[1].cancel()
        futures[2].result()
        assert time.monotonic() - begun < 30


def test_callbacks_read_values_and_do_not_wait() -> None:
    got: "concurrent.futures.Future[object]" = concurrent.futures.Future()

    def called(future: gg.Future) -> None:
        try:
            text = future.result().text()
            gg.force(square(77_000))
        except RuntimeError as error:
            got.set_result((text, str(error)))

    gg.submit(square(21)).add_done_callback(called)  # type: ignore[arg-type]
    text, error = got.result(30)  # type: ignore[misc]
    assert text == "441\n" and "callback" in error


def test_asyncio() -> None:
    async def work() -> List[gg.Result]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.ensure_future(tick())
        results = await asyncio.gather(*(gg.aforce(square(n)) for n in (31, 32)), gg.aforce(sleep(1)))
        ticking.cancel()
        assert ticks > 5
        with pytest.raises(asyncio.TimeoutError):
            with gg.Session() as session:
                await asyncio.wait_for(session.aforce(sleep(60)), 0.5)
        with pytest.raises(gg.ProgramError):
            await gg.aforce(gg.thunk("false"))
        return list(results[:2])

    assert [result.json() for result in asyncio.run(work())] == [961, 1024]


def test_threads_share_a_session() -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: gg.force(square(n)).json(), range(40))) == [n * n for n in range(40)]


def test_two_sessions() -> None:
    with gg.Session(engines="local:1") as one, gg.Session(engines=["local:2"], fallback=False) as two:
        assert one.info["engines"] == [{"name": "local", "jobs": 1}]
        futures = [session.submit(square(n)) for n in range(5) for session in (one, two)]
        assert [future.result().json() for future in futures] == [n * n for n in range(5) for _ in (one, two)]
    with pytest.raises(gg.Error, match="closed"):
        one.force(square(1))
    one.close()


def test_a_session_that_an_exception_leaves_is_cancelled() -> None:
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        with gg.Session() as session:
            future = session.submit(sleep(60))
            raise ZeroDivisionError
    assert time.monotonic() - begun < 20
    with pytest.raises(gg.Cancelled):
        future.result()


def interrupted(script: str) -> "subprocess.CompletedProcess[str]":
    Path("main.py").write_text(script)
    process = subprocess.Popen(
        [sys.executable, "main.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)
    # As the terminal does it: to all in the foreground.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess("main.py", process.returncode, out, err)


def test_ctrl_c_cancels_and_the_session_goes_on() -> None:
    done = interrupted(
        "import gg, os\n"
        "s = gg.default_session(); s.info\n"
        "print('begun', flush=True)\n"
        "try:\n"
        "    gg.force(gg.thunk('sleep', ['60'], env={'RUN': os.urandom(8).hex()}))\n"
        "except KeyboardInterrupt:\n"
        "    print(gg.force(gg.thunk('echo', ['goes on'])).stdout)\n"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "goes on"), done.stderr


def test_nothing_is_left_behind_at_the_end() -> None:
    done = interrupted(
        "import gg, os\n"
        "s = gg.default_session(); s.info\n"
        "f = gg.submit(gg.thunk('sleep', ['61'], env={'RUN': os.urandom(8).hex()}))\n"
        "print('begun', flush=True)\n"
        "try:\n"
        "    f.result()\n"
        "except KeyboardInterrupt:\n"
        "    print(s._connection._process.pid)\n"
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_fork() -> None:
    outer = gg.submit(sleep(2))
    assert gg.force(square(5)).json() == 25
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with pytest.raises(gg.InfrastructureError, match="forked"):
                outer.result()
            assert gg.force(square(6)).json() == 36
            gg.default_session().close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert outer.result().stdout == ""
    assert gg.force(square(7)).json() == 49


def test_a_forked_process_does_not_keep_gg_alive() -> None:
    session = gg.Session()
    assert session.info
    pid = os.fork()
    if pid == 0:
        time.sleep(30)
        os._exit(0)
    try:
        begun = time.monotonic()
        session.close()
        assert time.monotonic() - begun < 9
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_no_thread_is_left_when_a_session_is_closed() -> None:
    before = threading.active_count()
    session = gg.Session()
    session.force(square(8))
    session.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
