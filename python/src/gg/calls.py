"""Python functions whose calls are thunks.

What travels is the text of the function's module with all that it imports, the function's name, and the arguments:
never a closure or code that was made at run time.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import pickle as pickling
import sys
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, Union, overload

from .graph import Graph, Input, Output, Source, Thunk, Word, make, word

__all__ = ["Function", "function"]

#: Where a call is in its sandbox.
PLACE = "/.gg-call"
CALL = PLACE + "/call.json"
RESULT = PLACE + "/result"
#: What a worker runs.
PROGRAM = "from gg.worker import run; run()"
#: What the main program's module is called where it is not the main program.
MAIN = "__gg_main__"
#: Characters of a call that its label shows.
LABEL = 80


class Worker:
    """The call that this process is about, if it is one."""

    #: The thunk's own inputs that are arguments; None where this is no worker.
    arguments: Optional[List[str]] = None


def located(function: Callable[..., Any]) -> Dict[str, str]:
    """Where a function is found again: ``root`` is to be on the module path."""
    qualified = function.__qualname__
    if "<" in qualified:
        raise TypeError(f"{qualified} is not at the top of its module, so it cannot be found there again")
    module = sys.modules[function.__module__]
    path = getattr(module, "__file__", None)
    if path is None or not os.path.isfile(path):
        raise TypeError(
            f"{qualified} is in no file (module {function.__module__}), and a thunk needs the text of its module"
        )
    path = os.path.realpath(path)
    name = function.__module__
    root = os.path.dirname(path)
    for _ in range(name.count(".") + (os.path.basename(path) == "__init__.py")):
        root = os.path.dirname(root)
    return {"module": MAIN if name == "__main__" else name, "file": path, "root": root, "function": qualified}


def checked_json(value: Any, what: str) -> str:
    """JSON from which the same value can be read."""
    try:
        text = json.dumps(value, allow_nan=False)
        same = json.loads(text) == value
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{what} cannot be said in JSON ({error}): use what JSON has, or @gg.function(pickle=True)"
        ) from error
    if not same:
        raise TypeError(
            f"{what} is not the same after JSON (a tuple, keys that are no str?): "
            "use what JSON has, or @gg.function(pickle=True)"
        )
    return text


class Function:
    """What :func:`function` makes. ``function`` is the plain function, for a call here and now."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.pickle: bool = options["pickle"]
        self._options = options

    def __call__(self, *args: Any, **kwargs: Any) -> Thunk:
        """The call as a thunk; nothing runs. An argument may be another call: the function gets what that returns. A
        path, a :class:`gg.Value`, an output or a source is given to it as a path of its sandbox.
        """
        inputs: Dict[str, Optional[Input]] = {}
        # Whatever they are called in this process's own thunk, from which they would be inherited.
        taken = {path: None for path in Worker.arguments or ()}

        def stated(value: Any) -> Tuple[str, Any]:
            place = f"{PLACE}/arguments/{len(inputs)}"
            if isinstance(value, Thunk) and value._more.get("read"):
                inputs[place] = value
                return str(value._more["read"]), place
            if isinstance(value, (Thunk, Output, Source)):
                inputs[place] = value
                return "path", place
            if isinstance(value, os.PathLike):
                place = f"{place}/{os.path.basename(os.path.abspath(value))}"
                inputs[place] = value if Worker.arguments is None else Graph.input(os.path.abspath(value))
                return "path", place
            what = f"an argument of {self.function.__qualname__}"
            if self.pickle:
                return "pickled", base64.b64encode(pickling.dumps(value, protocol=4)).decode("ascii")
            return "value", json.loads(checked_json(value, what))

        found = located(self.function)
        call: Dict[str, Any] = {
            **found,
            "args": [stated(value) for value in args],
            "kwargs": {name: stated(value) for name, value in kwargs.items()},
        }
        call["arguments"] = list(inputs)
        inputs = {**taken, **inputs, CALL: json.dumps(call)}
        said = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
        label = f"{self.function.__qualname__}({', '.join(said)})"
        label = label if len(label) <= LABEL else label[: LABEL - 1] + "…"
        if Worker.arguments is not None:
            return self._within(inputs, label)
        return self._stated(found["root"], found["file"], inputs, label)

    def _stated(self, root: str, path: str, inputs: Mapping[str, Optional[Input]], label: str) -> Thunk:
        options = self._options
        also = [os.path.abspath(os.fspath(it)) for it in options["also"]]
        package = self.function.__module__.partition(".")[0]
        if os.path.dirname(path) != root:
            # What a module of a package imports by relative names.
            also.append(os.path.join(root, package))
        asked = {
            "program": word(sys.executable),
            "args": [word(path)],
            "programs": [word(it) for it in options["programs"]],
            "packages": ["gg", *options["packages"]],
            "also": [word(it) for it in also],
        }
        capture = {name: value for name, value in asked.items() if value}
        return make(
            {"args": ["-c", PROGRAM]},
            inputs,
            base="/",
            outputs={"out": RESULT},
            optional=(),
            dynamic=options["dynamic"],
            env=options["env"],
            timeout=options["timeout"],
            volatile=options["volatile"],
            strict=None,
            label=label,
            more={"capture": capture, "read": self._read},
        )

    def _within(self, inputs: Mapping[str, Optional[Input]], label: str) -> Thunk:
        thunk = make(
            {"inherit": True},
            inputs,
            base="/",
            outputs={"out": RESULT},
            optional=(),
            dynamic=self._options["dynamic"],
            env=None,
            timeout=self._options["timeout"],
            volatile=self._options["volatile"] or None,
            strict=None,
            label=label,
            more={"read": self._read},
        )
        return thunk

    @property
    def _read(self) -> str:
        return "pickle" if self.pickle else "json"

    def __repr__(self) -> str:
        return f"<gg.function {self.function.__module__}.{self.function.__qualname__}>"


@overload
def function(function: Callable[..., Any]) -> Function: ...
@overload
def function(
    *,
    packages: Iterable[str] = (),
    programs: Iterable[Word] = (),
    also: Iterable["str | os.PathLike[str]"] = (),
    pickle: bool = False,
    dynamic: bool = False,
    env: Optional[Mapping[str, Word]] = None,
    timeout: Optional[float] = None,
    volatile: bool = False,
) -> Callable[[Callable[..., Any]], Function]: ...
def function(
    function: Optional[Callable[..., Any]] = None,
    *,
    packages: Iterable[str] = (),
    programs: Iterable[Word] = (),
    also: Iterable["str | os.PathLike[str]"] = (),
    pickle: bool = False,
    dynamic: bool = False,
    env: Optional[Mapping[str, Word]] = None,
    timeout: Optional[float] = None,
    volatile: bool = False,
) -> Union[Function, Callable[[Callable[..., Any]], Function]]:
    """Makes a function one whose calls are thunks.

    It has to stand at the top of a module, or of the main program, that is a file: its text is what travels, with what
    it imports. In the sandbox the module is imported and the function called; a main program is imported under another
    name than ``__main__``. Globals are as the module's text makes them, not as they are here.

    Arguments and results travel as JSON, and what JSON would change (a tuple) is refused. With ``pickle`` they are
    pickled: that takes nearly everything, but reading a result runs what its bytes say, so the function and all that it
    calls have to be trusted; and equal arguments may be pickled differently, and then are computed again.

    With ``dynamic`` the function may return a call in place of a value, also one whose arguments are calls: these are
    thunks in turn, forced in parallel, each once. What is called so has to be in the same module, or in one that it
    imports.

    ``packages``, ``programs``, ``also``, ``env``, ``timeout`` and ``volatile`` are as for :func:`gg.thunk`.

    >>> import gg, pathlib, sys
    >>> _ = pathlib.Path("numbers_here.py").write_text('''
    ... import gg
    ...
    ... @gg.function
    ... def add(a, b):
    ...     return a + b
    ...
    ... @gg.function(dynamic=True)
    ... def fib(n):
    ...     return n if n < 2 else add(fib(n - 1), fib(n - 2))
    ... ''')
    >>> sys.path.insert(0, "")
    >>> from numbers_here import add, fib
    >>> gg.force(add(add(1, 2), 4)).value()
    7
    >>> gg.force(fib(4)).value()
    3
    """
    options = {
        "packages": tuple(packages),
        "programs": tuple(programs),
        "also": tuple(also),
        "pickle": pickle,
        "dynamic": dynamic,
        "env": env,
        "timeout": timeout,
        "volatile": volatile,
    }
    if function is not None:
        return Function(function, options)
    return lambda function: Function(function, options)
