"""Decrypted payloads: attached to their event, read with it, and gone with it (promise 36)."""

from __future__ import annotations

import sqlite3
import time

from syncstore.errors import ContentError, NotFoundError
from syncstore.model.records import Event
from syncstore.store.connection import Connections
from syncstore.store.query.state import EDITED, EVENT_COLUMNS
from syncstore.store.write import Write

TARGET = """
    SELECT e.id, e.room, e.type, e.state_key, e.redacted_by, d.type, d.content
    FROM room r JOIN event e ON e.room = r.id LEFT JOIN decrypted d ON d.event = e.id
    WHERE r.room_id = ? AND e.event_id = ?
"""
ATTACH = "INSERT OR REPLACE INTO decrypted (event, type, content, odd, batch) VALUES (?, ?, ?, ?, ?)"
DONE = "DELETE FROM undecrypted WHERE event = ?"
# What an event must be to have a payload, or to lack one.
_ENCRYPTED = "e.type = 'm.room.encrypted' AND e.state_key IS NULL AND e.redacted_by IS NULL"
_LACKS = _ENCRYPTED + " AND NOT EXISTS (SELECT 1 FROM decrypted d WHERE d.event = e.id)"
_STRAY = f"FROM decrypted WHERE event NOT IN (SELECT e.id FROM event e WHERE {_ENCRYPTED})"
_SURPLUS = f"FROM undecrypted WHERE event NOT IN (SELECT e.id FROM event e WHERE {_LACKS})"
# Of an odd content SQL tells no session.
_SESSION = "CASE WHEN e.odd = 0 AND json_type(e.content, '$.session_id') = 'text' THEN e.content ->> '$.session_id' END"
# Payloads only where they belong, and a row for every event that lacks one: made anew out of the events.
REBUILD = (
    f"DELETE {_STRAY}",
    f"DELETE {_SURPLUS}",
    f"INSERT OR IGNORE INTO undecrypted (event, session_id) SELECT e.id, {_SESSION} FROM event e WHERE {_LACKS}",
)
# Each: how many, and what is wrong with them.
MISPLACED = (
    f"SELECT count(*), 'payloads are attached to events that cannot have one' {_STRAY}",
    f"SELECT count(*), 'events wait for a payload and should not' {_SURPLUS}",
    f"""
    SELECT count(*), 'events lack a payload and do not wait for one of their session'
    FROM event e LEFT JOIN undecrypted u ON u.event = e.id
    WHERE {_LACKS} AND (u.event IS NULL OR (e.odd = 0 AND u.session_id IS NOT {_SESSION}))
    """,
)
_LACKING = (
    "SELECT"
    + EVENT_COLUMNS
    + "FROM undecrypted u CROSS JOIN event e ON e.id = u.event JOIN room r ON r.id = e.room"
    + EDITED
)
LACKING = _LACKING + " ORDER BY u.event DESC LIMIT ?"
LACKING_OF_SESSION = _LACKING + " WHERE u.session_id = ? ORDER BY u.event DESC LIMIT ?"


def attach(connections: Connections, room_id: str, event_id: str, type_: str, content: str, odd: int) -> None:
    """Attach a decrypted content, in place of one that is there; one that is the same changes nothing.

    Raises NotFoundError (no such event), ContentError (it is not encrypted, or redacted).
    """
    with connections.write() as cursor:
        row = cursor.execute(TARGET, (room_id, event_id)).fetchone()
        if row is None:
            raise NotFoundError(f"the store has no event {event_id} in {room_id}")
        number, room, found, state_key, redacted_by, *attached = row
        if found != "m.room.encrypted" or state_key is not None:
            raise ContentError(f"event {event_id} in {room_id} is not encrypted: it is a {found}")
        if redacted_by is not None:
            raise ContentError(f"event {event_id} in {room_id} was redacted: nothing may be attached to it")
        if attached == [type_, content]:
            return
        write = Write(cursor, "repair", int(time.time() * 1000))
        cursor.execute(ATTACH, (number, type_, content, odd, write.batch))
        cursor.execute(DONE, (number,))
        write.touch(room, "event", first_row=number, last_row=number)
        write.write_touched()


def undecrypted(cursor: sqlite3.Cursor, session_id: str | None, limit: int) -> list[Event]:
    """Encrypted events that nothing is attached to, the newest first: all, or those of one session."""
    if session_id is None:
        found = cursor.execute(LACKING, (limit,))
    else:
        found = cursor.execute(LACKING_OF_SESSION, (session_id, limit))
    return [Event(*row) for row in found]
