"""Durable consumers: how far each has come in the events as they arrived (promise 34)."""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

from syncstore.errors import NotFoundError, StaleBatchError
from syncstore.model.change import Arrival, Consumer
from syncstore.model.records import Event
from syncstore.store import inbox
from syncstore.store.connection import Connections
from syncstore.store.query.changes import last
from syncstore.store.query.state import EDITED, EVENT_COLUMNS

POSITION = "SELECT seq, last_row FROM consumer WHERE name = ? AND stream = 'events'"
BEGIN = "INSERT INTO consumer (name, stream, seq, last_row, updated_at) VALUES (?, 'events', ?, ?, ?)"
# CROSS: in the order of the feed, however long SQLite thinks it is. `+`: found by the numbers of rows, never by room.
ARRIVALS = (
    "SELECT t.seq, e.id, t.origin,"
    + EVENT_COLUMNS
    + """
    FROM touched t CROSS JOIN event e ON e.id BETWEEN t.first_row AND t.last_row AND +e.room = t.room
        CROSS JOIN room r ON r.id = e.room
    """
    + EDITED
    + """
    WHERE t.seq >= ?1 AND (t.seq > ?1 OR e.id > ?2) AND t.what = 'event' AND t.op = 'add' AND e.segment IS NOT NULL
    ORDER BY t.seq LIMIT ?3
"""
)
MOVE = """
    UPDATE consumer SET seq = ?, last_row = ?, updated_at = ?
    WHERE name = ? AND stream = 'events' AND seq = ? AND last_row = ?
"""
ALL = """
    SELECT c.name, c.stream, CASE WHEN c.stream <> 'to_device' THEN c.seq END, c.updated_at, CASE c.stream
        WHEN 'events' THEN (
            SELECT count(*) FROM touched t CROSS JOIN event e ON e.id BETWEEN t.first_row AND t.last_row
                AND +e.room = t.room
            WHERE t.seq >= c.seq AND (t.seq > c.seq OR e.id > c.last_row) AND t.what = 'event' AND t.op = 'add'
                AND e.segment IS NOT NULL)
        WHEN 'to_device' THEN (
            SELECT count(*) FROM to_device_message m WHERE NOT m.acked
                AND NOT EXISTS (SELECT 1 FROM to_device_done d WHERE d.message = m.id AND d.name = c.name))
        ELSE (SELECT count(*) FROM device_list l WHERE l.batch > c.seq) END
    FROM consumer c ORDER BY c.name, c.stream
"""
FORGET = "DELETE FROM consumer WHERE name = ?"
_WHOLE = 2**63 - 1  # all rows of that seq


class Position(NamedTuple):
    """A place in the feed: all of `seq` up to its row `last_row` is done."""

    seq: int
    last_row: int


class Batch(NamedTuple):
    """What a consumer is given, and where it stands before and after."""

    arrivals: list[Arrival]
    before: Position
    after: Position


def fetch(connections: Connections, name: str, limit: int) -> Batch:
    """The next arrivals for a consumer; one that is new begins with what comes from now on."""
    before = _position(connections, name)
    with connections.read() as cursor:
        newest = last(cursor)
        rows = cursor.execute(ARRIVALS, (*before, limit)).fetchall()
    arrivals = [Arrival(Event(*row[3:]), row[2]) for row in rows]
    after = Position(*rows[-1][:2]) if len(rows) == limit else Position(newest, _WHOLE)
    return Batch(arrivals, before, after)


def acknowledge(connections: Connections, name: str, batch: Batch) -> None:
    """What was given is done. StaleBatchError if another process has gone on from the same place meanwhile."""
    if batch.after == batch.before:
        return
    with connections.write(durable=True) as cursor:
        cursor.execute(MOVE, (*batch.after, int(time.time() * 1000), name, *batch.before))
        if not cursor.rowcount:
            raise StaleBatchError(f"{name} took too long: another process has done the same events, or forgot it")


def consumers(cursor: sqlite3.Cursor) -> list[Consumer]:
    """All that were ever known and not forgotten, of the inbox too."""
    return [Consumer(*row) for row in cursor.execute(ALL)]


def forget(connections: Connections, name: str) -> None:
    """Nothing waits for this name any more, whatever it read. NotFoundError if there is no such consumer."""
    with connections.write(durable=True) as cursor:
        cursor.execute(FORGET, (name,))
        if not cursor.rowcount:
            raise NotFoundError(f"the store has no consumer {name}")
        inbox.forget_consumer(cursor, name)


def _position(connections: Connections, name: str) -> Position:
    with connections.read() as cursor:
        row = cursor.execute(POSITION, (name,)).fetchone()
    if row is not None:
        return Position(*row)
    with connections.write(durable=True) as cursor:
        begin = Position(last(cursor), _WHOLE)
        cursor.execute(BEGIN, (name, *begin, int(time.time() * 1000)))
    return begin
