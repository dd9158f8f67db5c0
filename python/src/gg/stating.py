"""From thunks to requests that gg takes: not too long, with large contents kept beforehand, and without what cannot be
stated, so that one such thunk is no other's misfortune."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Optional, Set

from .calls import HOST
from .connection import LONGEST
from .errors import Error, RequestError
from .graph import Recipes, Thunk
from .wire import encoded, sayable, utf8

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Request", "Stating"]

#: Thunks that are asked for in one request.
WANTED = 1000
#: Thunks that gg takes in one request, with those that they use; bytes are ``LONGEST``. Less is no limit, since what
#: all of them use is stated again in each request.
MOST = 100_000
#: Bytes of a request beside its recipes, at most.
BESIDE = 1 << 20
#: Characters or bytes of a content that is stated with each thunk that has it; what is longer is kept by gg first.
INLINE = 64 << 10


#: What the variables of a program's environment begin with that decide what is captured for it.
DECIDING = ("PATH", "LD_", "LANG", "LOCPATH", "LC_", "PYTHON", "PYENV_", "VIRTUAL_ENV", "PERL")


class Request:
    """What is asked for at once, and what cannot be."""

    def __init__(self, stating: "Stating") -> None:
        self.connection = stating.connection
        self.wanted: List[Thunk] = []
        #: Why a wanted thunk is not asked for, by its key.
        self.refused: Dict[str, Error] = {}
        self._faults: Dict[str, Error] = {}
        self._made = Recipes(lambda thunk, recipe, inputs: self._complete(stating, thunk, recipe, inputs))
        self._encoded: Dict[str, bytes] = {}
        self._size = 0

    def key(self, thunk: Thunk) -> str:
        """What a wanted thunk is called in it."""
        return self._made.keys[id(thunk)]

    def add(self, thunk: Thunk) -> bool:
        """Asks for one more, unless that is too much."""
        added = self._made.add(thunk)
        for key in added:
            try:
                # Of what has a fault, all that counts is what it uses.
                self._encoded[key] = b"" if key in self._faults else utf8(self._made.recipes[key])
            except RequestError as fault:
                self._faults[key] = fault
                self._encoded[key] = b""
            self._size += len(self._encoded[key]) + len(key) + 8
        too_long = self._size > LONGEST - BESIDE
        if self.wanted and (too_long or len(self._encoded) > MOST):
            for key in added:
                self._size -= len(self._encoded.pop(key)) + len(key) + 8
                self._faults.pop(key, None)
            self._made.remove(added)
            return False
        if too_long:
            self._faults[self.key(thunk)] = RequestError(
                f"{thunk!r} is stated in {self._size} bytes, with all that it uses, and gg takes {LONGEST}: "
                "state what it works on as gg.file(PATH) or gg.tree(PATH)"
            )
        self.wanted.append(thunk)
        return True

    @property
    def full(self) -> bool:
        """Whether it is enough for one request."""
        return len(self.wanted) >= WANTED

    def finish(self) -> "Request":
        """Takes out what cannot be stated, and what uses that."""
        users: Dict[str, List[str]] = {}
        if self._faults:
            for key, recipe in self._made.recipes.items():
                for used in recipe.get("inputs", {}).values():
                    if used and "thunk" in used:
                        users.setdefault(used["thunk"], []).append(key)
        faulty = dict(self._faults)
        stack = list(faulty)
        while stack:
            key = stack.pop()
            for user in users.get(key, ()):
                if user not in faulty:
                    faulty[user] = faulty[key]
                    stack.append(user)
        needed = self._needed(key for key in map(self.key, self.wanted) if key not in faulty)
        for key in list(self._encoded):
            if key not in needed:
                del self._encoded[key]
        for key in map(self.key, self.wanted):
            if key in faulty:
                # Each has an exception of its own: a traceback is added where it is raised.
                why = faulty[key]
                self.refused[key] = type(why)(why.message, why._details)
        # They are not needed any more, and may be long.
        self._made.recipes.clear()
        return self

    def _needed(self, keys: Iterable[str]) -> Set[str]:
        """These, and all that they use."""
        stack = list(keys)
        needed = set(stack)
        while stack:
            for used in self._made.recipes[stack.pop()].get("inputs", {}).values():
                if used and "thunk" in used and used["thunk"] not in needed:
                    needed.add(used["thunk"])
                    stack.append(used["thunk"])
        return needed

    def thunks(self) -> bytes:
        """The recipes, as a request has them."""
        return b"{" + b", ".join(b'"%s": %s' % (key.encode(), said) for key, said in self._encoded.items()) + b"}"

    def want(self) -> List[str]:
        """The keys of what is asked for."""
        return [key for key in map(self.key, self.wanted) if key not in self.refused]

    def _complete(self, stating: "Stating", thunk: Thunk, recipe: Dict[str, Any], inputs: Dict[str, Any]) -> None:
        try:
            stating.complete(thunk, recipe, inputs)
        except Error as fault:
            if stating.connection.broken:
                raise
            self._faults[self.key(thunk)] = fault


class Stating:
    """One statement of thunks. What it learns of programs holds for it alone: files change."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self._captured: Dict[str, Any] = {}
        #: The names of contents, by their identities: the thunks that are stated hold them.
        self._kept: Dict[int, str] = {}

    def requests(self, thunks: Iterable[Thunk]) -> Iterator[Request]:
        """Requests for all of these."""
        request = Request(self)
        for thunk in thunks:
            if not request.add(thunk):
                yield request.finish()
                request = Request(self)
                request.add(thunk)
            if request.full:
                yield request.finish()
                request = Request(self)
        if request.wanted:
            yield request.finish()

    def complete(self, thunk: Thunk, recipe: Dict[str, Any], inputs: Dict[str, Any]) -> None:
        """What becomes of a recipe before it is sent."""
        for given in inputs.values():
            if given is not None:
                self._keep(given)
        asked: Optional[Dict[str, Any]] = thunk._more.get("capture")
        if asked is not None:
            self._capture(asked, thunk, recipe, inputs)

    def _keep(self, given: Dict[str, Any]) -> None:
        """Has gg keep a content that is long, and puts its name there instead."""
        kind = "text" if "text" in given else "base64"
        content = given.get(kind)
        if content is None or len(content) <= INLINE:
            return
        name = self._kept.get(id(content))
        if name is None:
            name = self._kept[id(content)] = self._name(content)
        del given[kind]
        given["object"] = name

    def _name(self, content: "str | bytes") -> str:
        text = sayable(content).encode("utf-8") if isinstance(content, str) else content
        digest = hashlib.sha256(text).digest()
        known = self.connection.kept.get(digest)
        if known is None:
            known = self.connection.kept[digest] = str(self.connection.ask("put", **encoded(text))["object"])
        return known

    def _capture(self, asked: Dict[str, Any], thunk: Thunk, recipe: Dict[str, Any], inputs: Dict[str, Any]) -> None:
        """Adds what a program needs whose argument vector is not its own (see :mod:`gg.calls`)."""
        env = {name: value for name, value in recipe.get("env", {}).items() if name.startswith(DECIDING)}
        if env:
            asked = {**asked, "env": env}
        key = repr(asked)
        captured = self._captured.get(key)
        if captured is None:
            try:
                captured = self.connection.ask("capture", **asked)
            except Error as error:
                captured = error
            self._captured[key] = captured
        if isinstance(captured, Error):
            raise captured
        for at, stated in captured["inputs"].items():
            inputs.setdefault(at, stated)
        recipe["executable"] = captured["executable"]
        recipe["args"] = [captured["args"][0], *recipe.get("args", [])]
        recipe["env"] = {**captured["env"], **recipe.get("env", {})}
        if "host" in thunk._more:
            # What it is to say of the calls that it states.
            host = {
                "executable": captured["executable"],
                "name": captured["args"][0],
                "env": captured["env"],
                "inputs": sorted(captured["inputs"]),
                "needs": thunk._more["host"],
            }
            inputs[HOST] = {"text": json.dumps(host, sort_keys=True)}
