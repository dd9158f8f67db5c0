"""How things are said to gg: JSON in UTF-8."""

from __future__ import annotations

import base64
import json
from typing import Any, Dict, Mapping

from .errors import RequestError

__all__ = ["decoded", "encoded", "sayable", "utf8"]


def encoded(content: bytes) -> Dict[str, str]:
    """Content as a request has it."""
    try:
        return {"text": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode("ascii")}


def decoded(answer: Mapping[str, Any]) -> bytes:
    """Content as an answer has it."""
    if "text" in answer:
        return str(answer["text"]).encode("utf-8")
    return base64.b64decode(answer["base64"])


def sayable(text: str) -> str:
    """A text, if it can be said in UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        around = text[max(error.start - 80, 0) : error.start + 80]
        raise RequestError(
            f"{around!r} cannot be said in UTF-8, as paths of inputs, labels, names of variables and texts are to be; "
            "arguments can be bytes, and so can contents"
        ) from None
    return text


def utf8(value: Any) -> bytes:
    """JSON as gg reads it."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        stack = [value]
        while stack:
            it = stack.pop()
            if isinstance(it, str):
                sayable(it)
            elif isinstance(it, dict):
                stack.extend([*it.keys(), *it.values()])
            elif isinstance(it, list):
                stack.extend(it)
        raise
