"""What can go wrong, by whose fault it is."""

from __future__ import annotations

import base64
import concurrent.futures
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

if TYPE_CHECKING:
    from .result import Value

__all__ = ["Cancelled", "DependencyError", "Error", "InfrastructureError", "ProgramError", "RequestError"]

#: Lines of a program's text that an error shows.
_SHOWN = 20


def text_of(value: Any) -> str:
    """A text of the protocol's. What is no UTF-8 in it is kept as lone surrogates, as file names have it."""
    if isinstance(value, dict):
        return base64.b64decode(value["base64"]).decode("utf-8", "surrogateescape")
    return str(value or "")


class Error(Exception):
    """Whatever gg has to say. ``message`` is one paragraph; ``thunk`` the name of the thunk that it is about, if there
    is one."""

    def __init__(self, message: str, details: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(message)
        self._details: Dict[str, Any] = dict(details or {})
        self.message = message
        self.thunk: Optional[str] = self._details.get("thunk")

    def __reduce__(self) -> Any:
        return type(self), (self.message, self._details)


class RequestError(Error):
    """The caller's fault: a thunk that is none, or names what is not there."""


class ProgramError(Error):
    """A thunk's program failed, or did what its thunk does not allow."""

    def __init__(self, message: str, details: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(message, details)
        known = self._details
        #: What a person calls the thunk: its label, or its command line.
        self.label: str = known.get("label") or ""
        #: The argument vector.
        self.command: List[str] = list(known.get("command") or [])
        #: The paths of what it worked on, ten at most.
        self.inputs: List[str] = list(known.get("inputs") or [])
        #: The program's exit status, if it ended by itself.
        self.status: Optional[int] = known.get("status")
        #: The signal that ended it, if one did.
        self.signal: Optional[int] = known.get("signal")
        #: Whether it was ended since its time was over (``timeout``).
        self.timed_out: bool = bool(known.get("timed_out"))
        #: Outputs that it did not write.
        self.missing: List[str] = list(known.get("missing") or [])
        #: Outputs that it wrote all the same, by tag.
        self.outputs: Mapping[str, "Value"] = {}
        #: What it wrote to its standard output and error. What is no UTF-8 is there as lone surrogates.
        self.stdout: str = text_of(known.get("stdout"))
        self.stderr: str = text_of(known.get("stderr"))

    def __reduce__(self) -> Any:
        return type(self), (self.message, self._details), {"outputs": dict(self.outputs)}

    def __str__(self) -> str:
        lines = self.stderr.encode("utf-8", "backslashreplace").decode("utf-8").splitlines()
        if not lines:
            return self.message
        left_out = ["..."] if len(lines) > _SHOWN else []
        return "\n  | ".join([self.message, *left_out, *lines[-_SHOWN:]])


class DependencyError(ProgramError):
    """The program of another thunk failed, whose output this one needs; all attributes are about that one."""


class InfrastructureError(Error):
    """The fault of gg, of the machine or of the service, and not of a program."""


class Cancelled(Error, concurrent.futures.CancelledError):
    """Nobody's fault: it was cancelled before it had ended."""


_KINDS = {
    "request": RequestError,
    "program": ProgramError,
    "dependency": DependencyError,
    "infrastructure": InfrastructureError,
    "cancelled": Cancelled,
}


def error_of(details: Mapping[str, Any]) -> Error:
    """The error that an answer tells of."""
    kind = _KINDS.get(str(details.get("kind")), InfrastructureError)
    return kind(str(details.get("message") or "gg says no more"), details)
