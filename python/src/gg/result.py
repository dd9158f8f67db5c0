"""What forcing a thunk comes to."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import sys
import tempfile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from .calls import MAIN
from .errors import text_of
from .graph import Source, octal, word

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Result", "Value"]

#: Bytes that come with an answer; larger contents come by a file.
_INLINE = 8 << 20


class Value(Source):
    """A content that gg keeps: an output, or what was :meth:`put <gg.Session.put>`. It is read when it is asked for,
    and can be an input of other thunks as it is. Pickled, it is its name: where it is unpickled, it is read by the
    default session there.
    """

    __slots__ = ("_session", "mode", "object", "size")

    def __init__(self, session: Optional["Session"], answer: Mapping[str, Any]) -> None:
        #: Its name (``V...``): a hash of its content.
        self.object: str = answer["object"]
        #: Its size in bytes.
        self.size: Optional[int] = answer.get("size")
        #: Its permission bits.
        self.mode: int = int(answer.get("mode") or "0644", 8)
        self._session = session
        super().__init__({"object": self.object, "mode": octal(self.mode)})

    def bytes(self) -> builtins.bytes:
        """The content."""
        if self.size is None or self.size > _INLINE:
            with tempfile.TemporaryDirectory(prefix="gg-") as directory:
                path = os.path.join(directory, "value")
                self.save(path)
                with open(path, "rb") as file:
                    return file.read()
        return self._reader()._get(self.object)

    def text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The content as text."""
        return self.bytes().decode(encoding, errors)

    def json(self) -> Any:
        """What the content says in JSON."""
        return json.loads(self.bytes())

    def unpickle(self) -> Any:
        """The object that was pickled. Runs what the pickle says: only for what comes from a program that you trust."""
        # What the main program's classes are called where they were pickled.
        sys.modules.setdefault(MAIN, sys.modules["__main__"])
        return pickle.loads(self.bytes())

    def save(self, path: "str | os.PathLike[str]", mode: Optional[int] = None) -> None:
        """Puts it at ``path`` as a file, by a rename, with its own permission bits or with ``mode``."""
        self._reader()._ask(
            "get", object=self.object, to=word(os.path.abspath(path)), mode=octal(self.mode if mode is None else mode)
        )

    def _reader(self) -> "Session":
        if self._session is not None:
            return self._session
        from .default import default_session

        return default_session()

    def __reduce__(self) -> Any:
        return Value, (None, {"object": self.object, "size": self.size, "mode": octal(self.mode)})

    def __repr__(self) -> str:
        return f"<Value {self.object} of {self.size} bytes>"


class Result:
    """A thunk that was forced. Where there is one output, what can be asked of it can be asked of the result:

    >>> import gg
    >>> result = gg.force(gg.thunk("sh", ["-c", "echo done; echo 42 > answer"], outputs="answer"))
    >>> result.text(), result.json(), result.stdout
    ('42\\n', 42, 'done\\n')
    """

    def __init__(self, session: "Session", event: Mapping[str, Any], read: str = "") -> None:
        #: The thunk's name (``T...``).
        self.thunk: str = event["thunk"]
        outputs: Dict[str, Value] = {tag: Value(session, made) for tag, made in event.get("outputs", {}).items()}
        #: What it has written, by tag. What was optional and is not written is not there.
        self.outputs: Mapping[str, Value] = MappingProxyType(outputs)
        #: What it wrote to its standard output. What is no UTF-8 is there as lone surrogates.
        self.stdout: str = text_of(event.get("stdout"))
        #: What it wrote to its standard error, likewise.
        self.stderr: str = text_of(event.get("stderr"))
        #: Whether the result was known, so that nothing was run.
        self.cached: bool = bool(event.get("cached"))
        #: The engine that ran it; None where it was known.
        self.engine: Optional[str] = event.get("engine")
        #: How long it ran, in seconds, whenever that was.
        self.wall: float = event.get("wall_ms", 0) / 1000
        #: Seconds of processor time that it took, whenever that was.
        self.cpu: float = event.get("cpu_ms", 0) / 1000
        #: The most memory that it had, in bytes.
        self.peak: int = event.get("peak_kib", 0) * 1024
        self._read = read

    def __getitem__(self, tag: str) -> Value:
        return self.outputs[tag]

    def _only(self) -> Value:
        if len(self.outputs) != 1:
            raise ValueError(
                f'there are {len(self.outputs)} outputs ({", ".join(self.outputs)}); say which, as result["TAG"]'
            )
        return next(iter(self.outputs.values()))

    def bytes(self) -> builtins.bytes:
        """As :meth:`Value.bytes`, of the only output."""
        return self._only().bytes()

    def text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """As :meth:`Value.text`, of the only output."""
        return self._only().text(encoding, errors)

    def json(self) -> Any:
        """As :meth:`Value.json`, of the only output."""
        return self._only().json()

    def save(self, path: "str | os.PathLike[str]", mode: Optional[int] = None) -> None:
        """As :meth:`Value.save`, of the only output."""
        self._only().save(path, mode)

    def value(self) -> Any:
        """What a :func:`gg.function` returned; of any other thunk, the content of its only output."""
        made = self._only()
        return {"json": made.json, "pickle": made.unpickle}.get(self._read, made.bytes)()

    def __repr__(self) -> str:
        return f"<Result of {self.thunk}: {', '.join(self.outputs) or 'no outputs'}>"
