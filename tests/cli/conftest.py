"""A clean surrounding for every test, and two ways to run a command."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.cli.main import main

from . import bodies
from .fake import FakeServer

ROOT = Path(__file__).parents[2]


@dataclass
class Done:
    """What a command left: exit code, output, errors."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(autouse=True)
def surrounding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No store, no token, no login of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("SYNCSTORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "tests.cli.ring.FileRing")
    monkeypatch.setenv("CLI_TEST_RING", str(tmp_path / "ring.json"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store of a test is, or will be."""
    return tmp_path / "a.db"


@pytest.fixture
def store(path: Path) -> Path:
    """A closed store with both bodies in it."""
    with SyncStore.open(path, user_id=bodies.ALICE, device_id="DEVICE") as store:
        store.apply(bodies.first())
        store.apply(bodies.second())
    return path


@pytest.fixture
def run(path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on `path` in this process."""

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        code = main(["-s", str(path), *map(str, arguments)])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def spawn(path: Path) -> Run:
    """Run a command on `path` as a process of its own."""

    def spawn(*arguments: object, stdin: str = "", **options: Any) -> Done:
        command = [sys.executable, "-m", "syncstore", "-s", str(path), *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30, cwd=ROOT, **options)
        return Done(done.returncode, done.stdout, done.stderr)

    return spawn


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """An account with two syncs to come."""
    server = FakeServer(bodies.first(), bodies.second())
    yield server
    server.close()


def refused(done: Done) -> str:
    """The one line of a refusal."""
    assert done.code == 1, done
    assert done.out == ""
    assert done.err.startswith("syncstore: ") and done.err.count("\n") == 1, done.err
    assert "Traceback" not in done.err
    return done.err


def on_terminal(*words: str) -> str:
    """What a person sees: the output of a command on a terminal."""
    person, terminal = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    command = [sys.executable, "-m", "syncstore", *words]
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, cwd=ROOT, env=env) as process:
        os.close(terminal)
        seen = b""
        try:
            while more := os.read(person, 4096):
                seen += more
        except OSError:
            pass  # the other end is closed
        process.wait(30)
    os.close(person)
    return seen.decode()
