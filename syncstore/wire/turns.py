"""Who reads through a large body, without SQLite in between, lets other threads run now and then."""

from __future__ import annotations

import time

WINDOW = 1 << 20  # bytes that are read at once
_MOMENT = 1e-6  # seconds: after a sleep of none the lock is taken back before anybody has woken up


def give_way() -> None:
    """Let a waiting thread have Python's lock. One that must ask for it waits 5 ms, an event loop twice per turn."""
    time.sleep(_MOMENT)
