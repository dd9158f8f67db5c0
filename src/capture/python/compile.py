"""Keeps compiled modules for directories of modules, in a form that depends on nothing but the texts.

    PYTHONHASHSEED=0 python -s -c COMPILE KEPT (DIRECTORY LEFT_OUT...)... with an empty argument between the directories

Python's own compiled modules hold the time of the text, which is another one in a sandbox. Here they are taken over, or made where
there are none, without times and never to be checked (PEP 552): who asks sees to it that they belong to the texts. Either way
they are written anew, so that they are a function of the text, its path and the release of Python: marshal's later formats mark
what is referred to more than once, which depends on what else the process holds, and format 2 does not. They are laid
out below KEPT/tree as Python looks for them below PYTHONPYCACHEPREFIX; KEPT/state tells in which state each text was.
"""

import sys

# The working directory, in which nothing is to be run.
del sys.path[0]

import concurrent.futures
import fcntl
import importlib.util
import json
import marshal
import os

import _imp

# Where hardly anybody imports anything from.
SELDOM = ("test", "tests")
# As many are compiled at once as are worth a process.
MANY = 40
UNCHECKED = 1


def find(directory, left_out):
    """The modules below a directory: where each is, and its state."""
    names = [it for it in left_out if not it.startswith("/")]
    paths = [it[1:] for it in left_out if it.startswith("/")]
    pending = [""]
    while pending:
        relative = pending.pop()
        for entry in os.scandir(os.path.join(directory, relative)):
            path = os.path.join(relative, entry.name)
            if entry.name in names or path in paths:
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in SELDOM:
                    pending.append(path)
            elif entry.name.endswith(".py") and entry.is_file(follow_symlinks=False):
                stat = entry.stat(follow_symlinks=False)
                yield path, [stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino]


def compiled(source, bytecode):
    """Writes the compiled form of one text; whether it has one."""
    try:
        with open(source, "rb") as file:
            text = file.read()
            stat = os.fstat(file.fileno())
        code = beside(source, stat)
        if code is None:
            code = compile(text, source, "exec", dont_inherit=True)
        if sys.version_info < (3, 11):
            code = ordered(code)
        # ValueError for what this format does not know (slices, of Python 3.14): that is compiled where it is imported.
        code = marshal.dumps(code, 2)
    except (OSError, SyntaxError, ValueError, RecursionError):
        if os.path.exists(bytecode):
            os.unlink(bytecode)
        return False
    head = importlib.util.MAGIC_NUMBER + UNCHECKED.to_bytes(4, "little")
    head += _imp.source_hash(importlib.util._RAW_MAGIC_NUMBER, text)
    try:
        with open(bytecode, "rb") as file:
            if file.read() == head + code:
                # It stays the file that it is: somebody may have taken it in, and looks for it where it was.
                return True
    except OSError:
        pass
    os.makedirs(os.path.dirname(bytecode), exist_ok=True)
    temporary = "%s.%d" % (bytecode, os.getpid())
    with open(temporary, "wb") as file:
        file.write(head + code)
    os.replace(temporary, bytecode)
    return True


def beside(source, stat):
    """What Python has compiled itself, if it belongs to the text."""
    try:
        with open(importlib.util.cache_from_source(source), "rb") as file:
            content = file.read()
    except OSError:
        return None
    times = [int(stat.st_mtime) & 0xFFFFFFFF, stat.st_size & 0xFFFFFFFF]
    head = importlib.util.MAGIC_NUMBER + (0).to_bytes(4, "little") + b"".join(it.to_bytes(4, "little") for it in times)
    if content[:16] != head:
        return None
    try:
        code = marshal.loads(content[16:])
    except (EOFError, TypeError, ValueError):
        return None
    # Python keeps the path by which the text was compiled, which may have been a relative one.
    return code if getattr(code, "co_filename", None) == source else None


def ordered(code):
    """The code with each constant set made anew: before Python 3.11 its order, as it is written, is that of its making and of hashes."""
    constants = []
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            constant = ordered(constant)
        elif isinstance(constant, frozenset):
            # Hashes of others (None) are addresses.
            if not all(isinstance(it, (str, bytes, int, float, complex)) for it in constant):
                raise ValueError("no order")
            constant = frozenset(sorted(constant, key=lambda it: (type(it).__name__, repr(it))))
        constants.append(constant)
    return code.replace(co_consts=tuple(constants))


def keep(kept, directory, left_out):
    state = os.path.join(kept, "state", directory.strip("/").replace("%", "%25").replace("/", "%2F"))
    os.makedirs(os.path.dirname(state), exist_ok=True)
    # What one has written, and somebody else has taken in since, is not written again by another that began at the same time.
    with open(os.path.join(kept, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        update(kept, directory, left_out, state)


def update(kept, directory, left_out, state):
    tree = os.path.join(kept, "tree" + directory)
    os.makedirs(tree, exist_ok=True)
    try:
        with open(state) as file:
            known = json.load(file)
    except (OSError, ValueError):
        known = {}
    now = dict(find(directory, left_out))
    place = lambda path: os.path.join(tree, "%s.%s.pyc" % (path[:-3], sys.implementation.cache_tag))
    for path in known:
        if path not in now and os.path.exists(place(path)):
            os.unlink(place(path))
    changed = sorted(path for path in now if now[path] != known.get(path))
    if not changed and len(known) == len(now):
        return
    work = [os.path.join(directory, path) for path in changed], [place(path) for path in changed]
    missing = sum(not os.path.exists(importlib.util.cache_from_source(path)) for path in work[0])
    if missing > MANY:
        with concurrent.futures.ProcessPoolExecutor() as pool:
            list(pool.map(compiled, *work, chunksize=MANY))
    else:
        list(map(compiled, *work))
    temporary = "%s.%d" % (state, os.getpid())
    with open(temporary, "w") as file:
        json.dump(now, file)
    os.replace(temporary, state)


def main(kept, words):
    while words:
        end = words.index("") if "" in words else len(words)
        keep(kept, words[0], words[1:end])
        words = words[end + 1 :]


main(sys.argv[1], sys.argv[2:])
