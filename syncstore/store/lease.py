"""One at a time, across processes: who does something leaves a mark under its name, and takes it away again.

The mark runs out by the clock. Of a process that died on this machine it counts for nothing at once, so that what was
killed can go on; and so does one of this process that a full disk kept from being taken away.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from contextlib import suppress

from syncstore.errors import StoreError
from syncstore.store.connection import Connections
from syncstore.store.gap import GapRow, find_gap

HOLDER = "SELECT until, holder FROM lease WHERE name = ?"
TAKE = "INSERT OR REPLACE INTO lease (name, until, holder) VALUES (?, ?, ?)"
RELEASE = "DELETE FROM lease WHERE name = ? AND until = ?"
# Marks of the dead that nobody asks about any more.
SWEEP = "DELETE FROM lease WHERE until < ?"

# What this process holds now: (name, end of the lease).
_holding: set[tuple[str, int]] = set()


def take_lease(connections: Connections, name: str, seconds: float) -> int | None:
    """Take a name: the lease's end, which is its owner's mark too; None while another one has it."""
    with connections.write() as cursor:
        until = _take(cursor, name, seconds)
    if until is not None:
        _holding.add((name, until))
    return until


def release_lease(connections: Connections, name: str, until: int) -> None:
    """Let others have it, unless the lease ran out and another one has it already.

    A file that cannot be written is no failure of what was done under the lease, which is committed: the mark runs out.
    """
    _holding.discard((name, until))
    with suppress(StoreError), connections.write() as cursor:
        cursor.execute(RELEASE, (name, until))


def lease_gap(connections: Connections, gap_id: int, seconds: float) -> tuple[GapRow, int] | None:
    """Take a gap for one request (promise 13): it and the lease's end; None too once there is no such gap any more."""
    with connections.write() as cursor:
        gap = find_gap(cursor, gap_id)
        until = None if gap is None else _take(cursor, gap_lease(gap_id), seconds)
    if gap is None or until is None:
        return None
    _holding.add((gap_lease(gap_id), until))
    return gap, until


def gap_lease(gap_id: int) -> str:
    """The name under which a gap is leased."""
    return f"gap {gap_id}"


def _take(cursor: sqlite3.Cursor, name: str, seconds: float) -> int | None:
    now = int(time.time() * 1000)
    if _is_held(cursor, name, now):
        return None
    cursor.execute(SWEEP, (now,))
    until = now + int(seconds * 1000)
    cursor.execute(TAKE, (name, until, _own_name()))
    return until


def _is_held(cursor: sqlite3.Cursor, name: str, now: int) -> bool:
    row = cursor.execute(HOLDER, (name,)).fetchone()
    if row is None or row[0] < now:
        return False
    until, holder = row
    if holder == _own_name():
        return (name, until) in _holding
    return not _has_died(holder)


def _own_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _has_died(holder: str) -> bool:
    """Whether a process of this machine is surely gone; of others nobody knows."""
    host, _, number = holder.rpartition(":")
    if os.name != "posix" or host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it lives, and is somebody else's
    return False
