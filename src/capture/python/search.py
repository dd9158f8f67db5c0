# Where a program's own text adds to `sys.path`, as far as that can be told without running it. Goes before the probe, in one text.

import ast
import os
import pathlib
import sys

# What may be called, since it changes nothing and depends on nothing but its arguments and what links there are.
FUNCTIONS = {
    "os.path.abspath": os.path.abspath,
    "os.path.dirname": os.path.dirname,
    "os.path.expanduser": os.path.expanduser,
    "os.path.join": os.path.join,
    "os.path.normpath": os.path.normpath,
    "os.path.realpath": os.path.realpath,
    "os.path.split": lambda path: list(os.path.split(path)),
    "os.fspath": os.fspath,
    "os.getcwd": os.getcwd,
    "pathlib.Path": pathlib.Path,
    "pathlib.PurePath": pathlib.Path,
    "pathlib.Path.cwd": pathlib.Path.cwd,
    "list": list,
    "str": str,
}
METHODS = {
    pathlib.PosixPath: ("absolute", "as_posix", "expanduser", "joinpath", "resolve"),
    str: ("join", "rstrip", "strip"),
}
CONSTANTS = {"os.curdir": os.curdir, "os.pardir": os.pardir, "os.sep": os.sep, "os.path.sep": os.sep}
# No path is longer (PATH_MAX).
LONGEST = 4096
EDITS = ("append", "clear", "extend", "insert", "pop", "remove")


class Unknown(Exception):
    """It cannot be told."""


class Text:
    """One text of the program as it goes on: what its names stand for, and what it does to `sys.path`."""

    def __init__(self, file, argv0):
        self.aliases = {}
        self.names = {"__file__": file} if file else {}
        self.argv0 = argv0
        # The .pth files by which directories were added.
        self.pth = []

    def learn(self, node):
        """An import, by which a name may stand for another."""
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                self.aliases[alias.asname or alias.name] = "%s.%s" % (node.module, alias.name)
            elif alias.asname:
                self.aliases[alias.asname] = alias.name

    def full(self, node):
        """`os.path.join` for what stands for that here; "" for what is no name."""
        if isinstance(node, ast.Name):
            return "" if node.id in self.names else self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            above = self.full(node.value)
            return above and "%s.%s" % (above, node.attr)
        return ""

    # --- values

    def value(self, node):
        try:
            return self.evaluate(node)
        except Unknown:
            raise
        except Exception:
            # It fails when it is run as well, or is none of the types that are meant here.
            raise Unknown

    def evaluate(self, node):
        value, kind = self.value, type(node)
        if kind is ast.Constant and isinstance(node.value, (str, int)):
            return node.value
        if kind is ast.UnaryOp and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if kind is ast.Name and node.id in self.names:
            return self.names[node.id]
        if kind in (ast.List, ast.Tuple):
            out = []
            for part in node.elts:
                out.extend(list(value(part.value)) if isinstance(part, ast.Starred) else [value(part)])
            return out
        if kind is ast.JoinedStr:
            return "".join(str(value(part)) for part in node.values)
        if kind is ast.FormattedValue and node.format_spec is None and node.conversion == -1:
            return value(node.value)
        if kind is ast.BinOp and isinstance(node.op, (ast.Add, ast.Div)):
            left, right = value(node.left), value(node.right)
            if isinstance(node.op, ast.Add) and len(left) + len(right) < LONGEST:
                return left + right
            if isinstance(node.op, ast.Div):
                return left / right
        if kind is ast.Subscript:
            if self.full(node.value) == "sys.argv" and self.argv0 and value(index(node)) == 0:
                return self.argv0
            if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
                return path(value(node.value.value)).parents[value(index(node))]
            whole = value(node.value)
            if not isinstance(whole, list):
                raise Unknown
            return whole[self.slice(index(node))]
        if kind is ast.Attribute:
            name = self.full(node)
            if name == "sys.path":
                return list(sys.path)
            if name in CONSTANTS:
                return CONSTANTS[name]
            if node.attr == "parent":
                return path(value(node.value)).parent
        if kind is ast.Call and all(word.arg for word in node.keywords):
            args = [value(part) for part in node.args]
            words = {word.arg: word.value.value for word in node.keywords if word.arg == "strict"}
            function = FUNCTIONS.get(self.full(node.func))
            if function is None and isinstance(node.func, ast.Attribute):
                whole = value(node.func.value)
                if node.func.attr in METHODS.get(type(whole), ()):
                    function = getattr(whole, node.func.attr)
            if function is not None and len(words) == len(node.keywords):
                return function(*args, **words)
        raise Unknown

    def slice(self, node):
        if isinstance(node, ast.Slice):
            return slice(*(None if end is None else self.value(end) for end in (node.lower, node.upper, node.step)))
        return self.value(node)

    # --- what it does

    def run(self, node):
        """Goes over one statement or call; whether `sys.path` is another now. `Unknown` if it may be."""
        before = list(sys.path)
        if isinstance(node, ast.Call):
            self.call(node)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and self.full(target.value) == "sys.path":
                    self.edit(lambda: sys.path.__delitem__(self.slice(index(target))))
        elif isinstance(node, ast.AugAssign):
            if self.full(node.target) == "sys.path":
                self.edit(lambda: sys.path.extend(self.value(node.value)))
            elif isinstance(node.target, ast.Name):
                self.names.pop(node.target.id, None)
        else:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self.assign(target, node.value)
        return sys.path != before

    def assign(self, target, node):
        if node is None:
            return
        if self.full(target) == "sys.path":
            self.edit(lambda: sys.path.__setitem__(slice(None), self.value(node)))
        elif isinstance(target, ast.Subscript) and self.full(target.value) == "sys.path":
            self.edit(lambda: sys.path.__setitem__(self.slice(index(target)), self.value(node)))
        elif isinstance(target, ast.Name):
            try:
                self.names[target.id] = self.value(node)
            except Unknown:
                self.names.pop(target.id, None)

    def call(self, node):
        name = self.full(node.func)
        if name == "site.addsitedir" and node.args:
            self.site(self.value(node.args[0]))
        elif isinstance(node.func, ast.Attribute) and node.func.attr in EDITS and self.full(node.func.value) == "sys.path":
            args = [self.value(part) for part in node.args]
            self.edit(lambda: getattr(sys.path, node.func.attr)(*args))

    def edit(self, change):
        before = list(sys.path)
        try:
            change()
        except Unknown:
            raise
        except Exception:
            raise Unknown
        finally:
            # What is no text Python passes over.
            sys.path[:] = [os.path.abspath(it) if it not in before else it for it in sys.path if isinstance(it, str)]

    def site(self, directory):
        """As `site.addsitedir`, without the code that may stand in .pth files."""
        directory = os.path.abspath(directory)
        sys.path.append(directory)
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            if name.endswith(".pth"):
                self.pth.append(os.path.join(directory, name))
                lines = [os.path.join(directory, line) for line in read_lines(self.pth[-1]) if not line.startswith("#")]
                sys.path.extend(os.path.abspath(line) for line in lines if os.path.exists(line))


def index(node):
    # Python 3.8 and older wrap it.
    return getattr(node.slice, "value", node.slice) if type(node.slice).__name__ == "Index" else node.slice


def path(value):
    if not isinstance(value, pathlib.Path):
        raise Unknown
    return value


def steps(tree):
    """The imports of a text and what may change `sys.path`, in the order in which they are come to: what stands in functions is
    imported when all else has been."""
    found = []
    pending = [(tree, False)]
    while pending:
        node, late = pending.pop()
        if isinstance(node, ast.If) and checks_types(node.test):
            pending.extend((part, late) for part in node.orelse)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.append((late, node))
        elif isinstance(node, (ast.Call, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Delete)):
            found.append((late and by_name(node) is not None, node))
        late = late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        pending.extend((part, late) for part in ast.iter_child_nodes(node))
    # What encloses comes before what it encloses: it was found before.
    found.sort(key=lambda it: (it[0], it[1].lineno, it[1].col_offset))
    return [node for _, node in found]


def checks_types(test):
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))


