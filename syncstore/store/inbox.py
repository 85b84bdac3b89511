"""The inbox of our device: each message stays until every consumer has acknowledged it (promise 35).

A snapshot repeats messages of the newest stored batch of them, and they have no ids. What all have acknowledged stays
as a digest for so long, and without its content: there are keys in it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from hashlib import sha256

from syncstore.errors import NotFoundError
from syncstore.model.device_records import DeviceKeys, DeviceLists, ToDevice
from syncstore.model.json_text import decode
from syncstore.store.connection import Connections

REGISTERED = "SELECT 1 FROM consumer WHERE name = ? AND stream = ?"
REGISTER = "INSERT OR IGNORE INTO consumer (name, stream, seq, last_row, updated_at) VALUES (?, ?, 0, 0, ?)"
ACKED = "UPDATE consumer SET updated_at = ? WHERE name = ? AND stream = 'to_device'"
WAITING = """
    SELECT m.id, m.sender, m.type, m.content, m.batch FROM to_device_message m
    WHERE NOT m.acked AND NOT EXISTS (SELECT 1 FROM to_device_done d WHERE d.message = m.id AND d.name = ?)
    ORDER BY m.id LIMIT ?
"""
IS_WAITING = "SELECT 1 FROM to_device_message WHERE id = ? AND NOT acked"
MARK_DONE = "INSERT OR IGNORE INTO to_device_done (name, message) VALUES (?, ?)"
DONE_BY_ALL = """
    SELECT m.content FROM to_device_message m WHERE m.id = ? AND NOT m.acked AND NOT EXISTS (
        SELECT 1 FROM consumer c WHERE c.stream = 'to_device'
            AND NOT EXISTS (SELECT 1 FROM to_device_done d WHERE d.message = m.id AND d.name = c.name))
"""
DONE_BY_SOME = "SELECT DISTINCT message FROM to_device_done"
FORGET_CONSUMER = "DELETE FROM to_device_done WHERE name = ?"
FORGET_DONE = "DELETE FROM to_device_done WHERE message = ?"
KEEP_DIGEST = "UPDATE to_device_message SET acked = 1, content = ?, extra = NULL WHERE id = ?"
SWEEP = "DELETE FROM to_device_message WHERE acked AND batch < (SELECT max(batch) FROM to_device_message)"
LISTS = """
    SELECT user_id, change, batch FROM device_list
    WHERE batch > coalesce((SELECT seq FROM consumer WHERE name = ? AND stream = 'device_lists'), 0)
"""
ACK_LISTS = "UPDATE consumer SET seq = max(seq, ?), updated_at = ? WHERE name = ? AND stream = 'device_lists'"
KEYS = "SELECT one_time_keys, fallback_keys FROM own_account"


def to_device(connections: Connections, name: str, limit: int) -> list[ToDevice]:
    """What a consumer has not acknowledged, the oldest first. A new consumer is registered by it."""
    _register(connections, name, "to_device")
    with connections.read() as cursor:
        return [ToDevice(*row) for row in cursor.execute(WAITING, (name, limit))]


def acknowledge(connections: Connections, name: str, ids: Iterable[int]) -> None:
    """A consumer is done with these messages; acknowledging one again is no error.

    Raises NotFoundError for a consumer that never asked.
    """
    with connections.write(durable=True) as cursor:
        cursor.execute(ACKED, (int(time.time() * 1000), name))
        if not cursor.rowcount:
            raise NotFoundError(f"the inbox has no consumer {name}")
        for number in ids:
            if cursor.execute(IS_WAITING, (number,)).fetchone() is not None:
                cursor.execute(MARK_DONE, (name, number))
                _drop_if_done(cursor, number)
        cursor.execute(SWEEP)


def forget_consumer(cursor: sqlite3.Cursor, name: str) -> None:
    """Messages that waited for this consumer alone are done; those that nobody has acknowledged wait on."""
    cursor.execute(FORGET_CONSUMER, (name,))
    for (number,) in cursor.execute(DONE_BY_SOME).fetchall():
        _drop_if_done(cursor, number)
    cursor.execute(SWEEP)


def digest(content: str) -> str:
    """What stays of a content that is done: a JSON text too, as that column holds."""
    return f'"{sha256(content.encode()).hexdigest()}"'


def device_lists(connections: Connections, name: str) -> DeviceLists:
    """Whose devices changed since a consumer's last acknowledgement."""
    _register(connections, name, "device_lists")
    with connections.read() as cursor:
        rows = cursor.execute(LISTS, (name,)).fetchall()
    of = {change: frozenset(row[0] for row in rows if row[1] == change) for change in ("changed", "left")}
    return DeviceLists(of["changed"], of["left"], max((row[2] for row in rows), default=0))


def acknowledge_lists(connections: Connections, name: str, batch: int) -> None:
    """A consumer is done with what changed up to a batch; what changed later stays.

    Raises NotFoundError for a consumer that never asked.
    """
    with connections.write(durable=True) as cursor:
        cursor.execute(ACK_LISTS, (batch, int(time.time() * 1000), name))
        if not cursor.rowcount:
            raise NotFoundError(f"the device lists have no consumer {name}")


def device_keys(cursor: sqlite3.Cursor) -> DeviceKeys:
    """What the server said last of our own keys."""
    one_time, fallback = (None if text is None else decode(text) for text in cursor.execute(KEYS).fetchone())
    counts = one_time if isinstance(one_time, dict) else {}
    unused = [one for one in fallback if isinstance(one, str)] if isinstance(fallback, list) else None
    return DeviceKeys({key: one for key, one in counts.items() if isinstance(one, int)}, unused)


def _register(connections: Connections, name: str, stream: str) -> None:
    with connections.read() as cursor:
        if cursor.execute(REGISTERED, (name, stream)).fetchone() is not None:
            return
    with connections.write(durable=True) as cursor:
        cursor.execute(REGISTER, (name, stream, int(time.time() * 1000)))


def _drop_if_done(cursor: sqlite3.Cursor, number: int) -> None:
    row = cursor.execute(DONE_BY_ALL, (number,)).fetchone()
    if row is not None:
        cursor.execute(FORGET_DONE, (number,))
        cursor.execute(KEEP_DIGEST, (digest(row[0]), number))
