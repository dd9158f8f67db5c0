"""One ``gg api`` process, and the threads that talk to it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import weakref
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence

from .errors import Cancelled, Error, InfrastructureError, RequestError, error_of
from .wire import utf8

PROTOCOL = 1
#: Bytes that gg takes as one request.
LONGEST = 256 << 20
#: Bytes of standard error that are kept to be told if gg dies.
REMEMBERED = 8192
#: Seconds that gg has to end once it is told to.
PATIENCE = 10.0

#: Held while a process is made, and while another one is forked: no child inherits a pipe that it does not know of.
_making = threading.RLock()
_all: "weakref.WeakSet[Connection]" = weakref.WeakSet()


class Listener(Protocol):
    """Who asked, and is told what comes of it."""

    def event(self, message: Dict[str, Any]) -> None:
        """One of several things about a request that is under way."""

    def ended(self, answer: Optional[Dict[str, Any]], error: Optional[Error]) -> None:
        """The final answer: exactly once."""


class Slot:
    """Somebody who waits for one answer."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: Optional[Dict[str, Any]] = None
        self.error: Optional[Error] = None

    def event(self, message: Dict[str, Any]) -> None:
        """No simple request has events."""

    def ended(self, answer: Optional[Dict[str, Any]], error: Optional[Error]) -> None:
        self.answer, self.error = answer, error
        self.done.set()

    def wait(self) -> Dict[str, Any]:
        """The answer."""
        self.done.wait()
        if self.error is not None:
            raise self.error
        return self.answer or {}


class Connection:
    """Starts ``command``, says hello, and hands out what it answers. Usable from all threads."""

    def __init__(self, command: Sequence[str], env: Optional[Mapping[str, str]]) -> None:
        self._lock = threading.Lock()
        self._listeners: Dict[int, Listener] = {}
        self._next = 0
        self._closing = False
        self._broken: Optional[Error] = None
        self._said = b""
        #: The names of contents that this gg keeps, by their SHA-256.
        self.kept: Dict[bytes, str] = {}
        # What is to be written and what is to be told: neither the reader nor a caller ever waits for the other side.
        self._outgoing: "queue.SimpleQueue[Optional[bytes]]" = queue.SimpleQueue()
        self._told: "queue.SimpleQueue[Optional[Callable[[], None]]]" = queue.SimpleQueue()
        self.pid = os.getpid()
        with _making:
            try:
                # A session of its own: Ctrl-C is for this program, which says what is to be cancelled.
                self._process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    env=None if env is None else dict(env),
                    start_new_session=True,
                )
            except OSError as error:
                raise InfrastructureError(
                    f"gg cannot be started as {command[0]!r}: {error}. "
                    "Install gg so that PATH leads to it, set GG_BIN, or say Session(gg=...)"
                ) from error
            _all.add(self)
        self._errors = self._thread("errors", self._forward)
        self._thread("writer", self._write)
        self._thread("reader", self._read)
        self.teller = self._thread("teller", self._tell)
        try:
            self.hello = self.ask("hello", protocol=PROTOCOL)
        except BaseException:
            self.close()
            raise

    def _thread(self, name: str, run: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=run, name=f"gg-{name}", daemon=True)
        thread.start()
        return thread

    def request(self, what: str, fields: Mapping[str, Any], listener: Listener) -> int:
        """Sends a request; what comes of it goes to the listener, from another thread."""
        return self.send(utf8({"do": what, **fields}), listener)

    def send(self, body: bytes, listener: Listener) -> int:
        """As :meth:`request`, of one that is written as JSON, but for its id."""
        with self._lock:
            self._next += 1
            request = self._next
        line = b'{"id": %d, %s\n' % (request, body[1:])
        if len(line) >= LONGEST:
            raise RequestError(
                f"a request of {len(line)} bytes, and gg takes {LONGEST}: state large contents as gg.file(PATH)"
            )
        with self._lock:
            broken = self._broken
            if broken is None:
                self._listeners[request] = listener
                self._outgoing.put(line)
        if broken is not None:
            raise type(broken)(broken.message)
        return request

    def ask(self, what: str, **fields: Any) -> Dict[str, Any]:
        """Sends a request and waits for its answer."""
        slot = Slot()
        request = self.request(what, {name: value for name, value in fields.items() if value is not None}, slot)
        try:
            return slot.wait()
        except Error:
            raise
        except BaseException:
            self.cancel(request)
            raise

    def cancel(self, request: int, keys: Optional[List[str]] = None) -> None:
        """Ends a request, if it has not been answered; or of a ``force``, what has these keys."""
        fields: Dict[str, Any] = {"of": request} if keys is None else {"of": request, "keys": keys}
        try:
            self.request("cancel", fields, Slot())
        except Error:
            # Then it has ended with all others.
            pass

    def later(self, call: Callable[[], None]) -> None:
        """Has something called by the thread that callbacks run in."""
        self._told.put(call)

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            while True:
                line = self._outgoing.get()
                if line is None:
                    break
                rest = memoryview(line)
                while rest:
                    rest = rest[pipe.write(rest) :]
        except OSError:
            # It has died, which the reader sees as well.
            pass
        finally:
            pipe.close()

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        why = ""
        pending: List[bytes] = []
        while not why:
            chunk = pipe.read(1 << 18)
            if not chunk:
                break
            *lines, rest = chunk.split(b"\n")
            if not lines:
                pending.append(rest)
                continue
            lines[0] = b"".join([*pending, lines[0]])
            pending = [rest]
            for line in lines:
                try:
                    self._take(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    why = f"it answered what is no answer ({error!r}): {line[:200]!r}"
                    self._process.kill()
                    break
        self._end(why)

    def _take(self, message: Dict[str, Any]) -> None:
        request = message["id"]
        if "event" in message:
            with self._lock:
                listener = self._listeners.get(request)
            if listener is not None:
                listener.event(message)
            return
        error = error_of(message["error"]) if "error" in message else None
        if request is None:
            self._stray(error or InfrastructureError(f"an answer to nothing: {message!r}"))
            return
        with self._lock:
            listener = self._listeners.pop(request, None)
        if listener is not None:
            listener.ended(message.get("ok"), error)

    def _stray(self, error: Error) -> None:
        """gg could not tell which request it did not understand. If there is one only, it is that; if there are
        several, they are not to fail for it, and what was said is told like all that gg says."""
        with self._lock:
            listener = self._listeners.popitem()[1] if len(self._listeners) == 1 else None
        if listener is not None:
            listener.ended(None, error)
        else:
            self._hear(f"gg: {error.message}\n".encode("utf-8", "backslashreplace"))

    def _forward(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None
        while True:
            chunk = pipe.read(1 << 16)
            if not chunk:
                break
            self._hear(chunk)
        pipe.close()

    def _hear(self, said: bytes) -> None:
        self._said = (self._said + said)[-REMEMBERED:]
        try:
            os.write(2, said)
        except OSError:
            pass

    def _tell(self) -> None:
        while True:
            call = self._told.get()
            if call is None:
                return
            call()

    def _end(self, why: str) -> None:
        """After the last answer: tells all who wait for one."""
        status = self._process.wait()
        self._errors.join(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()
        with self._lock:
            if self._closing:
                broken: Error = Cancelled("the session was closed")
            else:
                how = f"signal {-status}" if status < 0 else f"exit status {status}"
                said = self._said.decode("utf-8", "replace").strip()
                broken = InfrastructureError(
                    f"gg ended while it was needed ({why or how}); it said {said or 'nothing'}"
                )
            self._broken = broken
            left, self._listeners = list(self._listeners.values()), {}
        self._outgoing.put(None)
        for listener in left:
            listener.ended(None, type(broken)(broken.message))
        self._told.put(None)

    @property
    def broken(self) -> bool:
        """Whether gg has ended."""
        return self._broken is not None

    def close(self) -> None:
        """Cancels what has not ended, and waits until gg has. Harmless when repeated."""
        if self.pid != os.getpid():
            return
        with self._lock:
            self._closing = True
            if self._broken is None:
                self._broken = Cancelled("the session was closed")
        self._outgoing.put(None)
        for end in (self._process.terminate, self._process.kill, lambda: None):
            try:
                self._process.wait(PATIENCE)
                break
            except subprocess.TimeoutExpired:
                end()
        if threading.current_thread() is not self.teller:
            self.teller.join(PATIENCE)

    def forsake(self) -> None:
        """In a process that was forked: lets go of pipes which are its parent's, without a word."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        # It is no child of this process.
        self._process.returncode = 0


def _forked() -> None:
    global _making
    _making = threading.RLock()
    for connection in list(_all):
        if connection.pid != os.getpid():
            connection.forsake()


def _hold() -> None:
    _making.acquire()


os.register_at_fork(before=_hold, after_in_parent=lambda: _making.release(), after_in_child=_forked)


def command_of(gg: Optional[str], engines: Sequence[str], fallback: bool, env: Mapping[str, str]) -> List[str]:
    """The command line of ``gg api``."""
    command = [gg or env.get("GG_BIN") or "gg", "api"]
    for engine in engines:
        command += ["-e", engine]
    return command if fallback else [*command, "--no-fallback"]
