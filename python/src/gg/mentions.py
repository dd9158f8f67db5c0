"""Which functions a function may call, by what its text names."""

from __future__ import annotations

from types import CodeType, FunctionType, ModuleType
from typing import Any, Iterator, List, Type, TypeVar

__all__ = ["mentioned"]

F = TypeVar("F")


def _names(code: CodeType) -> List[str]:
    """The globals and attributes that code names, also in functions within it."""
    found = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found.update(dict.fromkeys(_names(constant)))
    return list(found)


def mentioned(function: F, kind: Type[F]) -> Iterator[F]:
    """A function, those that its text names, those that they name, and so on: what it may call, as far as that can be
    seen. What is named by plain functions and classes of the same module counts."""
    seen = {id(function)}
    stack: List[Any] = [function]

    def push(value: Any) -> None:
        if id(value) not in seen:
            seen.add(id(value))
            stack.append(value)

    while stack:
        it = stack.pop()
        if isinstance(it, kind):
            yield it
            it = getattr(it, "function")
        if isinstance(it, type):
            for member in vars(it).values():
                plain = getattr(member, "__func__", member)
                if isinstance(plain, FunctionType):
                    push(plain)
        if not isinstance(it, FunctionType):
            continue
        names = _names(it.__code__)
        for value in [it.__globals__[name] for name in names if name in it.__globals__]:
            if isinstance(value, kind):
                push(value)
            elif isinstance(value, ModuleType):
                inner = [vars(value).get(name) for name in names]
                for made in inner:
                    if isinstance(made, kind):
                        push(made)
            elif isinstance(value, (FunctionType, type)) and value.__module__ == it.__module__:
                push(value)
