"""How thunks and their inputs are stated."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, Iterable, Mapping, Optional, Union

from .graph import Input, Outputs, Source, Thunk, Word, absolute, listed, make, octal, word

__all__ = ["directory", "file", "object", "python", "symlink", "text", "thunk", "tree"]


def text(content: "str | bytes", mode: Optional[int] = None) -> Source:
    """A file with this content; ``str`` is kept in UTF-8. Without ``mode`` a ``str`` or ``bytes`` is the same as an
    input.

    >>> import gg
    >>> script = gg.text("#!/bin/sh\\nwc -l < words > out\\n", mode=0o755)
    >>> inputs = {"count": script, "words": "a\\nb\\n"}
    >>> made = gg.thunk("sh", ["-c", "./count"], inputs=inputs, outputs="out", programs=["/bin/sh", "wc"])
    >>> int(gg.force(made).text())
    2
    """
    from .graph import source

    made = source(content)
    if not isinstance(made, Source):
        raise TypeError(f"{content!r} is no text")
    return made if mode is None else made.chmod(mode)


def file(path: "str | os.PathLike[str]", mode: Optional[int] = None) -> Source:
    """What is at a path of this machine when the thunk is forced: a file, or a directory with all below it. A link
    stands for what it leads to now.

    >>> import gg, pathlib
    >>> _ = pathlib.Path("words").write_text("one two")
    >>> gg.force(gg.thunk("wc", ["-w"], inputs={"/dev/stdin": gg.file("words")})).stdout
    '2\\n'
    """
    made = Source({"file": word(os.path.realpath(path))})
    return made if mode is None else made.chmod(mode)


def tree(path: "str | os.PathLike[str]") -> Source:
    """A directory of this machine with all below it, as it is when the thunk is forced; or ``V...``, the name of a tree
    that gg has."""
    text = os.fspath(path)
    if os.sep not in text and text.startswith("V") and not os.path.exists(text):
        return Source({"tree": text})
    if not os.path.isdir(text):
        raise NotADirectoryError(f"{text} is no directory")
    return Source({"file": word(os.path.realpath(text))})


def symlink(text: Word) -> Source:
    """A symbolic link with this text."""
    return Source({"symlink": word(text)})


def directory() -> Source:
    """An empty directory. Those on the way to an input need not be stated."""
    return Source({"directory": True})


def object(name: str, mode: Optional[int] = None) -> Source:
    """A file with the content of a value (``V...``), or of a thunk's output (``T...#TAG``), by its name."""
    fields: Dict[str, Any] = {"object": name}
    return Source(fields if mode is None else {**fields, "mode": octal(mode)})


def thunk(
    executable: Word,
    args: Iterable[Word] = (),
    *,
    inputs: Optional[Mapping[str, Input]] = None,
    outputs: Outputs = (),
    optional: Iterable[str] = (),
    dynamic: Union[bool, Iterable[str]] = False,
    env: Optional[Mapping[str, Word]] = None,
    cwd: Word = "/",
    umask: int = 0o022,
    timeout: Optional[float] = None,
    volatile: bool = False,
    strict: bool = True,
    label: Optional[str] = None,
    capture: bool = True,
    programs: Iterable[Word] = (),
    packages: Iterable[str] = (),
    also: Iterable[Word] = (),
) -> Thunk:
    """States a computation. Nothing is read or run until it is forced.

    ``executable``
        The program: a name that is looked up in PATH, or a path. With ``capture`` it is one of this machine's, and
        comes with all that it needs; without, it is among the inputs, and has to be said as a path.
    ``args``
        Its arguments, without its own name.
    ``inputs``
        What else it can see, by path: a ``str`` or ``bytes`` (a file's content), a :class:`pathlib.Path` (what is
        there), what :func:`gg.text`, :func:`gg.file`, :func:`gg.tree`, :func:`gg.symlink`, :func:`gg.directory` and
        :func:`gg.object` make, a :class:`gg.Value`, another thunk (its only output), or ``thunk["tag"]``.
        ``/dev/stdin`` is its standard input.
    ``outputs``
        The files that it writes: paths by tag; a list of paths, whose tags are their last components; or one path,
        whose tag is ``out``.
    ``optional``, ``dynamic``
        The tags of outputs that may be missing, and of those that may be :mod:`graphs <gg.graph>` (``True``: all).
    ``env``, ``cwd``, ``umask``
        Its environment (what ``capture`` finds necessary is added), working directory, and file mode creation mask.
        Relative paths of inputs and outputs are seen from ``cwd``.
    ``timeout``
        Seconds that it may run, rounded up.
    ``volatile``
        Its result depends on more than its inputs: it is not kept from run to run.
    ``strict``
        Writing a file that is no output, and not below ``/tmp``, is a failure.
    ``label``
        What a person calls it, in errors. No part of the thunk.
    ``programs``, ``packages``, ``also``
        What ``capture`` does not see: other programs that it starts, Python packages that it imports by computed names,
        files and directories of this machine that it opens.

    >>> import gg
    >>> words = gg.thunk("sort", ["-o", "sorted", "words"], inputs={"words": "b\\na\\n"}, outputs="sorted")
    >>> first = gg.thunk("head", ["-n1"], inputs={"/dev/stdin": words})
    >>> gg.force(first).stdout
    'a\\n'
    """
    base = absolute(cwd, "/")
    arguments = [word(arg) for arg in listed(args, "args")]
    needs = {
        "programs": [word(it) for it in listed(programs, "programs")],
        "packages": list(listed(packages, "packages")),
        "also": [word(os.path.abspath(it)) for it in listed(also, "also")],
    }
    asked = {name: several for name, several in needs.items() if several}
    fields: Dict[str, Any] = {"cwd": word(base), "umask": umask}
    if capture:
        # A relative path is one of this machine's, and seen from here.
        named = os.fsencode(executable)
        fields["program"] = word(os.path.abspath(named) if b"/" in named else named)
        fields["args"] = arguments
        fields.update(asked)
    elif asked:
        raise ValueError("programs, packages and also are for capture, and there is to be none")
    else:
        fields["executable"] = word(absolute(executable, base))
        fields["args"] = [word(executable), *arguments]
    return make(
        fields,
        dict(inputs or {}),
        base=base,
        outputs=outputs,
        optional=optional,
        dynamic=dynamic,
        env=env or {},
        timeout=timeout,
        volatile=volatile,
        strict=strict,
        label=label,
    )


def python(
    script: "str | os.PathLike[str]", args: Iterable[Word] = (), *, interpreter: Optional[Word] = None, **more: Any
) -> Thunk:
    """A Python script as a thunk: it comes with its interpreter (this one, unless said otherwise), the standard
    library, and what it imports. The rest is as for :func:`gg.thunk`.

    >>> import gg, pathlib
    >>> _ = pathlib.Path("square.py").write_text("import sys; open('out', 'w').write(str(int(sys.argv[1]) ** 2))")
    >>> gg.force(gg.python("square.py", ["12"], outputs="out")).json()
    144
    """
    return thunk(interpreter or sys.executable, [os.path.realpath(script), *listed(args, "args")], **more)
