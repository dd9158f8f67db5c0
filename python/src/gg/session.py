"""A running gg that forces thunks."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import weakref
from types import TracebackType
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Type,
    TypeVar,
    Union,
    overload,
)

from .connection import Connection, Slot, command_of
from .errors import Error
from .future import Batch, Future, cancel_all
from .graph import Source, Thunk, stated_json, word
from .result import Result, Value
from .stating import Stating
from .wire import decoded, encoded, sayable

__all__ = ["Session"]

K = TypeVar("K")


class Session:
    """Forces thunks, through a ``gg`` of its own, which is started when it is needed first and ends with :meth:`close`,
    or with this program.

    ``gg``
        The program \\[``$GG_BIN``, or what PATH leads to].
    ``engines``
        Where thunks run: ``"local:2"``, ``"lambda:1000"``, or several, each of which helps the one before \\[what the
        environment and ``gg.toml`` say].
    ``fallback``
        Whether what the engines cannot run is run here.
    ``env``
        The environment of ``gg``, where the store (``GG_DIR``) and the programs (``PATH``) are looked up \\[this
        process's].

    It can be used from all threads. In a process that is forked it starts a ``gg`` anew. As a context manager it waits
    for what was submitted, or cancels it, when an exception leaves the block.

    >>> import gg
    >>> with gg.Session(engines="local:2") as session:
    ...     futures = [session.submit(gg.thunk("expr", [str(n), "*", str(n)])) for n in (7, 8)]
    ...     [int(future.result().stdout) for future in futures]
    [49, 64]
    """

    def __init__(
        self,
        gg: "str | os.PathLike[str] | None" = None,
        *,
        engines: Union[str, Sequence[str]] = (),
        fallback: bool = True,
        env: Optional[Mapping[str, str]] = None,
    ) -> None:
        listed = engines.split(",") if isinstance(engines, str) else engines
        own = dict(os.environ) if env is None else dict(env)
        self._env = None if env is None else own
        self._command = command_of(None if gg is None else os.fspath(gg), [it for it in listed if it], fallback, own)
        self._lock = threading.Lock()
        self._closed = False
        self._connection: Optional[Connection] = None
        self._owner = os.getpid()
        self._futures: "weakref.WeakSet[Future]" = weakref.WeakSet()
        self._finalizer: Optional[Any] = None
        _sessions.add(self)

    def _connected(self) -> Connection:
        """The running gg. One that has died is not started again: what it was asked for may be what it died of."""
        with self._lock:
            if self._closed:
                raise Error("the session is closed")
            if self._connection is None:
                self._connection = Connection(self._command, self._env)
                self._finalizer = weakref.finalize(self, Connection.close, self._connection)
            return self._connection

    def _ask(self, what: str, **fields: Any) -> Dict[str, Any]:
        return self._connected().ask(what, **fields)

    def _get(self, name: str) -> bytes:
        return decoded(self._ask("get", object=name))

    @property
    def broken(self) -> bool:
        """Whether its gg has died, or it was closed: nothing can be forced with it any more."""
        return self._closed or (self._connection is not None and self._connection.broken)

    @property
    def info(self) -> Mapping[str, Any]:
        """What gg says of itself: ``version``, ``engines``, ``sandbox``."""
        return dict(self._connected().hello)

    def put(self, content: "str | bytes | os.PathLike[str] | Source") -> Union[Value, Source]:
        """Keeps a content now, and gives what can be an input of many thunks without being sent with each: of a file or
        a text a :class:`Value`, of a directory a tree.
        """
        if isinstance(content, str):
            content = sayable(content).encode("utf-8")
        if isinstance(content, bytes):
            fields: Mapping[str, Any] = encoded(content)
        elif isinstance(content, Source):
            fields = stated_json(content._fields)
        else:
            fields = {"file": word(os.path.realpath(content))}
        answer = self._ask("put", **fields)
        return Source({"tree": answer["tree"]}) if "tree" in answer else Value(self, answer)

    def name(self, thunk: Thunk) -> str:
        """The name of a thunk (``T...``), which is not forced. Reads its inputs."""
        (request,) = Stating(self._connected()).requests([thunk])
        for error in request.refused.values():
            raise error
        slot = Slot()
        request.connection.send(b'{"do": "thunk", "thunks": %s}' % request.thunks(), slot)
        name: str = slot.wait()["thunks"][request.key(thunk)]
        return name

    def submit(self, thunk: Thunk) -> Future:
        """Begins to force a thunk."""
        return self.submit_all([thunk])[0]

    def submit_all(self, thunks: Iterable[Thunk]) -> List[Future]:
        """Begins to force many thunks, in requests for many; what they have in common is stated once. What cannot be
        stated fails by itself, with a :class:`gg.RequestError` of its future."""
        wanted = list(thunks)
        for thunk in wanted:
            if not isinstance(thunk, Thunk):
                raise TypeError(f"{thunk!r} is a {type(thunk).__name__}, and no thunk")
        distinct = list({id(thunk): thunk for thunk in wanted}.values())
        made: Dict[int, Future] = {}
        try:
            # Without a gg where there is nothing to do.
            for request in Stating(self._connected()).requests(distinct) if distinct else ():
                batch = Batch(self, request)
                made.update((id(future.thunk), future) for future in batch.futures.values())
        except BaseException:
            cancel_all(made.values())
            raise
        self._futures.update(made.values())
        return [made[id(thunk)] for thunk in wanted]

    @overload
    def force(self, thunks: Thunk) -> Result: ...
    @overload
    def force(self, thunks: Mapping[K, Thunk]) -> Dict[K, Result]: ...  # type: ignore[overload-overlap]
    @overload
    def force(self, thunks: Iterable[Thunk]) -> List[Result]: ...
    def force(self, thunks: Any) -> Any:
        """Forces a thunk, or all of a list or of a mapping's values, and gives the results in the same form. If one
        fails, its error is raised at once, and the others are cancelled; so they are on Ctrl-C. Where failures are to
        be told apart: :meth:`map` with ``return_exceptions``, or :meth:`submit`.
        """
        if isinstance(thunks, Thunk):
            return self._forced([thunks])[0]
        if isinstance(thunks, Mapping):
            return dict(zip(thunks.keys(), self._forced(list(thunks.values()))))
        return self._forced(list(thunks))

    def _forced(self, thunks: List[Thunk]) -> List[Result]:
        futures = self.submit_all(thunks)
        try:
            for future in futures:
                future._may_wait()
            done, _ = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_EXCEPTION)
            failed = next((future for future in futures if future in done and future.exception() is not None), None)
            if failed is not None:
                failed.result()
            return [future.result() for future in futures]
        except BaseException:
            cancel_all(futures)
            raise

    def map(
        self,
        make: Callable[..., Thunk],
        *iterables: Iterable[Any],
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> "Iterator[Any]":
        """Forces ``make(item, ...)`` for all items, all begun at once, and gives the results as they come: in the order
        of the items, or without ``ordered`` each as soon as it is there. Where the iterator comes to a failure it
        raises that, and what is left is cancelled; with ``return_exceptions`` the error stands for the result.
        """
        futures = self.submit_all([make(*items) for items in zip(*iterables)])
        return Results(futures, ordered, return_exceptions)

    def as_completed(self, thunks: Iterable[Thunk], timeout: Optional[float] = None) -> Iterator[Future]:
        """Begins to force thunks, and gives their futures as they end; ``future.thunk`` says which it is."""
        return completed(self.submit_all(thunks), timeout)

    async def aforce(self, thunk: Thunk) -> Result:
        """Forces a thunk, for asyncio: other tasks go on. Cancelling the task cancels it."""
        # Imported where it is needed: it takes longer than all the rest.
        import asyncio

        loop = asyncio.get_running_loop()
        # Starting gg and capturing a program take a moment.
        submitting = loop.run_in_executor(None, self.submit, thunk)
        try:
            future = await asyncio.shield(submitting)
        except asyncio.CancelledError:
            submitting.add_done_callback(lambda done: done.cancelled() or done.exception() or done.result().cancel())
            raise
        return await asyncio.wrap_future(future)

    def close(self, wait: bool = False) -> None:
        """Ends it. What has not ended is cancelled, or with ``wait`` waited for. Values are not to be read any more."""
        if wait:
            concurrent.futures.wait(list(self._futures))
        with self._lock:
            self._closed = True
            connection, self._connection = self._connection, None
        if connection is not None:
            if self._finalizer is not None:
                self._finalizer.detach()
            connection.close()

    def __enter__(self) -> "Session":
        self._connected()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            self.close(wait=kind is None)
        finally:
            self.close()

    def _forked(self) -> None:
        self._lock = threading.Lock()
        self._connection = None
        self._futures = weakref.WeakSet()
        if self._finalizer is not None:
            self._finalizer.detach()


_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()


def _after_fork() -> None:
    for session in list(_sessions):
        session._forked()


os.register_at_fork(after_in_child=_after_fork)


class Results(Iterator[Any]):
    """The results of a map. What has not ended is cancelled after a failure that is raised, by :meth:`close`, and when
    nobody holds this any more."""

    def __init__(self, futures: List[Future], ordered: bool, return_exceptions: bool) -> None:
        self._futures = futures
        self._left = iter(futures) if ordered else completed(futures, None)
        self._return_exceptions = return_exceptions
        self._dropped = weakref.finalize(self, _drop, futures)

    def __next__(self) -> Any:
        try:
            return next(self._left).result()
        except Error as error:
            if self._return_exceptions:
                return error
            self.close()
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancels what has not ended."""
        self._left = iter(())
        cancel_all(self._futures)
        self._dropped.detach()


def _drop(futures: List[Future]) -> None:
    # This may be called wherever memory is freed, also where a lock is held that cancelling takes: another thread does
    # it.
    for connection in {future._batch.connection for future in futures}:
        connection.later(lambda: cancel_all(futures))


def completed(futures: List[Future], timeout: Optional[float]) -> Iterator[Future]:
    for future in concurrent.futures.as_completed(futures, timeout):
        assert isinstance(future, Future)
        yield future
