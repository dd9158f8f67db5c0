"""What goes in and comes out: texts, bytes, files, trees, links, modes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import gg


def run(script: str, **more: object) -> gg.Result:
    return gg.force(
        gg.thunk("sh", ["-c", script], programs=["/bin/sh", "cat", "ls", "stat", "readlink", "chmod"], **more)
    )  # type: ignore[arg-type]


def test_text_and_bytes_are_contents() -> None:
    result = run("cat a b > out", inputs={"a": "é\n", "b": b"\xff\x00"}, outputs="out")
    assert result.bytes() == "é\n".encode() + b"\xff\x00"
    assert result["out"].size == 5
    with pytest.raises(UnicodeDecodeError):
        result.text()


def test_a_path_is_what_is_there_when_the_thunk_is_forced(here: Path) -> None:
    thunk = gg.thunk("cat", ["a"], inputs={"a": Path("a")})
    with pytest.raises(gg.RequestError, match=str(here / "a")):
        gg.force(thunk)
    Path("a").write_text("one")
    assert gg.force(thunk).stdout == "one"
    Path("a").write_text("two")
    assert gg.force(thunk).stdout == "two"


def test_a_link_on_this_machine_stands_for_what_it_leads_to() -> None:
    Path("real").write_text("content")
    os.symlink("real", "link")
    assert gg.force(gg.thunk("cat", ["a"], inputs={"a": Path("link")})).stdout == "content"


def test_trees() -> None:
    os.makedirs("tree/sub")
    Path("tree/a").write_text("a")
    Path("tree/sub/b").write_text("b")
    for tree in (gg.tree("tree"), Path("tree"), gg.default_session().put(Path("tree"))):
        assert run("cat t/a t/sub/b t/c", inputs={"t": tree, "t/c": "over"}, cwd="/w").stdout == "abover"
    with pytest.raises(NotADirectoryError):
        gg.tree("tree/a")


def test_modes_links_and_directories() -> None:
    inputs = {
        "x": gg.text("#!/bin/sh\necho ran\n", mode=0o755),
        "plain": gg.text("p", mode=0o600),
        "to": gg.symlink("plain"),
        "empty": gg.directory(),
    }
    result = run("./x; stat -c %a plain x; readlink to; ls empty", inputs=inputs, cwd="/w")
    assert result.stdout.split() == ["ran", "600", "755", "plain"]


def test_modes_of_outputs_are_kept() -> None:
    result = run("echo '#!/bin/sh' > tool; chmod 755 tool", outputs=["tool"])
    assert result["tool"].mode == 0o755
    result.save("here")
    assert os.stat("here").st_mode & 0o777 == 0o755
    result["tool"].save("there", mode=0o600)
    assert os.stat("there").st_mode & 0o777 == 0o600


def test_a_value_is_an_input_as_it_is() -> None:
    kept = gg.default_session().put("kept")
    assert isinstance(kept, gg.Value)
    assert kept.text() == "kept" and kept.size == 4
    assert gg.force(gg.thunk("cat", inputs={"/dev/stdin": kept})).stdout == "kept"
    assert gg.force(gg.thunk("cat", inputs={"/dev/stdin": gg.object(kept.object)})).stdout == "kept"


def test_large_values_come_by_a_file() -> None:
    content = os.urandom(20 << 20)
    Path("large").write_bytes(content)
    kept = gg.default_session().put(Path("large"))
    assert isinstance(kept, gg.Value) and kept.bytes() == content


def test_relative_paths_are_seen_from_the_working_directory() -> None:
    result = run(
        "cat a ../b /c > sub/out",
        inputs={"a": "a", "../b": "b", "/c": "c", "sub": gg.directory()},
        outputs="sub/out",
        cwd="/w/x",
    )
    assert result.text() == "abc"


def test_environment_and_texts_that_are_no_utf8() -> None:
    thunk = gg.thunk("sh", ["-c", 'printf "$A$1"', "sh", b"\xfe"], env={"A": b"\xff"})
    assert gg.force(thunk).stdout.encode("utf-8", "surrogateescape") == b"\xff\xfe"


def test_what_is_equal_is_one_thunk() -> None:
    session = gg.default_session()
    Path("a").write_text("same")
    names = {
        session.name(gg.thunk("cat", ["f"], inputs={"f": it})) for it in ("same", b"same", Path("a"), gg.text("same"))
    }
    assert len(names) == 1 and names.pop().startswith("T")


@pytest.mark.parametrize(
    "state",
    [
        lambda: gg.thunk("cat", inputs={"a": 3}),
        lambda: gg.thunk("cat", [3]),
        lambda: gg.thunk("cat", outputs={"no tag": "a"}),
        lambda: gg.thunk("cat", outputs=["a/x", "b/x"]),
        lambda: gg.thunk("cat", inputs={"/a": "", "a": ""}),
        lambda: gg.thunk("cat", timeout=0),
        lambda: gg.thunk("cat", outputs="a", dynamic=["b"]),
        lambda: gg.thunk("cat", dynamic=True, optional=["x"]),
        lambda: gg.thunk("cat", inputs={"a": gg.thunk("cat", outputs=["x", "y"])}),
        lambda: gg.thunk("cat", outputs=["x"])["y"],
        lambda: gg.text("", mode=0o10000),
        lambda: gg.thunk("/bin/cat", capture=False, programs=["ls"]),
        lambda: gg.force([3]),
        lambda: list(gg.thunk("cat", outputs="a")),
    ],
)
def test_what_is_no_thunk_is_refused_when_it_is_stated(state: object) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        state()  # type: ignore[operator]
