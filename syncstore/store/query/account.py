"""What belongs to the account or hangs on a room: account data, receipts, typing, and the store at a glance."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from syncstore.model.json_text import decode
from syncstore.model.records import Info
from syncstore.model.room_records import Receipt

# The table and not the view, which would look at the account data of every room. Room 0 is the account itself.
GLOBAL_DATA = "SELECT content FROM account_datum WHERE room = 0 AND type = ?"
ROOM_DATA = "SELECT content FROM account_data WHERE room_id = ? AND type = ?"
RECEIPTS = "SELECT * FROM receipts WHERE room_id = ? ORDER BY ts, user_id"
TYPING = "SELECT user_id FROM typing WHERE room_id = ? ORDER BY user_id"
DIRECT = "SELECT user_id FROM direct_room WHERE room_id = ? ORDER BY user_id"
# The place of what was read decides; of an event that has none, the time of the receipt.
READ_UP_TO = """
    SELECT r.room_id, c.user_id, c.receipt_type, nullif(c.thread_id, ''), c.event_id, c.ts, c.batch
    FROM room r JOIN receipt c ON c.room = r.id LEFT JOIN event e ON e.room = c.room AND e.event_id = c.event_id
    WHERE r.room_id = ? AND c.user_id = ? AND c.receipt_type IN ('m.read', 'm.read.private')
        AND c.thread_id IN ('', ?)
    ORDER BY e.segment DESC, e.position DESC, c.ts DESC LIMIT 1
"""
OWN_USER = "SELECT user_id FROM account"
TOKEN = "SELECT next_batch FROM account"
ACCOUNT = """
    SELECT a.user_id, a.device_id, a.homeserver, s.token, s.updated_at, a.format
    FROM own_account a LEFT JOIN stream s ON s.name = 'sync'
"""
ROOM_COUNTS = "SELECT membership, count(*) FROM rooms GROUP BY membership ORDER BY membership"
COUNTS = """
    SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM gaps),
        (SELECT count(*) FROM gaps WHERE status = 'unreachable'), (SELECT count(*) FROM quarantine),
        (SELECT count(*) FROM suspects)
"""
FILTER_ID = "SELECT filter_id FROM server_filter WHERE definition = ?"


def account_data(cursor: sqlite3.Cursor, room_id: str | None, type_: str) -> dict[str, Any] | None:
    """The content of one type, of a room or (None) of the account."""
    found = cursor.execute(GLOBAL_DATA, (type_,)) if room_id is None else cursor.execute(ROOM_DATA, (room_id, type_))
    row = found.fetchone()
    return None if row is None else decode(row[0])


def receipts(cursor: sqlite3.Cursor, room_id: str) -> list[Receipt]:
    """All receipts of a room, the oldest first."""
    return [Receipt(*row) for row in cursor.execute(RECEIPTS, (room_id,))]


def read_up_to(cursor: sqlite3.Cursor, room_id: str, user_id: str, thread_id: str) -> Receipt | None:
    """The receipt that reaches farthest in one thread; one that is not threaded counts in all."""
    row = cursor.execute(READ_UP_TO, (room_id, user_id, thread_id)).fetchone()
    return None if row is None else Receipt(*row)


def direct_users(cursor: sqlite3.Cursor, room_id: str) -> list[str]:
    """Whom a direct chat is with, as our m.direct says."""
    return [row[0] for row in cursor.execute(DIRECT, (room_id,))]


def typing(cursor: sqlite3.Cursor, room_id: str) -> list[str]:
    """Who types, as of the last sync."""
    return [row[0] for row in cursor.execute(TYPING, (room_id,))]


def own_user(cursor: sqlite3.Cursor) -> str:
    """Whose store this is."""
    user_id: str = cursor.execute(OWN_USER).fetchone()[0]
    return user_id


def token(cursor: sqlite3.Cursor) -> str | None:
    """The token to continue from; None before the first sync."""
    row = cursor.execute(TOKEN).fetchone()
    return None if row is None else row[0]


def filter_id(cursor: sqlite3.Cursor, definition: str) -> str | None:
    """The id under which the server keeps this filter, if it was uploaded before."""
    row = cursor.execute(FILTER_ID, (definition,)).fetchone()
    return None if row is None else row[0]


def info(cursor: sqlite3.Cursor, path: Path) -> Info:
    """The store at a glance."""
    user_id, device_id, homeserver, next_batch, last_sync, format_ = cursor.execute(ACCOUNT).fetchone()
    counts = cursor.execute(COUNTS).fetchone()
    return Info(
        path=str(path),
        user_id=user_id,
        device_id=device_id,
        homeserver=homeserver,
        next_batch=next_batch,
        last_sync_ts=last_sync,
        format=format_,
        rooms=dict(cursor.execute(ROOM_COUNTS).fetchall()),
        events=counts[0],
        gaps=counts[1],
        unreachable_gaps=counts[2],
        quarantined=counts[3],
        suspect_rooms=counts[4],
        file_bytes=file_bytes(path),
    )


def file_bytes(path: Path) -> int:
    """Bytes of a store's file with its WAL."""
    return sum(one.stat().st_size for one in (path, Path(f"{path}-wal")) if one.exists())
