"""How long an event loop waits for its turn while a large account is stored for the first time by `syncstore.aio`."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.children import numbers
from benchmarks.page import Bar, Json, Measured, prose
from benchmarks.workload import USER, long_body

MB = 1_000_000
_BODY = 100 * MB
_BEAT = 0.001  # seconds that the loop sleeps between its beats

_APPLY = """
import asyncio, sys, time
from pathlib import Path
from syncstore.aio import AsyncSyncStore
body, path, user, pause = Path(sys.argv[1]).read_bytes(), *sys.argv[2:]
async def main():
    waits = []
    async def beat():
        while True:
            began = time.perf_counter()
            await asyncio.sleep(float(pause))
            waits.append(time.perf_counter() - began - float(pause))
    async with await AsyncSyncStore.open(path, user_id=user) as store:
        await store.info()
        beating = asyncio.create_task(beat())
        await store.apply(body)
        beating.cancel()
    waits.sort()
    print(len(waits), waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1])
asyncio.run(main())
"""


def waits(at_least: int) -> tuple[float, ...]:
    """Beats of the loop while a first sync of so many bytes is stored; the median, p99 and longest wait in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body.json"
        long_body(body, at_least)
        return tuple(numbers(_APPLY, body, Path(folder) / "store.db", USER, _BEAT))


def measure(rounds: int) -> Measured:
    """A fresh process for each round."""
    found = [waits(_BODY) for _ in range(rounds)]
    median, p99, longest = (statistics.median(one[at] for one in found) * 1000 for at in (1, 2, 3))
    told = {"mb": _BODY // MB, "rounds": rounds, "median_ms": median, "p99_ms": p99, "longest_ms": longest}
    bar = Bar("longest wait of an event loop, first sync of 100 MB", longest, 10, " ms")
    return Measured(told, [bar])


def section(result: Json) -> str:
    """One paragraph."""
    text = f"""
        An event loop that sleeps for a millisecond at a time, while `AsyncSyncStore.apply` stores a first sync of
        {result["mb"]} MB in a thread: it is late by {result["median_ms"]:.1f} ms in the middle, by
        {result["p99_ms"]:.1f} ms at most in 99 of 100 cases, and by {result["longest_ms"]:.1f} ms once (medians of
        {result["rounds"]}). Python's threads take turns every 5 ms.
    """
    return "\n".join(["## Event loops", "", prose(text)])
