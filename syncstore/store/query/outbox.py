"""Reads of the outbox: what is on its way, in the order in which it was queued."""

from __future__ import annotations

import sqlite3
from typing import Any

from syncstore.model.json_text import decode
from syncstore.model.outgoing import Outgoing
from syncstore.model.records import Event
from syncstore.model.relation import replied_to

_COLUMNS = """
    SELECT o.transaction_id, r.room_id, o.kind, o.type, o.state_key, o.content, o.target, o.status, o.reason,
        o.attempts, o.event_id, o.created_at
    FROM
"""
_ROOM_OF_EACH = "outgoing o CROSS JOIN room r ON r.id = o.room "
ALL = _COLUMNS + _ROOM_OF_EACH + "ORDER BY o.id"
OF_ROOM = _COLUMNS + "room r JOIN outgoing o ON o.room = r.id WHERE r.room_id = ? ORDER BY o.id"
ONE = _COLUMNS + _ROOM_OF_EACH + "WHERE o.transaction_id = ?"
# What was sent and lies in a hole since is shown by that hole: at the end it would stand below what came later.
ECHOES = """
    SELECT coalesce(o.event_id, o.transaction_id), o.type, o.state_key, (SELECT user_id FROM own_account),
        o.created_at, o.content, o.target, o.transaction_id, o.batch
    FROM outgoing o
    WHERE o.room = (SELECT id FROM room WHERE room_id = ?) AND o.kind <> 'receipt'
        AND NOT (o.status = 'sent' AND EXISTS (SELECT 1 FROM gap g WHERE g.room = o.room
            AND g.segment > coalesce(o.after_segment, g.segment - 1) AND g.status <> 'closed' AND g.kind <> 'island'))
    ORDER BY o.id DESC
"""
DRAFT = "SELECT d.content FROM draft d JOIN room r ON r.id = d.room WHERE r.room_id = ?"
TO_SEND = """
    SELECT r.room_id FROM outgoing o CROSS JOIN room r ON r.id = o.room
    WHERE o.status IN ('queued', 'sending') AND o.waits_for IS NULL AND r.membership = 'join'
    GROUP BY o.room ORDER BY min(o.id)
"""


def outbox(cursor: sqlite3.Cursor, room_id: str | None) -> list[Outgoing]:
    """All that is on its way, or that of one room, the oldest first."""
    found = cursor.execute(ALL) if room_id is None else cursor.execute(OF_ROOM, (room_id,))
    return [Outgoing(*row) for row in found]


def one(cursor: sqlite3.Cursor, transaction_id: str) -> Outgoing | None:
    """What goes under this transaction id, None if nothing does any more."""
    row = cursor.execute(ONE, (transaction_id,)).fetchone()
    return None if row is None else Outgoing(*row)


def echoes(cursor: sqlite3.Cursor, room_id: str) -> list[Event]:
    """What a timeline shows of a room's outbox, the newest first: no receipts."""
    return [_echo(room_id, *row) for row in cursor.execute(ECHOES, (room_id,))]


def _echo(
    room_id: str,
    event_id: str,
    type_: str,
    state_key: str | None,
    sender: str,
    created_at: int,
    content: str,
    target: str | None,
    transaction_id: str,
    batch: int,
) -> Event:
    relation = decode(content).get("m.relates_to")
    relation = relation if isinstance(relation, dict) else {}
    return Event(
        room_id=room_id,
        event_id=event_id,
        type=type_,
        state_key=state_key,
        sender=sender,
        origin_server_ts=created_at,
        content_json=content,
        unsigned_json=None,
        extra_json=None,
        redacts=target if type_ == "m.room.redaction" else None,
        redacted_by=None,
        rel_type=relation.get("rel_type"),
        relates_to=relation.get("event_id"),
        transaction_id=transaction_id,
        source="outbox",
        segment=None,
        position=None,
        batch=batch,
        in_reply_to=replied_to(relation),
        edited_by=None,
        edit_json=None,
    )


def rooms_to_send(cursor: sqlite3.Cursor) -> list[str]:
    """Rooms that we are in and that have something to be sent, the one that has waited longest first."""
    return [row[0] for row in cursor.execute(TO_SEND)]


def draft(cursor: sqlite3.Cursor, room_id: str) -> dict[str, Any] | None:
    """What is being written in a room."""
    row = cursor.execute(DRAFT, (room_id,)).fetchone()
    found: dict[str, Any] | None = None if row is None else decode(row[0])
    return found
