"""What a Python program imports, and which files and directories that is.

    python -c 'DISTRIBUTIONS SEARCH PROBE' (script PATH | module NAME | code TEXT | none -) PACKAGE...

Executes nothing of what it looks at. Writes a mark and then records of three texts, each with a NUL behind: a kind and two values.
Runs in the interpreter that it asks about: Python 3.7 and newer, nothing but the standard library.
"""

import ast
import importlib.machinery
import importlib.util
import os
import re
import site
import sys
import sysconfig
import tokenize
import zipfile

# Imports more when it is asked: before the search path is the program's.
PATHS = sysconfig.get_paths()

MARK = b"gg-capture\0"

# Imports as they stand in a text; quicker than parsing it, and what prose in it seems to import is not there.
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(\.*)[ \t]*([\w.]*)[ \t]+import[ \t]*(\([^)]*\)|[^\n#;]*)|import[ \t]+([^\n#;]+))", re.M
)
BY_NAME = ("import_module", "__import__")

# In the order in which they come.
records = {}


def record(kind, first, second=""):
    records[kind, first, second] = None


def inside(path, directory):
    return path == directory or path.startswith(directory.rstrip("/") + "/")


class Layout:
    """Where modules are: the standard library, what is installed, and the program's own."""

    def __init__(self, own):
        # In a virtual environment `platstdlib` does not exist.
        known = {PATHS.get("stdlib"), PATHS.get("platstdlib"), os.path.dirname(os.__file__)}
        known = sorted(os.path.abspath(path) for path in known if path)
        landmarks = ("os.py", "lib-dynload")
        self.standard = [path for path in known if any(os.path.exists(os.path.join(path, it)) for it in landmarks)]
        self.own = own
        entries = [os.path.abspath(entry) for entry in sys.path]
        self.installed = [entry for entry in entries if not self.is_standard(entry) and entry not in own]

    def searched(self):
        """Takes directories that a text of the program has added to the search path for its own."""
        for entry in sys.path:
            if entry not in self.own and entry not in self.installed and not self.is_standard(entry):
                self.own.append(entry)

    def is_standard(self, path):
        within = [os.path.relpath(path, directory) for directory in self.standard if inside(path, directory)]
        return any(part.split("/")[0] not in ("site-packages", "dist-packages") for part in within)

    def is_own(self, path):
        deepest = max((entry for entry in self.own + self.installed if inside(path, entry)), key=len, default="")
        return deepest in self.own and deepest != ""


class Module:
    """Where a module is."""

    def __init__(self, spec, finder):
        self.loader = spec.loader
        self.finder = finder
        locations = spec.submodule_search_locations
        # A namespace package computes its locations from its parent, which is not imported here.
        locations = getattr(locations, "_path", locations)
        self.locations = [os.path.abspath(path) for path in locations] if locations is not None else None
        origin = spec.origin if spec.has_location else None
        self.origin = os.path.abspath(origin) if origin else None


class Survey:
    def __init__(self, layout, argv0):
        self.layout = layout
        self.argv0 = argv0
        self.modules = {}
        self.distributions = {}
        self.taken = set()
        self.pending = []
        self.scanned = set()
        self.missing = {}

    # --- finding

    def find(self, name):
        if name not in self.modules:
            self.modules[name] = None
            self.modules[name] = self.look(name)
        return self.modules[name]

    def look(self, name):
        path = None
        if "." in name:
            parent = self.find(name.rpartition(".")[0])
            if parent is None or parent.locations is None:
                return None
            path = parent.locations
        usual = [importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter, importlib.machinery.PathFinder]
        for finder in usual + [finder for finder in sys.meta_path if finder not in usual]:
            try:
                spec = finder.find_spec(name, path)
            except Exception:
                continue
            if spec is not None:
                return Module(spec, finder if finder not in usual else None)
        return None

    # --- taking

    def use(self, name, importer):
        """A module and the packages that it is in; whether it is there."""
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            part = ".".join(parts[:depth])
            module = self.find(part)
            if module is None:
                return depth > 1
            if part not in self.scanned:
                self.scanned.add(part)
                self.take(part, module)
        return True

    def take(self, name, module):
        place = module.origin or (module.locations[0] if module.locations else None)
        if place is None:
            # Part of the interpreter.
            return
        if self.layout.is_standard(place):
            record("standard", name.split(".")[0])
            return
        own = self.layout.is_own(place)
        if own and module.origin and self.brought_along(place):
            own = False
        elif own:
            if module.origin:
                record("file", existing(module.origin))
            elif module.locations:
                record("directory", module.locations[0])
        elif module.origin:
            self.install(name, module, place)
        if module.origin and own:
            # At once, as it is imported: it may add to the search path.
            self.scan_one(name, module, own)
        elif module.origin:
            self.pending.append((name, module, own))

    def entry(self, place):
        entries = [entry for entry in self.layout.installed if inside(place, entry)]
        return max(entries, key=len, default=None)

    def install(self, name, module, place):
        entry = self.entry(place)
        if entry is None or os.path.isfile(entry):
            if entry is not None:
                record("file", entry)
            self.whole(name.split(".")[0])
            finder = sys.modules.get(getattr(module.finder, "__module__", None) or "")
            file = os.path.abspath(finder.__file__) if getattr(finder, "__file__", None) else None
            if file and self.entry(file):
                self.distribution_of(file)
            return
        if not self.distribution_of(place):
            self.whole(name.split(".")[0])
        # What leads to a directory beside those that are always there.
        for directory in self.layout.installed:
            for pth in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
                if pth.endswith(".pth") and directory != entry:
                    file = os.path.join(directory, pth)
                    lines = [os.path.abspath(os.path.join(directory, line)) for line in read_lines(file)]
                    if entry in lines:
                        record("file", file)

    def in_directory(self, directory):
        if directory not in self.distributions:
            self.distributions[directory] = Distributions(directory)
        return self.distributions[directory]

    def distribution_of(self, place):
        entry = self.entry(place)
        info = self.in_directory(entry).owner(place)
        if info is not None:
            self.distribution(entry, info)
        return info is not None

    def brought_along(self, place):
        """Takes what was installed among the program's own modules (`pip install --target`), if the place belongs to that."""
        entry = max((entry for entry in self.layout.own if inside(place, entry)), key=len)
        info = self.in_directory(entry).owner(place)
        if info is None or not info.endswith(".dist-info"):
            return False
        self.distribution(entry, info)
        return True

    def distribution(self, directory, info):
        if (directory, info) in self.taken:
            return
        self.taken.add((directory, info))
        known = self.in_directory(directory)
        for unit in known.units[info]:
            self.path(os.path.join(directory, unit))
            top = unit.split("/")[0]
            top = top[:-3] if top.endswith(".py") else top
            if "/" not in unit and top.isidentifier():
                self.use(top, None)
        for requirement in known.requirements(info):
            self.named(requirement)

    def named(self, name):
        """A distribution by its name; whether it is installed."""
        for directory in self.layout.own + self.layout.installed:
            if os.path.isdir(directory):
                info = self.in_directory(directory).named(name)
                if info is not None:
                    self.distribution(directory, info)
                    return True
        return False

    def whole(self, top):
        module = self.find(top)
        if module is None:
            return
        for location in module.locations or [module.origin]:
            if location:
                self.path(location)

    def path(self, path):
        if os.path.isdir(path):
            record("tree", path)
        elif os.path.exists(path):
            record("file", path)

    def package(self, name):
        """What somebody asked for by name."""
        module = self.find(name)
        found = self.use(name, None) if module is not None else False
        if found:
            place = module.origin or (module.locations or [None])[0]
            # Of a directory without a module of its own, nothing is known but its name.
            if place and not self.layout.is_standard(place) and (self.layout.is_own(place) or not module.origin):
                self.whole(name)
        return self.named(name) or found

    # --- scanning

    def scan(self):
        while self.pending:
            self.scan_one(*self.pending.pop())

    def scan_one(self, name, module, own):
        source = self.source(name, module)
        if source is not None:
            package = name if module.locations is not None else name.rpartition(".")[0]
            self.imports(source, package, module.origin, own)

    def text(self, path):
        try:
            with tokenize.open(path) as file:
                return file.read()
        except (OSError, SyntaxError, ValueError):
            return None

    def source(self, name, module):
        if module.origin.endswith(".py") and os.path.isfile(module.origin):
            return self.text(module.origin)
        try:
            return module.loader.get_source(name)
        except Exception:
            return None

    def imports(self, source, package, importer, own):
        for level, name, names in self.followed(source, importer) if own else quick(source):
            if level:
                parts = package.split(".") if package else []
                if level - 1 > len(parts):
                    continue
                base = ".".join(parts[: len(parts) - level + 1])
                name = ".".join(part for part in (base, name) if part)
            if not name:
                continue
            there = self.use(name, importer)
            if not there and own:
                self.missing.setdefault(name.split(".")[0], importer)
            module = self.find(name)
            if module is not None and module.locations is not None:
                for part in names:
                    if part == "*" or not part.isidentifier():
                        continue
                    if self.find(name + "." + part) is not None:
                        self.use(name + "." + part, importer)

    def followed(self, source, importer):
        """What a text of the program imports (how many levels up, which module, which names of it), while the search path becomes what
        the text makes of it."""
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            yield from quick(source)
            return
        text = Text(importer if os.path.isabs(importer) else None, self.argv0)
        for node in steps(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                text.learn(node)
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield 0, alias.name, []
            elif isinstance(node, ast.ImportFrom):
                yield node.level, node.module or "", [alias.name for alias in node.names]
            elif by_name(node) is not None:
                yield 0, by_name(node), []
            else:
                self.change(text, node, importer)

    def change(self, text, node, importer):
        try:
            if not text.run(node):
                return
        except Unknown:
            record("search-path", importer, str(node.lineno))
        for pth in text.pth:
            record("file", pth)
        self.layout.searched()
        # They may be there now.
        self.modules = {name: module for name, module in self.modules.items() if module is not None}

    def report(self):
        for name, importer in self.missing.items():
            if self.find(name) is None:
                record("missing-module", name, importer)


def by_name(node):
    """The module that a call imports whose name is in the text."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    called = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
    text = getattr(node.args[0], "value", None)
    return text if called in BY_NAME and isinstance(text, str) and not text.startswith(".") else None


def quick(source):
    for dots, module, names, modules in IMPORT.findall(source):
        if modules:
            for part in modules.split(","):
                words = part.split()
                if words and (len(words) == 1 or len(words) == 3 and words[1] == "as"):
                    if all(word.isidentifier() for word in words[0].split(".")):
                        yield 0, words[0], []
        elif dots or module:
            names = re.sub(r"#[^\n]*", "", names).strip("() \t\n\\")
            yield len(dots), module, [part.split()[0] for part in names.split(",") if part.split()]


def existing(path):
    """The path, or the archive that it leads into."""
    while not os.path.exists(path) and path != "/":
        path = os.path.dirname(path)
    return path


def own_entries(kind, target):
    entries = [] if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "").split(os.pathsep)
    entries = [os.path.abspath(entry) for entry in entries if entry]
    first = None
    sys.path[:] = SEARCH_PATH
    if kind == "script":
        real = os.path.realpath(target)
        # A directory or an archive is searched itself (`python DIRECTORY`).
        first = os.path.dirname(real) if os.path.isfile(real) and not is_archive(real) else os.path.abspath(target)
    elif kind in ("module", "code"):
        first = os.getcwd()
    safe = sys.flags.isolated or getattr(sys.flags, "safe_path", False)
    if safe and not (kind == "script" and (os.path.isdir(target) or is_archive(target))):
        first = None
    # What stands there for this text itself.
    if not safe and sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    if first is not None:
        sys.path.insert(0, first)
        entries.insert(0, first)
    return entries


def is_archive(path):
    return os.path.isfile(path) and zipfile.is_zipfile(path)


def main(kind, target, packages):
    # Modules of the program are followed as they import each other.
    sys.setrecursionlimit(10000)
    layout = Layout(own_entries(kind, target))
    record("executable", sys.executable)
    # Other releases of one version may compile a text to something else, under the same number; 2: how it is written (compile.py).
    release = ".".join(map(str, sys.version_info[:3]))
    record("bytecode", "%s-%s-%s-2" % (sys.implementation.cache_tag, release, importlib.util.MAGIC_NUMBER.hex()))
    for directory in layout.standard:
        record("library", directory)
    if sys.prefix != sys.base_prefix:
        record("file", os.path.join(sys.prefix, "pyvenv.cfg"))
    survey = Survey(layout, target if kind == "script" else None)
    for name in ("sitecustomize", "usercustomize"):
        if not (name == "usercustomize" and not site.ENABLE_USER_SITE):
            survey.use(name, None)
    if kind == "script":
        if os.path.isfile(target) and not is_archive(target):
            record("file", os.path.abspath(target))
            source = survey.text(target)
            # What Python cannot read either, it says best itself.
            if source is not None:
                survey.imports(source, "", os.path.abspath(target), True)
        else:
            record("file" if os.path.isfile(target) else "directory", os.path.abspath(target))
            survey.use("__main__", target)
    elif kind == "module":
        if not survey.use(target, None) or survey.find(target) is None:
            record("missing-target", target)
        elif survey.find(target).locations is not None:
            survey.use(target + ".__main__", None)
    elif kind == "code":
        survey.imports(target, "", "-c", True)
    survey.scan()
    for package in packages:
        if not survey.package(package):
            record("missing-package", package)
    survey.scan()
    survey.report()
    for path in sys.path_importer_cache:
        record("looked", os.path.abspath(path))
    for directory in layout.installed:
        for name in os.listdir(directory) if os.path.isdir(directory) else []:
            if name.endswith(".pth"):
                record("looked", os.path.join(directory, name))
    home = os.path.dirname(os.path.abspath(sys.executable))
    for directory in (home, os.path.dirname(home)):
        record("looked", os.path.join(directory, "pyvenv.cfg"))
    user = site.getusersitepackages()
    record("looked", user)
    if site.ENABLE_USER_SITE and any(inside(path, user) for kind, path, _ in records if kind in ("file", "tree")):
        record("user-base", site.getuserbase())
    out = [os.fsencode(text) + b"\0" for entry in records for text in entry]
    sys.stdout.flush()
    sys.stdout.buffer.write(MARK + b"".join(out))
    sys.stdout.buffer.flush()


main(sys.argv[1], sys.argv[2], sys.argv[3:])
