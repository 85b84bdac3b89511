"""Kill a process that syncs and back-fills, again and again: `python -m tests.faults.kill COUNT SEED FOLDER`.

A small process of one thread, which forks after its imports: a kill costs milliseconds. Each killed process leaves its
file, its WAL and its index to the next one, which goes on from there, until one comes to the end. Prints one object of
JSON: how many were killed, and in the midst of what.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
import traceback
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from syncstore import SyncStore
from tests.encrypted import module

from .world import World, dump, fill_all, open_store, patched, states_of, sync_all, unlike

MOMENTS = ("outside a transaction", "inside a transaction", "in a commit", "in a checkpoint")
PHASES = ("opening", "syncing", "back-filling", "closing")
_OUTSIDE, _INSIDE, _COMMIT, _CHECKPOINT = range(4)
# Of the time that all of it takes, one process gets at most this share: each run of all is killed several times.
_SHARE = 0.5
_SUFFIXES = ("", "-wal", "-shm")

# What the process is at, told to its parent through shared memory: moment, phase.
_at = mmap.mmap(-1, 2)


class Marking(module().Connection):  # type: ignore[misc]
    """Says what it is at."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.set_trace_callback(self._hear)

    def commit(self) -> None:
        _at[0] = _COMMIT
        super().commit()
        _at[0] = _OUTSIDE

    @staticmethod
    def _hear(sql: str) -> None:
        if sql.startswith("BEGIN IMMEDIATE"):
            _at[0] = _INSIDE
        elif sql.startswith("PRAGMA wal_checkpoint"):
            _at[0] = _CHECKPOINT
        elif _at[0] == _CHECKPOINT:
            _at[0] = _OUTSIDE


def _work(path: Path, world: World) -> None:
    with patched(Marking):
        store = open_store(path)
        _at[1] = 1
        sync_all(store, world)
        _at[1] = 2
        fill_all(store, world)
        _at[1] = 3
        store.close()


def start(path: Path, world: World) -> int:
    """Fork a process that goes on from the file as it is."""
    _at[0] = _at[1] = 0
    child = os.fork()
    if child == 0:
        signal.alarm(120)  # nothing is left behind by a run that was given up
        try:
            _work(path, world)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def killed(child: int, seconds: float, *, opened: bool) -> bool:
    """Kill it so long after its start, or after it opened the store; False if it was faster and came to its end."""
    patience = time.monotonic() + 60
    while opened and not _at[1] and time.monotonic() < patience:
        time.sleep(0.0005)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), f"the process failed (exit {code})"
    return code != 0


def _undisturbed(path: Path, world: World) -> float:
    """How many seconds it takes to come to the end."""
    started = time.perf_counter()
    _, status = os.waitpid(start(path, world), 0)
    assert status == 0
    return time.perf_counter() - started


def remove(path: Path) -> None:
    for suffix in _SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def looked_at(path: Path, states: list[list[str]], earliest: int) -> int:
    """Which state of the undisturbed run a copy of the file is in; AssertionError if none, or an earlier one.

    A copy: what the dead process left is for the next one.
    """
    copy = path.with_name("copy.db")
    remove(copy)
    for suffix in _SUFFIXES[:2]:
        left = path.with_name(path.name + suffix)
        if left.exists():
            shutil.copy(left, copy.with_name(copy.name + suffix))
    found = dump(copy)
    if found:
        with SyncStore.open(copy) as store:
            assert store.check() == []
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for number in range(earliest, len(states)):
        if states[number] == found:
            return number
    raise AssertionError(f"no state that was ever committed after {earliest}:\n{unlike(states[earliest], found)}")


def torment(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """Kill so many processes; whatever is wrong then raises AssertionError."""
    draw, world, path = random.Random(seed), World(seed), folder / "account.db"
    states = states_of(folder / "calm.db", world)
    span = _undisturbed(path, world)
    moments: Counter[str] = Counter()
    phases: Counter[str] = Counter()
    ends = 0
    while sum(moments.values()) < count:
        remove(path)
        state = 0
        # Opening takes as long as many batches: most processes get past it.
        while killed(start(path, world), draw.random() * span * _SHARE, opened=draw.random() < 0.8):
            moments[MOMENTS[_at[0]]] += 1
            phases[PHASES[_at[1]]] += 1
            state = looked_at(path, states, state)
        assert (found := dump(path)) == states[-1], unlike(states[-1], found)
        ends += 1
        assert ends < 20 * count, "the processes are too fast to be killed"
    return {"kills": sum(moments.values()), "ends": ends, "commits": len(states) - 1, **moments, **phases}


if __name__ == "__main__":
    print(json.dumps(torment(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))  # noqa: T201
