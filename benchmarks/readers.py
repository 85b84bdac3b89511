"""How long reads take beside a process that syncs small batches, and without it.

One reader and one writer, for more processes than cores measure the machine's queue and not ours. Wall time: idle and
busy spells in turn, so that the machine's moods meet both; median and 95th percentile of each.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.growth import LOOKED_AT, Json, batch_bytes, build
from benchmarks.page import Bar, Measured, prose
from benchmarks.workload import USER
from syncstore import SyncStore

_SPELL_SECONDS = 2.0
EVENTS = 10**5
READS: dict[str, Callable[[SyncStore], object]] = {
    "rooms": lambda store: store.rooms(),
    "page of 50": lambda store: store.room(LOOKED_AT).timeline(50),
    "state lookup": lambda store: store.room(LOOKED_AT).state("m.room.name"),
}
Event = multiprocessing.synchronize.Event
Times = dict[str, list[float]]


def _sync(path: Path, bodies: list[bytes], busy: Event, count: Any) -> None:
    """Take one batch after another while `busy` is set, twenty a second: a lively account."""
    with SyncStore.open(path, user_id=USER) as store:
        for body in bodies:
            busy.wait()
            store.apply(body)
            count.value += 1
            time.sleep(0.05)


def _read(path: Path, seconds: float) -> Times:
    found: Times = {what: [] for what in READS}
    with SyncStore.open(path, read_only=True) as store:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for what, read in READS.items():
                before = time.perf_counter()
                read(store)
                found[what].append(time.perf_counter() - before)
    return found


def spells(folder: Path, rounds: int) -> tuple[Times, Times, int]:
    """Seconds of each read: idle, and beside a writer; and how many batches that one committed."""
    path = folder / "store.db"
    account = build(path, EVENTS)
    bodies = [batch_bytes(account, number) for number in range(int(rounds * _SPELL_SECONDS * 20) + 1)]
    context = multiprocessing.get_context("spawn")
    busy, count = context.Event(), context.Value("i", 0)
    writer = context.Process(target=_sync, args=(path, bodies, busy, count), daemon=True)
    writer.start()
    found: tuple[Times, Times] = ({what: [] for what in READS}, {what: [] for what in READS})
    with context.Pool(1) as pool:
        for _ in range(rounds):
            for spell, of in enumerate(found):
                (busy.clear, busy.set)[spell]()
                for what, seconds in pool.apply(_read, (path, _SPELL_SECONDS)).items():
                    of[what] += seconds
    writer.terminate()
    writer.join()
    return (*found, count.value)


def measure(rounds: int) -> Measured:
    """Idle and busy, `rounds` times two seconds of each."""
    with tempfile.TemporaryDirectory() as folder:
        idle, busy, batches = spells(Path(folder), rounds)
    rows: list[Json] = []
    for what in READS:
        for name, of in (("median", statistics.median), ("p95", lambda times: statistics.quantiles(times, n=20)[-1])):
            alone, beside = of(idle[what]) * 1000, of(busy[what]) * 1000
            rows.append({"read": what, "of": name, "idle_ms": alone, "busy_ms": beside, "ratio": beside / alone})
    bars = [Bar(f"{row['read']} beside a writer, {row['of']}, over idle", row["ratio"], 1.5) for row in rows]
    return Measured({"batches": batches, "rows": rows}, bars)


def section(result: Json) -> str:
    """A table."""
    lines = [
        f"| {row['read']} | {row['of']} | {row['idle_ms']:.3f} ms | {row['busy_ms']:.3f} ms | {row['ratio']:.2f} |"
        for row in result["rows"]
    ]
    head = ["| | | idle | beside a writer | ratio |", "|---|---|---:|---:|---:|"]
    what = f"""
        Wall time of reads in a store of {EVENTS:,} events, alone, and while another process commits twenty batches a
        second ({result["batches"]} in all). On a machine of two cores the two processes have one each.
    """
    return "\n".join(["## Readers beside a writer", "", prose(what), "", *head, *lines])
