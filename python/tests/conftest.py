"""Every test has a directory of its own to stand in, and all share one store, so that programs are captured once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Iterator

import pytest

import gg


def _gg() -> str:
    found = shutil.which(os.environ.get("GG_BIN") or "gg")
    if found is None:
        raise pytest.UsageError("there is no gg: build it (cargo build -p gg --bins), and set GG_BIN to it")
    return os.path.abspath(found)


@pytest.fixture(scope="session", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is set for gg, before any is started."""
    directory = tmp_path_factory.mktemp("store")
    for name in [name for name in os.environ if name.startswith("GG_")]:
        if name != "GG_BIN":
            del os.environ[name]
    os.environ["GG_BIN"] = _gg()
    os.environ["GG_DIR"] = str(directory)
    os.environ["XDG_CONFIG_HOME"] = str(directory / "no-configuration")
    yield directory
    gg.default_session().close()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test stands."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
