"""`python -m benchmarks`: CPU and wall seconds of syncstore and of the floor, in turn, each in a fresh process.

Prints a table of medians and the median of the ratios pair by pair; --json prints the same as JSON. Nothing here passes
or fails: noise of the machine shows in the smallest and largest ratio.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.floor import Floor
from benchmarks.workload import USER, Size, bodies
from syncstore import SyncStore

PHASES = ("first sync", "small batches", "both")
Times = dict[str, tuple[float, float]]  # phase -> CPU and wall seconds


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
        return _timed(store.apply, workload)
    finally:
        store.close()


def run_floor(path: Path, workload: list[bytes]) -> Times:
    """Feed a new file by hand."""
    floor = Floor(path, schema())
    try:
        return _timed(floor.apply, workload)
    finally:
        floor.db.close()


def _timed(apply: Callable[[bytes], object], workload: list[bytes]) -> Times:
    marks = [(time.process_time(), time.perf_counter())]
    apply(workload[0])
    marks.append((time.process_time(), time.perf_counter()))
    for body in workload[1:]:
        apply(body)
    marks.append((time.process_time(), time.perf_counter()))
    spans = ((0, 1), (1, 2), (0, 2))
    return {
        phase: (marks[end][0] - marks[start][0], marks[end][1] - marks[start][1])
        for phase, (start, end) in zip(PHASES, spans, strict=True)
    }


def _alone(run: Callable[[Path, list[bytes]], Times], size: Size) -> Times:
    """One run in a process of its own, so that neither warms the other."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_fresh, (run, size))


def _fresh(run: Callable[[Path, list[bytes]], Times], size: Size) -> Times:
    workload = bodies(size)
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder) / "store.db", workload)


def main() -> None:
    """Run the pairs and print what they took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="how many times each runs (default 7)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    pairs = [(_alone(run_syncstore, Size()), _alone(run_floor, Size())) for _ in range(options.pairs)]
    rows = [_row(phase, kind, at, pairs) for phase in PHASES for at, kind in enumerate(("cpu", "wall"))]
    if options.json:
        print(json.dumps({"pairs": options.pairs, "rows": rows}, indent=1))
        return
    print(f"{'phase':<14} {'time':<5} {'syncstore':>10} {'floor':>8} {'ratio':>6}   (smallest … largest)")
    for row in rows:
        print(
            f"{row['phase']:<14} {row['time']:<5} {row['syncstore_s']:>9.2f}s {row['floor_s']:>7.2f}s"
            f" {row['ratio']:>6.2f}   ({row['smallest']:.2f} … {row['largest']:.2f})"
        )


def _row(phase: str, kind: str, at: int, pairs: list[tuple[Times, Times]]) -> dict[str, str | float]:
    ours, floors = ([one[which][phase][at] for one in pairs] for which in (0, 1))
    ratios = [our / floor for our, floor in zip(ours, floors, strict=True)]
    return {
        "phase": phase,
        "time": kind,
        "syncstore_s": statistics.median(ours),
        "floor_s": statistics.median(floors),
        "ratio": statistics.median(ratios),
        "smallest": min(ratios),
        "largest": max(ratios),
    }


if __name__ == "__main__":
    main()
