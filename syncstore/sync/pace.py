"""How long to wait after a failure: doubling, with jitter, and never less than the server asked for."""

from __future__ import annotations

import random

_FIRST, _CAP = 1.0, 60.0


class Pace:
    """Waiting times of one loop, in seconds."""

    def __init__(self) -> None:
        self._failures = 0

    def reset(self) -> None:
        """The last request succeeded."""
        self._failures = 0

    def next(self, at_least: float | None = None) -> float:
        """The time to wait after one more failure: half of it random, so that clients do not march in step."""
        full: float = min(_CAP, _FIRST * 2 ** min(self._failures, 10))
        self._failures += 1
        return max(at_least or 0.0, full * (0.5 + random.random() / 2))
