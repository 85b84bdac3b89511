"""CPU and wall seconds of the two phases of a run, however it is driven."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

PHASES = ("first sync", "small batches", "both")
Times = dict[str, tuple[float, float]]  # phase -> CPU and wall seconds


class Clock:
    """Started when it is made. `mark` ends the first sync, `stop` the small batches."""

    def __init__(self) -> None:
        self._marks = [self._now()]

    def mark(self) -> None:
        """The first sync is done."""
        self._marks.append(self._now())

    def stop(self) -> Times:
        """The small batches are done."""
        start, first, end = *self._marks, self._now()
        spans = ((start, first), (first, end), (start, end))
        return {phase: (to[0] - at[0], to[1] - at[1]) for phase, (at, to) in zip(PHASES, spans, strict=True)}

    def _now(self) -> tuple[float, float]:
        return time.process_time(), time.perf_counter()


async def timed_async(apply: Callable[[bytes], Awaitable[None]], workload: list[bytes]) -> Times:
    """Feed the first response, then all others, by the clock."""
    clock = Clock()
    await apply(workload[0])
    clock.mark()
    for body in workload[1:]:
        await apply(body)
    return clock.stop()
