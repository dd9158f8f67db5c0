"""Thunks as data, and graphs of them that a thunk's own program states.

This file uses nothing but the standard library and nothing else of this package, so a program can bring it along into
its sandbox: as one of its inputs (``inputs={"graph.py": gg.file(gg.graph.__file__)}``), or because it imports it.

A program whose output is declared ``dynamic`` may write a graph there, which is then forced in place of the output:

>>> graph = Graph(command=["/bin/fib"])          # in a sandbox, just Graph()
>>> left = graph.thunk(args=["39"])
>>> right = graph.thunk(args=["38"])
>>> total = graph.thunk("/bin/add", ["l", "r"], inputs={"/l": left, "/r": right})
>>> print(graph.encode(total).decode().splitlines()[0])
gg-graph 1
"""

from __future__ import annotations

import base64
import json
import math
import os
import posixpath
import re
import sys
from types import MappingProxyType
from typing import Any, Callable, ClassVar, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

__all__ = ["Graph", "Output", "Source", "Thunk"]

#: What an argument, a variable's value or a program can be.
Word = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
#: Where an input can be from: ``str`` and ``bytes`` are a file's content, a path is what is there.
Input = Union["Source", "Output", "Thunk", str, bytes, "os.PathLike[str]"]
#: What can be declared as outputs: paths by tag, paths, or a path.
Outputs = Union[Mapping[str, Word], Sequence[str], "os.PathLike[str]"]

T = TypeVar("T")

HEADER = b"gg-graph 1\n"
TAG = re.compile(r"[A-Za-z0-9._+-]{1,64}")


def word(value: Word) -> Any:
    """The JSON form of a text of the system's, which need not be UTF-8."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"{value!r} is a {type(value).__name__}; a str, bytes or a path was expected")
    content = os.fsencode(value)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode("ascii")}


def unworded(value: Any) -> str:
    """The text that :func:`word` has made a JSON form of; what is no UTF-8 in it are lone surrogates."""
    return os.fsdecode(base64.b64decode(value["base64"])) if isinstance(value, dict) else str(value)


def listed(values: Iterable[T], what: str) -> Tuple[T, ...]:
    """What is to be several. A text would be taken for its letters."""
    if isinstance(values, (str, bytes, os.PathLike)):
        raise TypeError(f"{what}: {values!r} is one, and a list was expected: [{values!r}]")
    return tuple(values)


def absolute(path: Word, cwd: str) -> str:
    """A path of the sandbox in its one spelling; a relative one is seen from ``cwd``."""
    text = os.fsdecode(path)
    if not text:
        raise ValueError("a path is empty")
    return "/" + posixpath.normpath(posixpath.join(cwd, text)).lstrip("/")


def octal(mode: int) -> str:
    """Permission bits as the protocol has them."""
    if not 0 <= mode <= 0o7777:
        raise ValueError(f"{mode!r} are no permission bits: from 0 to 0o7777")
    return f"{mode:04o}"


class Source:
    """Where an input is from. Made by :func:`gg.text`, :func:`gg.file` and their like, not by hand. Immutable."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields: Mapping[str, Any] = MappingProxyType(dict(fields))

    def chmod(self, mode: int) -> "Source":
        """The same file with these permission bits.

        >>> Source({"text": "x"}).chmod(0o755)
        Source({'text': 'x', 'mode': '0755'})
        """
        return Source({**self._fields, "mode": octal(mode)})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self._fields == other._fields

    def __hash__(self) -> int:
        return hash(json.dumps(stated_json(self._fields), sort_keys=True))

    def __repr__(self) -> str:
        return f"Source({dict(self._fields)!r})"


class Output:
    """What a thunk will have written, as an input of another: ``thunk["tag"]``. Immutable."""

    __slots__ = ("mode", "tag", "thunk")

    def __init__(self, thunk: "Thunk", tag: Optional[str], mode: Optional[int] = None) -> None:
        self.thunk = thunk
        self.tag = tag
        self.mode = mode

    def chmod(self, mode: int) -> "Output":
        """The same with these permission bits: a program that another thunk has made needs ``0o755``."""
        octal(mode)
        return Output(self.thunk, self.tag, mode)

    def __repr__(self) -> str:
        return f"{self.thunk!r}[{self.tag!r}]"


def stated_json(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """A source's fields as JSON has them. Until then bytes are what they are, so that many sources can share them."""
    content = fields.get("base64")
    if not isinstance(content, bytes):
        return dict(fields)
    return {**fields, "base64": base64.b64encode(content).decode("ascii")}


def source(value: Input) -> Union[Source, Output]:
    """What can be said as an input, in its one form."""
    if isinstance(value, (Source, Output)):
        return value
    if isinstance(value, Thunk):
        return value.only()
    if isinstance(value, str):
        return Source({"text": value})
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Source({"base64": bytes(value)})
    if isinstance(value, os.PathLike):
        # What a link leads to: a link's own text would mean something else in the sandbox.
        return Source({"file": word(os.path.realpath(value))})
    raise TypeError(f"{value!r} is a {type(value).__name__}, which is nothing that an input can be from")


class Thunk:
    """A computation that has not been made yet: a program, its arguments and all that it can see. Made by
    :func:`gg.thunk`, :func:`gg.python`, a :func:`gg.function`, or :meth:`Graph.thunk`. Immutable; compared by identity.
    Nothing is read or run until it is forced.
    """

    __slots__ = ("_fields", "_inputs", "_tags", "_more")

    def __init__(
        self,
        fields: Mapping[str, Any],
        inputs: Mapping[str, Union[Source, Output, None]],
        more: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self._fields = dict(fields)
        self._inputs = dict(inputs)
        tags = fields.get("outputs")
        self._tags: Optional[Tuple[str, ...]] = None if tags is None else tuple(tags)
        # What the rest of the package notes: how a result is read, how a program is captured.
        self._more = dict(more or {})

    @property
    def label(self) -> Optional[str]:
        """What a person calls it."""
        label: Optional[str] = self._fields.get("label")
        return label

    @property
    def outputs(self) -> Tuple[str, ...]:
        """The tags of what it writes; empty where it inherits them."""
        return self._tags or ()

    def only(self) -> Output:
        """Its output, if it has one only. What is inherited is not known here, and is taken to be one."""
        if self._tags is not None and len(self._tags) != 1:
            raise ValueError(
                f'{self!r} has {len(self._tags)} outputs ({", ".join(self._tags)}): say which, as thunk["TAG"]'
            )
        return Output(self, self._tags[0] if self._tags else None)

    def __getitem__(self, tag: str) -> Output:
        if self._tags is not None and tag not in self._tags:
            raise KeyError(f"{self!r} has no output {tag!r}; it has {', '.join(self._tags) or 'none'}")
        return Output(self, tag)

    # Without this, __getitem__ would make it an iterable of outputs 0, 1, ...
    __iter__: ClassVar[None] = None

    def __repr__(self) -> str:
        fields = self._fields
        # The arguments of a program that is to be captured do not begin with its own name.
        begin = [fields["program"]] if "program" in fields else []
        command = [*begin, *fields.get("args", ())] or [fields.get("executable", "inherited")]
        return f"<Thunk {self.label or ' '.join(map(unworded, command))}>"


def outputs_of(
    outputs: Outputs, cwd: str, optional: Iterable[str], dynamic: Union[bool, Iterable[str]]
) -> Dict[str, Any]:
    """The JSON form of declared outputs."""
    if isinstance(outputs, (str, os.PathLike)):
        named: Dict[str, Word] = {"out": outputs}
    elif isinstance(outputs, Mapping):
        named = dict(outputs)
    else:
        named = {posixpath.basename(path): path for path in outputs}
        if len(named) != len(outputs):
            raise ValueError("two outputs are called the same; give them tags: outputs={tag: path}")
    for tag in named:
        if not TAG.fullmatch(tag):
            raise ValueError(
                f"{tag!r} is no tag of an output: up to 64 of letters, digits and ._+-; say outputs={{tag: path}}"
            )
    chosen = set(listed(optional, "optional"))
    growing = set(named) if dynamic is True else set(listed(dynamic or (), "dynamic"))
    unknown = (chosen | growing) - set(named)
    if unknown:
        raise ValueError(f"no output is called {', '.join(sorted(unknown))}; there is {', '.join(named) or 'none'}")
    made: Dict[str, Any] = {}
    for tag, path in named.items():
        described: Dict[str, Any] = {"path": word(absolute(path, cwd))}
        if tag in chosen:
            described["optional"] = True
        if tag in growing:
            described["dynamic"] = True
        made[tag] = described if len(described) > 1 else described["path"]
    return made


def make(
    fields: Dict[str, Any],
    inputs: Mapping[str, Optional[Input]],
    *,
    base: str,
    outputs: Optional[Outputs],
    optional: Iterable[str],
    dynamic: Union[bool, Iterable[str]],
    env: Optional[Mapping[str, Word]],
    timeout: Optional[float],
    volatile: Optional[bool],
    strict: Optional[bool],
    label: Optional[str],
    more: Optional[Mapping[str, Any]] = None,
) -> Thunk:
    """What :func:`gg.thunk` and :meth:`Graph.thunk` have in common. ``base`` is where relative paths begin."""
    if outputs is not None:
        fields["outputs"] = outputs_of(outputs, base, optional, dynamic)
    elif dynamic or listed(optional, "optional"):
        raise ValueError("dynamic and optional speak of outputs, and none are said")
    if env is not None:
        fields["env"] = {name: word(value) for name, value in env.items()}
    if timeout is not None:
        if not timeout > 0:
            raise ValueError(f"timeout: {timeout!r} is no time in seconds")
        fields["timeout"] = math.ceil(timeout)
    said = {"volatile": volatile, "strict": strict, "label": label}
    fields.update({name: value for name, value in said.items() if value is not None})
    stated: Dict[str, Union[Source, Output, None]] = {}
    for path, value in inputs.items():
        at = absolute(path, base)
        if at in stated:
            raise ValueError(f"inputs: {at} is stated twice")
        stated[at] = None if value is None else source(value)
    return Thunk(fields, stated, more)


#: What becomes of a thunk's fields and inputs before they are stated.
Complete = Callable[[Thunk, Dict[str, Any], Dict[str, Any]], None]


class Recipes:
    """The recipes of thunks and of all that they use."""

    def __init__(self, complete: Optional[Complete] = None) -> None:
        self._complete = complete
        self._next = 0
        #: Keys by the identities of thunks.
        self.keys: Dict[int, str] = {}
        #: Recipes by key.
        self.recipes: Dict[str, Any] = {}

    def add(self, wanted: Thunk) -> List[str]:
        """States one more, and gives the keys of what had not been stated."""
        added: List[str] = []
        stack: List[Thunk] = []

        def key(thunk: Thunk) -> str:
            known = self.keys.get(id(thunk))
            if known is None:
                known = self.keys[id(thunk)] = f"t{self._next}"
                self._next += 1
                added.append(known)
                stack.append(thunk)
            return known

        key(wanted)
        while stack:
            thunk = stack.pop()
            recipe = dict(thunk._fields)
            inputs: Dict[str, Any] = {}
            for at, stated in thunk._inputs.items():
                if isinstance(stated, Output):
                    inputs[at] = {"thunk": key(stated.thunk)}
                    if stated.tag is not None:
                        inputs[at]["output"] = stated.tag
                    if stated.mode is not None:
                        inputs[at]["mode"] = octal(stated.mode)
                else:
                    inputs[at] = None if stated is None else dict(stated._fields)
            if self._complete is not None:
                self._complete(thunk, recipe, inputs)
            if inputs:
                recipe["inputs"] = {at: given and stated_json(given) for at, given in inputs.items()}
            self.recipes[self.keys[id(thunk)]] = recipe
        return added

    def remove(self, keys: Iterable[str]) -> None:
        """Takes back the last that were added."""
        dropped = set(keys)
        self.keys = {thunk: key for thunk, key in self.keys.items() if key not in dropped}
        for key in dropped:
            del self.recipes[key]


def lower(thunks: Iterable[Thunk], complete: Optional[Complete] = None) -> Tuple[Dict[str, Any], Dict[int, str]]:
    """The recipes of thunks and of all that they use, by key, and the keys by the thunks' identities."""
    made = Recipes(complete)
    for thunk in thunks:
        made.add(thunk)
    return made.recipes, made.keys


def started_with() -> List[bytes]:
    """This program's argument vector, interpreter and all."""
    # Where there are no namespaces, programs start through their loader, and the kernel shows that one's command line.
    given: Optional[List[str]] = getattr(sys, "orig_argv", None)
    if given is not None:
        return [os.fsencode(arg) for arg in given]
    # Python 3.9
    with open("/proc/self/cmdline", "rb") as file:
        own = file.read().split(b"\0")[:-1]
    if b"--library-path" in own[:4]:
        raise ValueError("what this program was started with is not known to this Python: say Graph(command=...)")
    return own


class Graph:
    """What a program in a sandbox states in place of an output.

    ``command`` is what this program's argument vector begins with (its own name; an interpreter and a script): by
    default what it was really started with.
    """

    def __init__(self, command: Optional[Sequence[Word]] = None) -> None:
        self._cwd = os.getcwd()
        self._command = None if command is None else [word(part) for part in listed(command, "command")]

    def command(self) -> List[Any]:
        """What this program's argument vector begins with."""
        if self._command is None:
            own = started_with()
            rest = [os.fsencode(arg) for arg in sys.argv[1:]]
            if own[len(own) - len(rest) :] != rest:
                raise ValueError("sys.argv was changed, so what this program was started with is not known: say argv")
            self._command = [word(part) for part in own[: len(own) - len(rest)]]
        return self._command

    def thunk(
        self,
        executable: Optional[Word] = None,
        args: Optional[Sequence[Word]] = None,
        *,
        argv: Optional[Sequence[Word]] = None,
        inherit: bool = True,
        inputs: Optional[Mapping[str, Optional[Input]]] = None,
        outputs: Optional[Outputs] = None,
        optional: Iterable[str] = (),
        dynamic: Union[bool, Iterable[str]] = False,
        env: Optional[Mapping[str, Word]] = None,
        cwd: Optional[Word] = None,
        timeout: Optional[float] = None,
        volatile: Optional[bool] = None,
        strict: Optional[bool] = None,
        label: Optional[str] = None,
    ) -> Thunk:
        """A thunk of the graph. With ``inherit``, what is not said is as in the thunk that runs this program, and its
        inputs are there as well (``None`` takes one away). ``args`` are the arguments after what the program begins
        with: after its own name, or, of this same program, after :meth:`command`; ``argv`` says the whole vector
        instead. The rest is as for :func:`gg.thunk`, except that programs are not captured: they are among the inputs.

        >>> Graph(["python3", "fib.py"]).thunk(args=["7"], inputs={"/seed": "1", "/old": None})
        <Thunk python3 fib.py 7>
        """
        fields: Dict[str, Any] = {"inherit": True} if inherit else {}
        base = self._cwd if cwd is None else absolute(cwd, self._cwd)
        if cwd is not None:
            fields["cwd"] = word(base)
        if executable is not None:
            fields["executable"] = word(absolute(executable, base))
        elif not inherit:
            raise ValueError("a thunk that inherits nothing has to say its executable")
        if argv is not None:
            if args is not None:
                raise ValueError("args is a part of argv: say one of them")
            fields["args"] = [word(arg) for arg in listed(argv, "argv")]
        elif executable is not None:
            fields["args"] = [word(executable), *(word(arg) for arg in listed(args or (), "args"))]
        elif args is not None:
            fields["args"] = [*self.command(), *(word(arg) for arg in listed(args, "args"))]
        return make(
            fields,
            inputs or {},
            base=base,
            outputs=outputs,
            optional=optional,
            dynamic=dynamic,
            env=env,
            timeout=timeout,
            volatile=volatile,
            strict=strict,
            label=label,
        )

    @staticmethod
    def input(path: Word) -> Source:
        """What this program's thunk has as its input at this path (not below it, in a tree)."""
        return Source({"input": word(absolute(path, os.getcwd()))})

    @staticmethod
    def made(tag: str) -> Source:
        """A plain output of this program's, by its tag."""
        return Source({"made": tag})

    @staticmethod
    def symlink(text: Word) -> Source:
        """A symbolic link."""
        return Source({"symlink": word(text)})

    def encode(self, output: Input) -> bytes:
        """The graph as it is written: ``output`` is what stands for the output."""
        made = source(output)
        wanted = made.thunk if isinstance(made, Output) else None
        recipes, keys = lower([wanted] if wanted else [])
        if isinstance(made, Output):
            stands: Dict[str, Any] = {"thunk": keys[id(made.thunk)]}
            if made.tag is not None:
                stands["output"] = made.tag
            if made.mode is not None:
                stands["mode"] = octal(made.mode)
        else:
            stands = stated_json(made._fields)
        stated = [
            stands,
            *(given for recipe in recipes.values() for given in recipe.get("inputs", {}).values() if given),
        ]
        if any("file" in given for given in stated) or any("program" in recipe for recipe in recipes.values()):
            raise ValueError(
                "a graph can name what its program can see, and no file or program of the machine: "
                "read the file, or use graph.input"
            )
        return HEADER + json.dumps({"thunks": recipes, "output": stands}).encode("ascii")

    def write(self, path: Word, output: Input) -> None:
        """Writes the graph where an output is due that was declared ``dynamic``."""
        content = self.encode(output)
        with open(path, "wb") as file:
            file.write(content)
