"""Encodes thunks and trees by what docs/ir.md says, and nothing else, and compares with the test vectors."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest

VECTORS = json.loads((Path(__file__).parents[2] / "testdata/ir/vectors.json").read_text())


def name(letter: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{letter}{digest}{len(content):08x}"


def number(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(text: bytes) -> bytes:
    return number(len(text)) + text


def mapping(entries: Dict[bytes, bytes]) -> bytes:
    return number(len(entries)) + b"".join(string(key) + entries[key] for key in sorted(entries))


def name_bytes(text: str) -> bytes:
    match = re.fullmatch(r"([VT])([A-Za-z0-9_-]{43})([0-9a-f]{8,16})", text)
    assert match, text
    digest = base64.urlsafe_b64decode(match[2] + "=")
    return match[1].encode() + digest + number(int(match[3], 16))


def reference(text: str) -> bytes:
    if "#" not in text:
        return name_bytes(text)
    thunk, tag = text.split("#")
    return name_bytes(thunk) + string(tag.encode())


def text(value: Any) -> bytes:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value.encode()


def source(value: Dict[str, Any]) -> bytes:
    mode = number(int(value.get("mode", "644"), 8))
    if "text" in value:
        return b"f" + name_bytes(name("V", value["text"].encode())) + mode
    if "base64" in value:
        return b"f" + name_bytes(name("V", base64.b64decode(value["base64"]))) + mode
    if "object" in value:
        return b"f" + reference(value["object"]) + mode
    if "tree" in value:
        return b"t" + name_bytes(value["tree"])
    if "symlink" in value:
        return b"l" + string(text(value["symlink"]))
    assert value == {"directory": True}
    return b"d"


def target(value: Any) -> bytes:
    if isinstance(value, str):
        return string(value.encode()) + b"\0"
    flags = value.get("optional", False) | value.get("dynamic", False) << 1
    return string(text(value["path"])) + bytes([flags])


def thunk(recipe: Dict[str, Any]) -> bytes:
    arguments: List[bytes] = [text(it) for it in recipe.get("args", [recipe["executable"]])]
    parts = [
        b"ggT\x01",
        string(text(recipe["executable"])),
        number(len(arguments)) + b"".join(map(string, arguments)),
        mapping({key.encode(): string(text(it)) for key, it in recipe.get("env", {}).items()}),
        string(text(recipe.get("cwd", "/"))),
        number(recipe.get("umask", 18)),
        mapping({key.encode(): source(it) for key, it in recipe.get("inputs", {}).items()}),
        mapping({key.encode(): target(it) for key, it in recipe.get("outputs", {}).items()}),
        number(recipe.get("timeout", 0)),
        bytes([recipe.get("volatile", False) | recipe.get("strict", True) << 1]),
    ]
    return b"".join(parts)


def tree(entries: Dict[str, Any]) -> bytes:
    return b"ggD\x01" + mapping({key.encode(): source(it) for key, it in entries.items()})


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["what"])
def test_the_page_suffices(vector: Dict[str, Any]) -> None:
    kinds: Dict[str, Tuple[str, Callable[[Dict[str, Any]], bytes]]] = {"recipe": ("T", thunk), "entries": ("V", tree)}
    form = next(form for form in kinds if form in vector)
    letter, encode = kinds[form]
    content = encode(vector[form])
    assert content.hex() == vector["bytes"]
    assert name(letter, content) == vector["name"]
