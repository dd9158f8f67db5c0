"""The other side of :mod:`gg.calls`: runs in the sandbox, and makes the call."""

from __future__ import annotations

import base64
import importlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import pickle
import sys
from types import ModuleType
from typing import Any, Dict, Sequence

from .calls import CALL, HOST, MAIN, NOT_DYNAMIC, RESULT, Function, Worker
from .carried import checked_json, pickled
from .graph import Graph, Output, Thunk, lower

__all__ = ["run"]


def run() -> None:
    """Makes the call that this thunk's inputs state."""
    with open(CALL, encoding="utf-8") as file:
        call: Dict[str, Any] = json.load(file)
    Worker.running = True
    if os.path.exists(HOST):
        with open(HOST, encoding="utf-8") as file:
            Worker.host = json.load(file)
    sys.path.insert(0, call["root"])
    made: Any = _module(call)
    name = call["function"]
    for part in name.split("."):
        made = getattr(made, part)
    if not isinstance(made, Function):
        raise TypeError(f"{name} in {call['file']} is no gg.function")
    result = made.function(*map(_value, call["args"]), **{name: _value(it) for name, it in call["kwargs"].items()})
    if isinstance(result, (Thunk, Output)):
        thunk = result if isinstance(result, Thunk) else result.thunk
        if Worker.host is None:
            raise TypeError(f"{name} returns a call, {NOT_DYNAMIC}")
        if thunk._more.get("read") != made._read:
            raise TypeError(f"{name} returns its result in {made._read}, and a call that does not")
        lower([thunk], _admit)
        Graph().write(RESULT, result)
        return
    what = f"what {name} returns"
    content = pickled(result, what) if made.pickle else checked_json(result, what).encode("ascii")
    with open(RESULT, "wb") as file:
        file.write(content)


def _admit(thunk: Thunk, recipe: Dict[str, Any], inputs: Dict[str, Any]) -> None:
    """Refuses a call that cannot be made with what is here."""
    if "refused" in thunk._more:
        raise TypeError(thunk._more["refused"])


def _module(call: Dict[str, Any]) -> ModuleType:
    if call["module"] != MAIN:
        return importlib.import_module(call["module"])
    # In its package, from which it may import by relative names, and called as what it is.
    package = call["package"]
    name = f"{package}.{MAIN}" if package else MAIN
    if package:
        importlib.import_module(package)
    loader = importlib.machinery.SourceFileLoader(name, call["file"])
    spec = importlib.util.spec_from_file_location(name, call["file"], loader=loader)
    if spec is None:
        raise ImportError(f"{call['file']} is no Python module")
    module = importlib.util.module_from_spec(spec)
    module.__name__ = MAIN
    # Under both names, since that is where a pickle looks for its classes.
    sys.modules[MAIN] = sys.modules["__main__"] = module
    code = loader.get_code(name)
    if code is None:
        raise ImportError(f"{call['file']} is no Python module")
    exec(code, module.__dict__)
    return module


def _value(stated: Sequence[Any]) -> Any:
    kind, value = stated
    if kind == "value":
        return value
    if kind == "pickled":
        return pickle.loads(base64.b64decode(value))
    path = pathlib.Path(value)
    if kind == "json":
        return json.loads(path.read_bytes())
    if kind == "pickle":
        return pickle.loads(path.read_bytes())
    return path
