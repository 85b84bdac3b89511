"""How long to wait before asking again: doubling, with jitter, and not less than the server asked for."""

from __future__ import annotations

import random

_FIRST = 1.0
FAILURE_CAP, IDLE_CAP = 60.0, 5.0
# What a server may ask for at most: a number without sense must not end a sync for good.
_LONGEST = 3600.0


class Pace:
    """Waiting times of one loop for one reason, in seconds: from one up to `cap`."""

    def __init__(self, cap: float) -> None:
        self._cap = cap
        self._failures = 0

    def reset(self) -> None:
        """The reason is gone."""
        self._failures = 0

    def next(self, at_least: float | None = None) -> float:
        """The time to wait once more: half of it random, so that clients do not march in step."""
        full: float = min(self._cap, _FIRST * 2 ** min(self._failures, 10))
        self._failures += 1
        return max(min(at_least or 0.0, _LONGEST), full * (0.5 + random.random() / 2))
