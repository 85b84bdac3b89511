"""The edge: exit codes, pipes, terminals, defects."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.cli.main import main

from . import bodies
from .conftest import ROOT, Run, on_terminal, refused


@pytest.mark.parametrize("words", [["bogus"], ["rooms", "--bogus"], ["state"], ["timeline", "x", "--limit", "many"]])
def test_wrong_usage_is_exit_2(run: Run, words: list[str]) -> None:
    done = run(*words)
    assert done.code == 2 and "Usage: syncstore" in done.err and done.out == ""


def test_help_is_exit_0(run: Run) -> None:
    assert run("--help").code == run("sql", "-h").code == 0


def test_which_store(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    assert main(["rooms"]) == 1
    monkeypatch.setenv("SYNCSTORE_DB", str(store))
    assert main(["rooms"]) == 0
    assert main(["-s", str(tmp_path / "none"), "rooms"]) == 1


@pytest.mark.parametrize(
    "words", [["rooms", "--json"], ["sql", "select * from big", "--csv"], ["timeline", bodies.ROOM]]
)
def test_a_reader_that_leaves_is_no_error(store: Path, words: list[str]) -> None:
    endless = "with recursive big(n) as (select 1 union all select n + 1 from big limit 200000) select n from big"
    command = [sys.executable, "-m", "syncstore", "-s", str(store), *words]
    command = [endless if word.startswith("select") else word for word in command]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=30)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written(store: Path) -> None:
    command = [sys.executable, "-m", "syncstore", "-s", str(store), "rooms"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=30)
    assert done.returncode == 1 and done.stderr.startswith("syncstore: No space left")
    assert done.stderr.count("\n") == 1


def test_a_defect_is_one_line_that_tells_how_to_see_more(
    store: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: SyncStore, *_: object) -> None:
        raise ZeroDivisionError("with syt_secret inside")

    monkeypatch.setattr(SyncStore, "rooms", broken)
    line = refused(run("rooms"))
    assert "ZeroDivisionError" in line and "SYNCSTORE_TRACE=1" in line and "syt_secret" not in line
    monkeypatch.setenv("SYNCSTORE_TRACE", "1")
    assert "Traceback" in run("rooms").err


def test_ctrl_c_is_quiet(store: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: SyncStore, *_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SyncStore, "rooms", interrupted)
    done = run("rooms")
    assert (done.code, done.out, done.err) == (130, "", "")


def test_a_terminal_that_knows_ascii_only(path: Path, spawn: Run, tmp_path: Path) -> None:
    body = tmp_path / "b.json"
    body.write_bytes(bodies.first().replace(b"hello", b"\xf0\x9f\x90\x9f"))
    assert spawn("replay", body, "--user-id", bodies.ALICE).code == 0
    done = spawn("timeline", bodies.ROOM, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.code == 0 and "\\U0001f41f" in done.out


@pytest.mark.parametrize("words", [["rooms"], ["timeline", bodies.ROOM], ["sql", "select body from messages", "--csv"]])
def test_on_a_terminal_nothing_of_a_server_is_raw(store: Path, words: list[str]) -> None:
    seen = on_terminal("-s", str(store), *words)
    for raw in ("\x1b[2J", "\x1b]0", "\u202e", "\x9b", "\x07"):
        assert raw not in seen
    assert "Party [red]" in seen or words[0] != "rooms"


def test_ctrl_c_ends_a_long_query(store: Path) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    command = [sys.executable, "-m", "syncstore", "-s", str(store), "sql", endless]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        _wait_until_open(process.pid, store)
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=10) == ("", "")
        finally:
            process.kill()
    assert process.returncode == 130


def _wait_until_open(pid: int, store: Path) -> None:
    """Until the process has the file open: however slow its start was, it is past its imports then."""
    for _ in range(600):
        if any(Path(link).resolve() == store for link in Path(f"/proc/{pid}/fd").iterdir() if link.exists()):
            return
        time.sleep(0.05)
    raise AssertionError("the command never opened the store")
