"""Rooms and the account's place in them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

ROOM_COLUMNS = """
    SELECT v.room_id, v.membership, v.display_name, v.name, v.topic, v.avatar_url, v.canonical_alias, v.room_type,
        v.room_version, v.encryption, v.inviter, v.is_direct, v.joined_member_count, v.invited_member_count,
        v.members_synced, v.notification_count, v.highlight_count, v.recency_ts, v.latest_event_id, v.gap_count,
        v.batch, s.reason, v.tags, v.marked_unread, v.predecessor, v.successor
    FROM rooms v LEFT JOIN suspects s ON s.room_id = v.room_id
"""
ROOMS = ROOM_COLUMNS + " ORDER BY v.recency_ts IS NULL, v.recency_ts DESC, v.room_id"
ROOMS_OF = ROOM_COLUMNS + " WHERE v.membership = ? ORDER BY v.recency_ts IS NULL, v.recency_ts DESC, v.room_id"
ROOM = ROOM_COLUMNS + " WHERE v.room_id = ?"
BY_ALIAS = "SELECT room_id FROM rooms WHERE canonical_alias = ?"
BY_NAME = "SELECT room_id FROM rooms WHERE display_name = ? OR name = ?"
HEROES = "SELECT heroes FROM room WHERE room_id = ?"
SEQ = "SELECT coalesce(max(id), 0) FROM batch"
_FLAGS = (11, 14, 23)  # is_direct, members_synced, marked_unread


def rooms(cursor: sqlite3.Cursor, membership: str | None) -> list[tuple[Any, ...]]:
    """Rows of rooms, the one with the newest message first."""
    found = cursor.execute(ROOMS) if membership is None else cursor.execute(ROOMS_OF, (membership,))
    return [_flags(row) for row in found]


def room(cursor: sqlite3.Cursor, room_id: str) -> tuple[Any, ...] | None:
    """One row of rooms."""
    row = cursor.execute(ROOM, (room_id,)).fetchone()
    return None if row is None else _flags(row)


def rooms_named(cursor: sqlite3.Cursor, name: str) -> list[str]:
    """The ids of the rooms that a person may mean: by id, else by canonical alias, else by name."""
    if room(cursor, name) is not None:
        return [name]
    by_alias = [row[0] for row in cursor.execute(BY_ALIAS, (name,))]
    return by_alias or [row[0] for row in cursor.execute(BY_NAME, (name, name))]


def heroes(cursor: sqlite3.Cursor, room_id: str) -> list[str] | None:
    """The heroes of the server's summary, None if it named none."""
    row = cursor.execute(HEROES, (room_id,)).fetchone()
    return None if row is None or row[0] is None else list(json.loads(row[0]))


def seq(cursor: sqlite3.Cursor) -> int:
    """The newest commit that brought something; 0 in a new store."""
    return int(cursor.execute(SEQ).fetchone()[0])


def _flags(row: tuple[Any, ...]) -> tuple[Any, ...]:
    flagged = list(row)
    for at in _FLAGS:
        flagged[at] = bool(row[at])
    return tuple(flagged)
