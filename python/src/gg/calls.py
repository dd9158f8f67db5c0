"""Python functions whose calls are thunks.

What travels is the text of the function's module with all that it imports, the function's name, and the arguments:
never a closure or code that was made at run time.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import sys
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, Union, overload

from .carried import checked_json, pickled
from .graph import Graph, Input, Output, Source, Thunk, Word, listed, make, unworded, word
from .mentions import mentioned

__all__ = ["Function", "function"]

#: Where a call is in its sandbox.
PLACE = "/.gg-call"
CALL = PLACE + "/call.json"
RESULT = PLACE + "/result"
#: With what a dynamic call runs, which is what the calls that it states run with as well.
HOST = PLACE + "/host.json"
#: What a worker runs.
PROGRAM = "from gg.worker import run; run()"
#: What the main program's module is called where it is not the main program.
MAIN = "__gg_main__"
#: Characters of a call that its label shows.
LABEL = 80
#: The options that say what is captured.
NEEDS = ("programs", "packages", "also")
#: Why a call is not to be returned.
NOT_DYNAMIC = (
    "which a function can do that is declared so: @gg.function(dynamic=True); "
    "to call one here and now, say FUNCTION.function(...)"
)


class Worker:
    """The call that this process is about, if it is one."""

    #: Whether it is.
    running = False
    #: What :data:`HOST` says; None where the call is not dynamic, so that it cannot state any others.
    host: Optional[Dict[str, Any]] = None


def located(function: Callable[..., Any]) -> Dict[str, str]:
    """Where a function is found again: ``root`` is to be on the module path."""
    qualified = function.__qualname__
    if "<" in qualified:
        raise TypeError(f"{qualified} is not at the top of its module, so it cannot be found there again")
    name = function.__module__
    module = sys.modules[name]
    path = getattr(module, "__file__", None)
    if path is None or not os.path.isfile(path):
        raise TypeError(f"{qualified} is in no file (module {name}), and a thunk needs the text of its module")
    path = os.path.abspath(path)
    if name in ("__main__", "__mp_main__", MAIN):
        # Of a program that is run as a module (python -m), the package, from which it may import by relative names.
        name, package = MAIN, getattr(getattr(module, "__spec__", None), "parent", None) or ""
        if not os.path.dirname(path).endswith(package.replace(".", os.sep)):
            # Somebody else's: of a debugger, say, that was run so and runs this.
            package = ""
    else:
        package = name if os.path.basename(path) == "__init__.py" else name.rpartition(".")[0]
    root = os.path.dirname(path)
    for _ in package.split(".") if package else ():
        root = os.path.dirname(root)
    # A module that is a link is imported by the link's name.
    real = os.path.realpath(root)
    path = os.path.join(real, os.path.relpath(path, root))
    return {"module": name, "package": package, "file": path, "root": real, "function": qualified}


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
                inputs[place] = Graph.input(os.path.abspath(value)) if Worker.running else value
                return "path", place
            what = f"an argument of {self.function.__qualname__}"
            if self.pickle:
                return "pickled", base64.b64encode(pickled(value, what)).decode("ascii")
            return "value", json.loads(checked_json(value, what))

        found = located(self.function)
        call: Dict[str, Any] = {
            **found,
            "args": [stated(value) for value in args],
            "kwargs": {name: stated(value) for name, value in kwargs.items()},
        }
        inputs[CALL] = json.dumps(call)
        said = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
        label = f"{self.function.__qualname__}({', '.join(said)})".encode("utf-8", "backslashreplace").decode("utf-8")
        label = label if len(label) <= LABEL else label[: LABEL - 1] + "…"
        return self._within(inputs, label) if Worker.running else self._stated(found, inputs, label)

    def _needs(self) -> Dict[str, List[Any]]:
        """What is to be captured besides its module, as it was said."""
        return {name: [word(it) for it in self._options[name]] for name in NEEDS}

    def _stated(self, found: Mapping[str, str], inputs: Mapping[str, Optional[Input]], label: str) -> Thunk:
        # What a dynamic one calls runs with what this one comes with.
        needs: Dict[str, List[Any]] = {name: [] for name in NEEDS}
        for it in mentioned(self, Function) if self._options["dynamic"] else [self]:
            for name, own in it._needs().items():
                needs[name].extend(one for one in own if one not in needs[name])
        also = [word(os.path.abspath(unworded(it))) for it in needs["also"]]
        if found["package"]:
            # What a module of a package imports by relative names.
            also.append(word(os.path.join(found["root"], found["package"].partition(".")[0])))
        asked = {
            "program": word(sys.executable),
            "args": [word(found["file"])],
            "programs": needs["programs"],
            "packages": ["gg", *needs["packages"]],
            "also": also,
        }
        more: Dict[str, Any] = {"capture": {name: value for name, value in asked.items() if value}}
        if self._options["dynamic"]:
            more["host"] = needs
        return self._made({"args": ["-c", PROGRAM]}, {}, inputs, label, more)

    def _within(self, inputs: Mapping[str, Optional[Input]], label: str) -> Thunk:
        """Of a call that another call states. All is said, and nothing inherited, so that it runs as it would if it
        were forced by itself: the other one's environment, and how long that may run, are none of its affair."""
        host = Worker.host
        if host is None:
            return self._made({"inherit": True}, {}, inputs, label, {"refused": NOT_DYNAMIC})
        seen: Dict[str, Optional[Input]] = {path: Graph.input(path) for path in host["inputs"]}
        if self._options["dynamic"]:
            seen[HOST] = Graph.input(HOST)
        more = {}
        for name, needed in self._needs().items():
            lacking = [str(unworded(it)) for it in needed if it not in host["needs"][name]]
            if lacking:
                # Said when it is returned: a module may make what it does not use.
                more["refused"] = (
                    f"{self.function.__qualname__} needs {name}={lacking!r}, with which what calls it did not come: "
                    f"say {name}={lacking!r} of the function that is forced, too"
                )
        fields = {"executable": host["executable"], "args": [host["name"], "-c", PROGRAM]}
        return self._made(fields, host["env"], {**seen, **inputs}, label, more)

    def _made(
        self,
        fields: Dict[str, Any],
        env: Mapping[str, Any],
        inputs: Mapping[str, Optional[Input]],
        label: str,
        more: Mapping[str, Any],
    ) -> Thunk:
        options = self._options
        fields["env"] = {**env, **{name: word(value) for name, value in (options["env"] or {}).items()}}
        return make(
            fields,
            inputs,
            base="/",
            outputs={"out": RESULT},
            optional=(),
            dynamic=options["dynamic"],
            env=None,
            timeout=options["timeout"],
            volatile=options["volatile"],
            strict=None,
            label=label,
            more={**more, "read": self._read},
        )

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
    name than ``__main__``. Globals are as the module's text makes them, not as they are here. What a module file that
    is a link imports from its own directory is looked for beside what the link leads to; name what is not there in
    ``also``.

    Arguments and results travel as JSON, and what JSON would change (a tuple) is refused. With ``pickle`` they are
    pickled: that takes nearly everything, but reading a result runs what its bytes say, so the function and all that it
    calls have to be trusted; and equal arguments may be pickled differently, and then are computed again.

    With ``dynamic`` the function may return a call in place of a value, also one whose arguments are calls: these are
    thunks in turn, forced in parallel, each once. What is called so has to be in the same module, or in one that it
    imports. Each has its own options; the ``packages``, ``programs`` and ``also`` of functions that are named in the
    text of this one, or of what that names, come with this one, and what needs others is refused.

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
        "packages": listed(packages, "packages"),
        "programs": listed(programs, "programs"),
        "also": listed(also, "also"),
        "pickle": pickle,
        "dynamic": dynamic,
        "env": env,
        "timeout": timeout,
        "volatile": volatile,
    }
    if function is not None:
        return Function(function, options)
    return lambda function: Function(function, options)
