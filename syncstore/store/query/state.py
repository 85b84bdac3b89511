"""State of a room: its pile, its members, the stripped piles beside it."""

from __future__ import annotations

import sqlite3
from typing import Any

from syncstore.model.names import member_name, names_in_use
from syncstore.model.records import Event, StrippedEvent
from syncstore.model.room_records import Member
from syncstore.store.views import LATEST_EDIT

EVENT_COLUMNS = """
    r.room_id, e.event_id, e.type, e.state_key, e.sender, e.origin_server_ts, e.content, e.unsigned, e.extra,
    e.redacts, e.redacted_by, e.rel_type, e.relates_to, e.transaction_id, e.source, e.segment, e.position, e.batch,
    e.in_reply_to, x.event_id,
    CASE WHEN x.type <> 'm.room.encrypted' THEN x.content
        ELSE (SELECT content FROM decrypted WHERE event = x.id) END,
    CASE WHEN e.type = 'm.room.encrypted' THEN (SELECT type FROM decrypted WHERE event = e.id) END,
    CASE WHEN e.type = 'm.room.encrypted' THEN (SELECT content FROM decrypted WHERE event = e.id) END
"""
EDITED = " LEFT JOIN event x ON x.id = " + LATEST_EDIT
STATE = (
    "SELECT"
    + EVENT_COLUMNS
    + """
    FROM room r JOIN room_state s ON s.room = r.id JOIN event e ON e.id = s.event
"""
    + EDITED
    + " WHERE r.room_id = ?"
)
STATE_OF_TYPE = STATE + " AND s.type = ? ORDER BY s.state_key"
STATE_OF_KEY = STATE + " AND s.type = ? AND s.state_key = ?"
STATE_ALL = STATE + " ORDER BY s.type, s.state_key"
MEMBERS = "SELECT * FROM members WHERE room_id = ? ORDER BY user_id"
MEMBERS_OF = "SELECT * FROM members WHERE room_id = ? AND membership = ? ORDER BY user_id"
MEMBER = "SELECT * FROM members WHERE room_id = ? AND user_id = ?"
NAMES = "SELECT user_id, display_name FROM members WHERE room_id = ? AND membership IN ('join', 'invite')"
INVITE_STATE = "SELECT * FROM invite_state WHERE room_id = ? ORDER BY type, state_key"
KNOCK_STATE = "SELECT * FROM knock_state WHERE room_id = ? ORDER BY type, state_key"


def state(cursor: sqlite3.Cursor, room_id: str, type_: str | None = None, state_key: str | None = None) -> list[Event]:
    """The state pile, all of it, of one type, or of one key."""
    if type_ is None:
        found = cursor.execute(STATE_ALL, (room_id,))
    elif state_key is None:
        found = cursor.execute(STATE_OF_TYPE, (room_id, type_))
    else:
        found = cursor.execute(STATE_OF_KEY, (room_id, type_, state_key))
    return [Event(*row) for row in found]


def members(cursor: sqlite3.Cursor, room_id: str, membership: str | None) -> list[Member]:
    """The members that the store knows, by user_id."""
    if membership is None:
        rows = cursor.execute(MEMBERS, (room_id,)).fetchall()
    else:
        rows = cursor.execute(MEMBERS_OF, (room_id, membership)).fetchall()
    return _named(cursor, room_id, rows)


def member(cursor: sqlite3.Cursor, room_id: str, user_id: str) -> Member | None:
    """One member, None if the store knows nothing of this user here."""
    return next(iter(_named(cursor, room_id, cursor.execute(MEMBER, (room_id, user_id)).fetchall())), None)


def _named(cursor: sqlite3.Cursor, room_id: str, rows: list[tuple[Any, ...]]) -> list[Member]:
    """Members with the names to show: told apart from everybody who is here or invited."""
    in_use = names_in_use(cursor.execute(NAMES, (room_id,))) if rows else {}
    names = (member_name(row[1], row[3], in_use, counted=row[2] in ("join", "invite")) for row in rows)
    return [Member(*(*row, name)) for row, name in zip(rows, names, strict=True)]


def stripped(cursor: sqlite3.Cursor, room_id: str, pile: str) -> list[StrippedEvent]:
    """The invite or the knock pile."""
    statement = INVITE_STATE if pile == "invite" else KNOCK_STATE
    return [StrippedEvent(*row) for row in cursor.execute(statement, (room_id,))]
