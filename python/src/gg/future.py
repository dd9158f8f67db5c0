"""Results that are still to come."""

from __future__ import annotations

import concurrent.futures
import functools
import os
import threading
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional

from .errors import Cancelled, Error, InfrastructureError, ProgramError, error_of
from .graph import Thunk
from .result import Result, Value
from .wire import utf8

if TYPE_CHECKING:
    from .session import Session
    from .stating import Request

__all__ = ["Future"]


class Future(concurrent.futures.Future[Result]):
    """A :class:`concurrent.futures.Future` of a :class:`gg.Result`: ``as_completed``, ``wait`` and
    ``asyncio.wrap_future`` take it. ``thunk`` is the thunk. It fails with a :class:`gg.Error`. Unlike those of an
    executor it can be cancelled while it runs: its program is killed, unless another future needs it.

    Callbacks run in a thread of the session's. They may read values, but not wait for other futures.
    """

    def __init__(self, session: "Session", thunk: Thunk, batch: "Batch") -> None:
        super().__init__()
        self.thunk = thunk
        self._session = session
        self._batch = batch
        self._owner = os.getpid()
        self._settled = False
        # Whoever gets it says how this ended.
        self._once = threading.Lock()

    def cancel(self) -> bool:
        """Ends it. False if it has ended already."""
        cancel_all([self])
        return self.cancelled()

    def _drop(self) -> bool:
        """Ends it here; whether gg is to hear of that."""
        if not super().cancel() or not self._once.acquire(blocking=False):
            return False
        self._settled = True
        self.set_running_or_notify_cancel()
        return True

    def result(self, timeout: Optional[float] = None) -> Result:
        """The result, as soon as it is there. Raises what went wrong: a :class:`gg.Error`, which is
        :class:`gg.Cancelled` if it was cancelled; :class:`TimeoutError` after ``timeout`` seconds.
        """
        self._may_wait()
        try:
            return super().result(timeout)
        except concurrent.futures.CancelledError as error:
            raise _cancelled(error) from None

    def exception(self, timeout: Optional[float] = None) -> Optional[BaseException]:
        """What went wrong, or None, as soon as that is known. Raises :class:`gg.Cancelled` if it was cancelled here."""
        self._may_wait()
        try:
            return super().exception(timeout)
        except concurrent.futures.CancelledError as error:
            raise _cancelled(error) from None

    def running(self) -> bool:
        """Whether it has been asked for and has not ended: gg does not say when its program is begun."""
        # Not by the state of the same name, in which nothing could be cancelled.
        return not self.done()

    def _may_wait(self) -> None:
        if self._owner != os.getpid() and not self._settled:
            raise InfrastructureError(
                "this future belongs to the process that this one was forked from: submit its thunk anew"
            )
        if threading.current_thread() is self._batch.teller and not self.done():
            raise RuntimeError(
                "a callback cannot wait for a future: callbacks run in the thread that futures are completed by"
            )

    def _finish(self, result: Optional[Result], error: Optional[Error]) -> None:
        if not self._once.acquire(blocking=False):
            return
        self._settled = True
        try:
            if error is not None:
                self.set_exception(error)
            elif result is not None:
                self.set_result(result)
        except concurrent.futures.InvalidStateError:
            # It was cancelled meanwhile.
            self.set_running_or_notify_cancel()


def _cancelled(error: concurrent.futures.CancelledError) -> Cancelled:
    """As one of gg's errors, which it may be."""
    return error if isinstance(error, Cancelled) else Cancelled("it was cancelled by its own program")


class Batch:
    """The futures of one request, each of another thunk."""

    def __init__(self, session: "Session", request: "Request") -> None:
        self.connection = connection = request.connection
        self._session: Optional["Session"] = session
        self.teller = connection.teller
        self._request: Optional[int] = None
        self._keys = {id(thunk): request.key(thunk) for thunk in request.wanted}
        self.futures: Dict[str, Future] = {
            self._keys[id(thunk)]: Future(session, thunk, self) for thunk in request.wanted
        }
        want = request.want()
        if want:
            body = b'{"do": "force", "thunks": %s, "want": %s}' % (request.thunks(), utf8(want))
            self._request = connection.send(body, self)
        for key, error in request.refused.items():
            connection.later(functools.partial(self.futures[key]._finish, None, error))

    def cancel(self, futures: Iterable[Future]) -> None:
        """Lets gg end these, which have been cancelled here."""
        if self._request is not None:
            keys = [self._keys[id(future.thunk)] for future in futures]
            self.connection.cancel(self._request, None if len(keys) == len(self.futures) else keys)

    def event(self, message: Dict[str, Any]) -> None:
        """One has ended."""
        future = self.futures.get(message["key"])
        session = self._session
        if future is None or session is None:
            return
        if message["event"] == "failed":
            error = error_of(message["error"])
            if isinstance(error, ProgramError):
                written = message["error"].get("outputs") or {}
                error.outputs = {tag: Value(session, made) for tag, made in written.items()}
            self.connection.later(lambda: future._finish(None, error))
        elif message["event"] == "done":
            result = Result(session, message, future.thunk._more.get("read", ""))
            self.connection.later(lambda: future._finish(result, None))

    def ended(self, answer: Optional[Dict[str, Any]], error: Optional[Error]) -> None:
        """All have ended, or none will."""
        self.connection.later(lambda: self._all(error))

    def _all(self, error: Optional[Error]) -> None:
        left: List[Future] = [future for future in self.futures.values() if not future._settled]
        why = error or InfrastructureError("gg answered without saying what became of this thunk")
        for future in left:
            # Each has an exception of its own: a traceback is added where it is raised.
            future._finish(
                None, Cancelled(why.message) if isinstance(why, Cancelled) else type(why)(why.message, why._details)
            )


def cancel_all(futures: Iterable[Future]) -> None:
    """Ends these, with one request for all of a batch."""
    batches: Dict[Batch, List[Future]] = {}
    for future in futures:
        if future._drop():
            batches.setdefault(future._batch, []).append(future)
    for batch, dropped in batches.items():
        batch.cancel(dropped)
