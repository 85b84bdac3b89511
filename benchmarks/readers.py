"""`python -m benchmarks.readers`: how long reads take beside a process that syncs small batches, and without it.

One reader and one writer by default, for more processes than cores measure the machine's queue and not ours. Wall
time: idle and busy spells in turn, so that the machine's moods meet both; median and 95th percentile of each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.synchronize
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.growth import LOOKED_AT, batch_bytes, build
from benchmarks.workload import USER
from syncstore import SyncStore

_SPELL_SECONDS = 2.0
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


def measure(folder: Path, events: int, readers: int, rounds: int) -> tuple[Times, Times, int]:
    """Seconds of each read: idle, and beside a writer; and how many batches that one committed."""
    path = folder / "store.db"
    account = build(path, events)
    bodies = [batch_bytes(account, number) for number in range(int(rounds * _SPELL_SECONDS * 20) + 1)]
    context = multiprocessing.get_context("spawn")
    busy, count = context.Event(), context.Value("i", 0)
    writer = context.Process(target=_sync, args=(path, bodies, busy, count), daemon=True)
    writer.start()
    spells: tuple[Times, Times] = ({what: [] for what in READS}, {what: [] for what in READS})
    with context.Pool(readers) as pool:
        for _ in range(rounds):
            for spell, found in enumerate(spells):
                (busy.clear, busy.set)[spell]()
                for times in pool.starmap(_read, [(path, _SPELL_SECONDS)] * readers):
                    for what, seconds in times.items():
                        found[what] += seconds
    writer.terminate()
    writer.join()
    return (*spells, count.value)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__)
    parser.add_argument("--readers", type=int, default=1, help="reader processes (default 1)")
    parser.add_argument("--events", type=int, default=10**5, help="stored events (default 100,000)")
    parser.add_argument("--rounds", type=int, default=5, help="idle and busy spells (default 5 of 2 seconds each)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        idle, busy, batches = measure(Path(folder), options.events, options.readers, options.rounds)
    print(f"{options.readers} reader(s), one writer that committed {batches} batches")
    for what in READS:
        for name, of in (("median", statistics.median), ("p95", lambda times: statistics.quantiles(times, n=20)[-1])):
            alone, beside = of(idle[what]) * 1000, of(busy[what]) * 1000
            print(f"{what:<14} {name:<7} idle {alone:>8.3f} ms   beside {beside:>8.3f} ms   {beside / alone:>5.2f}")


if __name__ == "__main__":
    main()
