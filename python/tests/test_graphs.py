"""Thunks that use one another, and thunks that state further ones."""

from __future__ import annotations

from pathlib import Path

import pytest

import gg

FIB = """
import sys
from pathlib import Path
from graph import Graph

n = int(sys.argv[1])
if n < 2:
    Path("/out").write_text(str(n))
else:
    graph = Graph()
    left, right = (graph.thunk(args=[str(n - back)]) for back in (1, 2))
    total = graph.thunk("/bin/add", inputs={"/l": left, "/r": right}, dynamic=False, outputs="/out", label=f"add for {n}")
    graph.write("/out", total)
"""
ADD = "#!/bin/sh\nread l < /l; read r < /r; echo $((l + r)) > /out\n"


def shell(script: str, **more: object) -> gg.Thunk:
    return gg.thunk("sh", ["-c", script], **more)  # type: ignore[arg-type]


def test_outputs_are_inputs() -> None:
    two = shell("echo a > x; echo b > y", outputs=["x", "y"])
    both = shell("cat 1 2 > out", inputs={"1": two["x"], "2": two["y"]}, outputs="out", programs=["cat"])
    assert gg.force(both).text() == "a\nb\n"


def test_a_program_that_a_thunk_has_made() -> None:
    made = shell("printf '#!/bin/sh\\necho made\\n' > tool", outputs="tool")
    assert gg.force(shell("./tool", inputs={"tool": made["out"].chmod(0o755)}, programs=["/bin/sh"])).stdout == "made\n"


def test_what_a_thunk_is_shown_as() -> None:
    assert repr(gg.thunk("echo", ["1", b"\xff"])) == "<Thunk echo 1 \udcff>"
    assert repr(gg.thunk("./x", capture=False)) == "<Thunk ./x>" and repr(gg.thunk("x", label="mine")) == "<Thunk mine>"


def test_a_text_is_no_list() -> None:
    for more in ({"args": "abc"}, {"programs": "wc"}, {"packages": "x"}, {"also": Path("x")}, {"optional": "out"}):
        for thunk in (gg.thunk, gg.python):
            with pytest.raises(TypeError, match=f"{next(iter(more))}: .* is one, and a list was expected"):
                thunk("sh", **{"outputs": "out", **more})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dynamic: 'out' is one"):
        gg.thunk("sh", outputs="out", dynamic="out")
    for more in ({"args": "abc"}, {"argv": "abc"}):
        with pytest.raises(TypeError, match="is one"):
            gg.Graph(["x"]).thunk(**more)  # type: ignore[arg-type]


def test_a_deep_chain_is_no_recursion() -> None:
    thunk = shell("echo 0 > n", outputs="n")
    for _ in range(1500):
        thunk = shell("read n < m; echo $((n + 1)) > n", inputs={"m": thunk}, outputs="n")
    assert gg.default_session().name(thunk).startswith("T")


def test_what_is_shared_runs_once() -> None:
    base = shell("read -r u < /proc/sys/kernel/random/uuid; echo $u > out", outputs="out", label="base")
    users = [
        shell("cat a > out; echo $1 >> out", inputs={"a": base, "n": str(n)}, outputs="out", programs=["cat"])
        for n in range(5)
    ]
    assert len({result.text() for result in gg.force(users)}) == 1


def test_thunks_without_capture_use_what_is_among_their_inputs() -> None:
    script = gg.text("#!/bin/sh\necho $0 $1\n", mode=0o755)
    session = gg.default_session()
    captured = session._ask("capture", program="/bin/sh")
    inputs = {at: gg.Source(stated) for at, stated in captured["inputs"].items()}
    thunk = gg.thunk("/tool", ["x"], inputs={**inputs, "/tool": script}, capture=False)
    assert gg.force(thunk).stdout == "/tool x\n"


def fib(n: int) -> gg.Thunk:
    Path("fib.py").write_text(FIB)
    script = {
        "/graph.py": gg.file(gg.graph.__file__),
        "/fib.py": gg.file("fib.py"),
        "/bin/add": gg.text(ADD, mode=0o755),
    }
    # What the script imports is captured from beside it.
    Path("graph.py").write_bytes(Path(gg.graph.__file__).read_bytes())
    return gg.python("fib.py", [str(n)], inputs=script, outputs="/out", dynamic=True, programs=["/bin/sh"])


def test_a_program_states_a_graph_with_the_module_it_brings_along() -> None:
    assert gg.force(fib(5)).json() == 5


def test_what_a_graph_names_is_what_its_thunk_has() -> None:
    Path("graph.py").write_bytes(Path(gg.graph.__file__).read_bytes())
    Path("s.py").write_text(
        "from graph import Graph\n"
        "open('/side', 'w').write('side')\n"
        "g = Graph()\n"
        "t = g.thunk('/bin/join', inputs={'/1': g.input('/given'), '/2': g.made('side'), '/3': 'text', '/4': b'\\xff', '/given': None},"
        " outputs={'all': '/all'})\n"
        "g.write('/out', t['all'])\n"
    )
    join = gg.text("#!/bin/sh\n[ ! -e /given ] && cat /1 /2 /3 /4 > /all\n", mode=0o755)
    thunk = gg.python(
        "s.py",
        inputs={"/given": "given ", "/bin/join": join},
        outputs={"out": "/out", "side": "/side"},
        dynamic=["out"],
        programs=["/bin/sh", "cat"],
    )
    result = gg.force(thunk)
    assert result["out"].bytes() == b"given sidetext\xff"
    assert result["side"].text() == "side"


def test_a_graph_that_is_none() -> None:
    thunk = shell("printf 'gg-graph 1\\n{\"thunks\": 3}' > out", outputs="out", dynamic=True, label="no graph")
    with pytest.raises(gg.ProgramError, match="no graph.*malformed graph") as caught:
        gg.force(thunk)
    assert caught.value.label == "no graph"


def test_graphs_refuse_what_a_sandbox_cannot_name() -> None:
    graph = gg.Graph(["me"])
    for stated in (graph.thunk(inputs={"/a": Path("a")}), graph.thunk(inputs={"/a": gg.thunk("sh", outputs="b")})):
        with pytest.raises(ValueError, match="graph can name"):
            graph.encode(stated)
    with pytest.raises(ValueError, match="executable"):
        graph.thunk(inherit=False)
