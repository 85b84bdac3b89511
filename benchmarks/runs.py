"""One run of the workload through one runner, timed, in a process of its own."""

from __future__ import annotations

import multiprocessing
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clock import Clock, Times
from benchmarks.floor import Floor
from benchmarks.peer_mautrix import KEEPS as MAUTRIX_KEEPS
from benchmarks.peer_mautrix import run_mautrix
from benchmarks.peer_nio import KEEPS as NIO_KEEPS
from benchmarks.peer_nio import run_nio
from benchmarks.workload import USER, Size, bodies
from syncstore import SyncStore


def schema() -> list[str]:
    """The statements that made a fresh store: tables and indices before views."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fresh.db"
        SyncStore.open(path, user_id=USER).close()
        db = sqlite3.connect(path)
        found = [row[0] for row in db.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY rowid")]
        db.close()
    return [sql for sql in found if "sqlite_sequence" not in sql]


def run_syncstore(path: Path, workload: list[bytes]) -> Times:
    """Feed a new store."""
    store = SyncStore.open(path, user_id=USER)
    try:
        return timed(store.apply, workload)
    finally:
        store.close()


def run_floor(path: Path, workload: list[bytes]) -> Times:
    """Feed a new file by hand."""
    floor = Floor(path, schema())
    try:
        return timed(floor.apply, workload)
    finally:
        floor.db.close()


def timed(apply: Callable[[bytes], object], workload: list[bytes]) -> Times:
    """Feed the first response, then all others, by the clock."""
    clock = Clock()
    apply(workload[0])
    clock.mark()
    for body in workload[1:]:
        apply(body)
    return clock.stop()


@dataclass(frozen=True)
class Runner:
    """Somebody who takes responses. needs: the module that must be installed. keeps: for people."""

    run: Callable[[Path, list[bytes]], Times]
    needs: str
    keeps: str


RUNNERS = {
    "syncstore": Runner(
        run_syncstore,
        "syncstore",
        "keeps every event as it came, state and what it replaced, timelines with their gaps, receipts, counts, the"
        " token: one transaction per batch.",
    ),
    "floor": Runner(
        run_floor,
        "orjson",
        "is orjson and sqlite3 by hand, for this workload alone (`benchmarks/floor.py`): the same rows and indices, the"
        " same transactions under the same PRAGMAs (WAL, synchronous NORMAL, foreign_keys, secure_delete, one size of"
        " cache), the same reads per batch (token, rooms, positions, known events, replaced state), none of the checks."
        " `tests/bench/test_floor.py` compares rows and PRAGMAs.",
    ),
    "matrix-nio": Runner(run_nio, "nio", NIO_KEEPS),
    "mautrix": Runner(run_mautrix, "mautrix", MAUTRIX_KEEPS),
}


def alone(runner: Runner, size: Size) -> Times:
    """One run in a process of its own, so that none warms another."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_fresh, (runner, size))


def _fresh(runner: Runner, size: Size) -> Times:
    workload = bodies(size)
    with tempfile.TemporaryDirectory() as folder:
        return runner.run(Path(folder) / "store.db", workload)
