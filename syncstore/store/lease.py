"""One request per gap at a time, across processes (promise 13): who asks leaves a mark, and takes it away again.

The mark runs out by the clock. Of a process that died on this machine it counts for nothing at once, so that a
back-fill that was killed can go on; and so does one of this process that a full disk kept from being taken away.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import time

from syncstore.store.connection import Connections
from syncstore.store.gap import GapRow, find_gap

HOLDER = "SELECT leased_until, leased_by FROM gap WHERE id = ?"
LEASE = "UPDATE gap SET leased_until = ?, leased_by = ? WHERE id = ?"
RELEASE = "UPDATE gap SET leased_until = NULL, leased_by = NULL WHERE id = ? AND leased_until = ?"

# What this process asks for now: (gap, end of the lease).
_asking: set[tuple[int, int]] = set()


def lease_gap(connections: Connections, gap_id: int, seconds: float) -> tuple[GapRow, int] | None:
    """Take the gap for one request: it and the lease's end, which is its owner's mark too.

    None while another one has it, or once there is no such gap any more.
    """
    now = int(time.time() * 1000)
    until = now + int(seconds * 1000)
    with connections.write() as cursor:
        gap = find_gap(cursor, gap_id)
        if gap is None or _is_held(cursor, gap_id, now):
            return None
        cursor.execute(LEASE, (until, _own_name(), gap_id))
    _asking.add((gap_id, until))
    return gap, until


def release_gap(connections: Connections, gap_id: int, until: int) -> None:
    """Let others ask again, unless the lease ran out and another one has it."""
    _asking.discard((gap_id, until))
    with connections.write() as cursor:
        cursor.execute(RELEASE, (gap_id, until))


def _is_held(cursor: sqlite3.Cursor, gap_id: int, now: int) -> bool:
    until, holder = cursor.execute(HOLDER, (gap_id,)).fetchone()
    if until is None or until < now:
        return False
    if holder == _own_name():
        return (gap_id, until) in _asking
    return not _has_died(holder)


def _own_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _has_died(holder: str | None) -> bool:
    """Whether a process of this machine is surely gone; of others nobody knows."""
    host, _, number = (holder or "").rpartition(":")
    if os.name != "posix" or host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it lives, and is somebody else's
    return False
