# What is installed, and who owns it. Goes before the probe, in one text, and before all that this imports.

import sys

# The working directory comes first in the search path of a text, and PYTHONPATH next. What stands there under the name of one of the
# modules that are imported here belongs to the program, and is not to be run. So these come from the standard library; where the
# program's modules are is looked for with the whole path, which `own_entries` puts back.
SEARCH_PATH = list(sys.path)
STANDARD = {
    "%s/%s/python%d.%d%s%s" % (prefix, lib, *sys.version_info[:2], abi, part)
    for prefix in (sys.base_prefix, sys.base_exec_prefix)
    for lib in (getattr(sys, "platlibdir", "lib"), "lib")
    for abi in ("", "t")
    for part in ("", "/lib-dynload")
}
# An interpreter with another layout has at least the working directory left out.
FIRST = int(not sys.flags.isolated and not getattr(sys.flags, "safe_path", False))
sys.path[:] = [entry for entry in sys.path if entry in STANDARD] or sys.path[FIRST:]

import io
import os
import re


class Distributions:
    """What is installed in one directory, as its records say."""

    def __init__(self, directory):
        self.directory = directory
        self.units = {}
        self.owners = {}
        self.requires = {}
        contents = {}
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            names = []
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                contents[name] = self.listed(name)
        counts = {}
        for info, paths in contents.items():
            prefixes = {prefix for path in paths for prefix in prefixes_of(path)}
            for prefix in prefixes:
                counts[prefix] = counts.get(prefix, 0) + 1
        for info, paths in contents.items():
            units = {info}
            for path in paths:
                # A directory that several distributions share is not taken whole.
                prefixes = list(prefixes_of(path))
                units.add(next((prefix for prefix in prefixes if counts[prefix] == 1), path))
            self.units[info] = sorted(units)
            for unit in units:
                self.owners.setdefault(unit, info)

    def listed(self, info):
        base = os.path.join(self.directory, info)
        paths = set()
        for line in read_lines(os.path.join(base, "RECORD")):
            path = line[1:].split('"')[0] if line.startswith('"') else line.split(",")[0]
            paths.add(path)
        for line in read_lines(os.path.join(base, "installed-files.txt")):
            paths.add(os.path.normpath(os.path.join(info, line)))
        if not paths:
            tops = list(read_lines(os.path.join(base, "top_level.txt"))) or [info.split("-")[0].replace(".egg-info", "")]
            for top in tops:
                for path in (top, top + ".py"):
                    if os.path.exists(os.path.join(self.directory, path)):
                        paths.add(path)
        return {
            path for path in paths if path and not path.startswith(("..", "/")) and "__pycache__" not in path.split("/")
        }

    def owner(self, path):
        relative = os.path.relpath(path, self.directory)
        return next((self.owners[prefix] for prefix in [*prefixes_of(relative), relative] if prefix in self.owners), None)

    def named(self, name):
        wanted = normal(name)
        return next((info for info in self.units if normal(info.rsplit(".", 1)[0].split("-")[0]) == wanted), None)

    def requirements(self, info):
        base = os.path.join(self.directory, info)
        for file in ("METADATA", "PKG-INFO") if os.path.isdir(base) else ("",):
            for line in read_lines(os.path.join(base, file) if file else base):
                match = re.match(r"Requires-Dist:\s*([\w.-]+)([^;]*)(;.*)?", line)
                if match and "extra" not in (match.group(3) or ""):
                    yield match.group(1)


def prefixes_of(path):
    """`a`, `a/b`, ... of `a/b/c`, at most four."""
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, min(len(parts), 4) + 1))


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lines(path):
    try:
        with io.open(path, encoding="utf-8", errors="surrogateescape") as file:
            return [line.strip() for line in file if line.strip()]
    except OSError:
        return []


