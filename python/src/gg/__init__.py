"""gg: computations that are described before they are made, made once, and made anywhere.

A *thunk* says which program is to run, with which arguments, on which files. *Forcing* it runs the program in a sandbox
that holds these files and nothing else, on this machine or on AWS Lambda, and keeps the result under a hash of all
that: the same thunk never runs twice.

>>> import gg
>>> words = gg.thunk("tr", ["a-z", "A-Z"], inputs={"/dev/stdin": "hello"})
>>> gg.force(words).stdout
'HELLO'

Layout: :func:`thunk`, :func:`python` and :func:`function` state thunks; :func:`force`, :func:`submit`, :func:`map`,
:func:`as_completed` and :func:`aforce` force them, in a :class:`Session`; :class:`Result` and :class:`Value` are what
comes of it; :class:`Error` and its kinds are what goes wrong; :mod:`gg.graph` is for programs that state further thunks
from inside of one.
"""

import importlib
from typing import TYPE_CHECKING, Any, List

from . import graph
from .calls import Function, function
from .graph import Graph, Output, Source, Thunk
from .state import directory, file, object, python, symlink, text, thunk, tree

if TYPE_CHECKING:
    from .default import aforce, as_completed, default_session, force, map, submit
    from .errors import Cancelled, DependencyError, Error, InfrastructureError, ProgramError, RequestError
    from .future import Future
    from .result import Result, Value
    from .session import Session

__version__ = "0.1.0"

__all__ = [
    "Cancelled",
    "DependencyError",
    "Error",
    "Function",
    "Future",
    "Graph",
    "InfrastructureError",
    "Output",
    "ProgramError",
    "RequestError",
    "Result",
    "Session",
    "Source",
    "Thunk",
    "Value",
    "aforce",
    "as_completed",
    "default_session",
    "directory",
    "file",
    "force",
    "function",
    "graph",
    "map",
    "object",
    "python",
    "submit",
    "symlink",
    "text",
    "thunk",
    "tree",
]

#: What is imported when it is used first. In a sandbox, where this package is imported for each call of a function, it
#: is not.
_LATER = {
    "default": ("aforce", "as_completed", "default_session", "force", "map", "submit"),
    "errors": ("Cancelled", "DependencyError", "Error", "InfrastructureError", "ProgramError", "RequestError"),
    "future": ("Future",),
    "result": ("Result", "Value"),
    "session": ("Session",),
}


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:
            made = globals()[name] = getattr(importlib.import_module("." + module, __name__), name)
            return made
    raise AttributeError(f"module 'gg' has no attribute {name!r}")


def __dir__() -> List[str]:
    return sorted(__all__)
