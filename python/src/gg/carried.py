"""How arguments and results travel: as JSON that says them exactly, or pickled."""

from __future__ import annotations

import json
import pickle
from reprlib import repr
from typing import Any, Set

from .graph import Output, Source, Thunk

__all__ = ["checked_json", "pickled"]


def checked_json(value: Any, what: str) -> str:
    """JSON from which the same value can be read, of the same types."""
    advice = "use what JSON has, or @gg.function(pickle=True)"
    try:
        text = json.dumps(value, allow_nan=False)
        same = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        inner = _held(value)
        if inner is not None:
            raise _misplaced(inner, what) from None
        raise TypeError(f"{what} cannot be said in JSON ({error}): {advice}") from error
    # Not by ==, to which an enumeration's member is its value and a Counter a dict.
    pairs = [(value, same)]
    while pairs:
        said, read = pairs.pop()
        if type(said) is not type(read):
            raise TypeError(
                f"{what} is not the same after JSON, which makes a {type(read).__name__} "
                f"of the {type(said).__name__} {repr(said)}: {advice}"
            )
        if isinstance(said, dict):
            if any(type(key) is not str for key in said) or said.keys() != read.keys():
                raise TypeError(f"{what} is not the same after JSON, where all keys are texts: {advice}")
            pairs.extend((it, read[key]) for key, it in said.items())
        elif isinstance(said, list):
            pairs.extend(zip(said, read))
        elif said != read:
            raise TypeError(f"{what} is not the same after JSON, which makes {repr(read)} of {repr(said)}: {advice}")
    return text


def pickled(value: Any, what: str) -> bytes:
    """A pickle of a value."""
    inner = _held(value)
    if inner is not None:
        raise _misplaced(inner, what)
    return pickle.dumps(value, protocol=4)


def _misplaced(inner: Any, what: str) -> TypeError:
    return TypeError(
        f"{what} holds {repr(inner)} within something else, where it would not be forced: "
        "a call, an output or a source is an argument of its own"
    )


def _held(value: Any) -> Any:
    """A thunk or the like that is somewhere in a value, where it cannot be seen to."""
    seen: Set[int] = set()
    stack = [value]
    while stack:
        it = stack.pop()
        if isinstance(it, (Thunk, Output, Source)):
            return it
        if isinstance(it, (dict, list, tuple, set, frozenset)) and id(it) not in seen:
            seen.add(id(it))
            stack.extend(it.values() if isinstance(it, dict) else it)
    return None
