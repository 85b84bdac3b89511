"""Reads of the change feed: what commits have changed since a place in it (promise 33)."""

from __future__ import annotations

import sqlite3

from syncstore.model.change import Change

SINCE = "SELECT * FROM changes WHERE seq > ? ORDER BY seq"
LAST = "SELECT coalesce(max(seq), 0) FROM touched"


def changes(cursor: sqlite3.Cursor, since: int, limit: int | None) -> list[Change]:
    """What changed after `since`, in order: at least `limit` of it if there is as much, and never half of a seq."""
    found: list[Change] = []
    for row in cursor.execute(SINCE, (since,)):
        if limit is not None and len(found) >= limit and found[-1].seq != row[0]:
            break
        found.append(Change(*row))
    return found


def last(cursor: sqlite3.Cursor) -> int:
    """The newest seq; 0 in a new store."""
    newest: int = cursor.execute(LAST).fetchone()[0]
    return newest
