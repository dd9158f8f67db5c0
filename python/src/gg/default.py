"""The session that is there without being made: started when it is needed first, ended with the program."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, TypeVar, Union, overload

from .future import Future
from .graph import Thunk
from .result import Result
from .session import Session, completed

__all__ = ["aforce", "as_completed", "default_session", "force", "map", "submit"]

K = TypeVar("K")

_lock = threading.Lock()
_session: Optional[Session] = None


def _forked() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forked)


def default_session() -> Session:
    """The session that ``gg.force`` and its like use. If its gg has died, the next call gets a new one."""
    global _session
    with _lock:
        if _session is None or _session.broken:
            _session = Session()
        return _session


@overload
def force(thunks: Thunk) -> Result: ...
@overload
def force(thunks: Mapping[K, Thunk]) -> Dict[K, Result]: ...  # type: ignore[overload-overlap]
@overload
def force(thunks: Iterable[Thunk]) -> List[Result]: ...
def force(thunks: Any) -> Any:
    """As :meth:`Session.force`.

    >>> import gg
    >>> three = gg.thunk("expr", ["1", "+", "2"])
    >>> gg.force(three).stdout
    '3\\n'
    >>> [result.stdout for result in gg.force([three, three])]
    ['3\\n', '3\\n']
    >>> gg.force({"sum": three})["sum"].stdout
    '3\\n'
    """
    return default_session().force(thunks)


def submit(thunk: Thunk) -> Future:
    """As :meth:`Session.submit`.

    >>> import gg
    >>> future = gg.submit(gg.thunk("expr", ["1", "+", "2"]))
    >>> future.result().stdout
    '3\\n'
    """
    return default_session().submit(thunk)


def map(
    make: Callable[..., Thunk], *iterables: Iterable[Any], ordered: bool = True, return_exceptions: bool = False
) -> Iterator[Any]:
    """As :meth:`Session.map`.

    >>> import gg
    >>> squares = gg.map(lambda n: gg.thunk("expr", [str(n), "*", str(n)]), range(1, 5))
    >>> [int(result.stdout) for result in squares]
    [1, 4, 9, 16]
    """
    return default_session().map(make, *iterables, ordered=ordered, return_exceptions=return_exceptions)


def as_completed(fs: Iterable[Union[Thunk, Future]], timeout: Optional[float] = None) -> Iterator[Future]:
    """As :func:`concurrent.futures.as_completed`; of thunks as :meth:`Session.as_completed`.

    >>> import gg
    >>> thunks = [gg.thunk("expr", [str(n), "+", "1"]) for n in range(3)]
    >>> sorted(future.result().stdout for future in gg.as_completed(thunks))
    ['1\\n', '2\\n', '3\\n']
    """
    given = list(fs)
    for it in given:
        if not isinstance(it, (Thunk, Future)):
            raise TypeError(
                f"{it!r} is a {type(it).__name__}, and neither a thunk nor a future of one; "
                "concurrent.futures.as_completed takes all futures"
            )
    begun = iter(default_session().submit_all([it for it in given if isinstance(it, Thunk)]))
    return completed([next(begun) if isinstance(it, Thunk) else it for it in given], timeout)


async def aforce(thunk: Thunk) -> Result:
    """As :meth:`Session.aforce`.

    >>> import asyncio, gg
    >>> async def both():
    ...     return await asyncio.gather(*(gg.aforce(gg.thunk("expr", [n, "+", "1"])) for n in "12"))
    >>> [result.stdout for result in asyncio.run(both())]
    ['2\\n', '3\\n']
    """
    return await default_session().aforce(thunk)
