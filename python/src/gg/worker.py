"""The other side of :mod:`gg.calls`: runs in the sandbox, and makes the call."""

from __future__ import annotations

import base64
import importlib
import importlib.util
import json
import pathlib
import pickle
import sys
from types import ModuleType
from typing import Any, Dict, Sequence

from .calls import CALL, MAIN, RESULT, Function, Worker, checked_json
from .graph import Graph, Output, Thunk

__all__ = ["run"]


def run() -> None:
    """Makes the call that this thunk's inputs state."""
    with open(CALL, encoding="utf-8") as file:
        call: Dict[str, Any] = json.load(file)
    Worker.arguments = list(call["arguments"])
    sys.path.insert(0, call["root"])
    made: Any = _module(call)
    for part in call["function"].split("."):
        made = getattr(made, part)
    if not isinstance(made, Function):
        raise TypeError(f"{call['function']} in {call['file']} is no gg.function")
    result = made.function(*map(_value, call["args"]), **{name: _value(it) for name, it in call["kwargs"].items()})
    if isinstance(result, (Thunk, Output)):
        thunk = result if isinstance(result, Thunk) else result.thunk
        if thunk._more.get("read") != made._read:
            raise TypeError(f"{call['function']} returns its result in {made._read}, and a call that does not")
        Graph().write(RESULT, result)
        return
    content = (
        pickle.dumps(result, protocol=4)
        if made.pickle
        else checked_json(result, f"what {call['function']} returns").encode("ascii")
    )
    with open(RESULT, "wb") as file:
        file.write(content)


def _module(call: Dict[str, Any]) -> ModuleType:
    if call["module"] != MAIN:
        return importlib.import_module(call["module"])
    spec = importlib.util.spec_from_file_location(MAIN, call["file"])
    if spec is None or spec.loader is None:
        raise ImportError(f"{call['file']} is no Python module")
    module = importlib.util.module_from_spec(spec)
    # Under both names, since that is where a pickle looks for its classes.
    sys.modules[MAIN] = sys.modules["__main__"] = module
    spec.loader.exec_module(module)
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
