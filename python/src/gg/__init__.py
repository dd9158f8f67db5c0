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

from . import graph
from .calls import Function, function
from .default import aforce, as_completed, default_session, force, map, submit
from .errors import Cancelled, DependencyError, Error, InfrastructureError, ProgramError, RequestError
from .future import Future
from .graph import Graph, Output, Source, Thunk
from .result import Result, Value
from .session import Session
from .state import directory, file, object, python, symlink, text, thunk, tree

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
