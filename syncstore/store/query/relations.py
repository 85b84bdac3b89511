"""Relations between stored events: reactions, threads, replies, and everything else that names another event.

A redacted event names nothing any more, so what a redaction undoes is gone from all of these. Source: Client-Server
API, "Forming relationships between events".
"""

from __future__ import annotations

import sqlite3

from syncstore.model.json_text import decode
from syncstore.model.records import Event, Reaction, Thread
from syncstore.store.query.state import EDITED, EVENT_COLUMNS
from syncstore.store.query.timeline import event

# Events without a place come last, by their time: nothing else is known of their order.
_IN_ORDER = " ORDER BY e.segment IS NULL, e.segment, e.position, e.origin_server_ts, e.event_id"
_EVENTS = "SELECT" + EVENT_COLUMNS + "FROM room r JOIN event e ON e.room = r.id" + EDITED + " WHERE r.room_id = ?"
RELATIONS = _EVENTS + " AND e.relates_to = ?" + _IN_ORDER
RELATIONS_OF = _EVENTS + " AND e.relates_to = ? AND e.rel_type = ?" + _IN_ORDER
REPLIES = _EVENTS + " AND e.in_reply_to = ?" + _IN_ORDER
REACTIONS = (
    """
    SELECT e.sender, e.event_id, e.content FROM room r JOIN event e ON e.room = r.id
    WHERE r.room_id = ? AND e.relates_to = ? AND e.rel_type = 'm.annotation' AND e.type = 'm.reaction'
    """
    + _IN_ORDER
)
THREADS = """
    SELECT e.relates_to, count(*), max(e.sender = a.user_id), c.notification_count, c.highlight_count
    FROM own_account a CROSS JOIN room r JOIN event e ON e.room = r.id
        LEFT JOIN thread_count c ON c.room = e.room AND c.thread_id = e.relates_to
    WHERE r.room_id = ? AND e.relates_to IS NOT NULL AND e.rel_type = 'm.thread' AND e.state_key IS NULL
    GROUP BY e.relates_to
"""
LATEST_OF_THREAD = (
    _EVENTS
    + """
    AND e.relates_to = ? AND e.rel_type = 'm.thread' AND e.state_key IS NULL
    ORDER BY e.segment DESC, e.position DESC, e.origin_server_ts DESC, e.event_id DESC LIMIT 1
"""
)
OWN_USER = "SELECT user_id FROM account"


def relations(cursor: sqlite3.Cursor, room_id: str, event_id: str, rel_type: str | None) -> list[Event]:
    """Events that relate to one event, all or those of one rel_type, in the timeline's order."""
    if rel_type is None:
        found = cursor.execute(RELATIONS, (room_id, event_id))
    else:
        found = cursor.execute(RELATIONS_OF, (room_id, event_id, rel_type))
    return [Event(*row) for row in found]


def replies(cursor: sqlite3.Cursor, room_id: str, event_id: str) -> list[Event]:
    """Events that answer one event, in the timeline's order."""
    return [Event(*row) for row in cursor.execute(REPLIES, (room_id, event_id))]


def reactions(cursor: sqlite3.Cursor, room_id: str, event_id: str) -> list[Reaction]:
    """The reactions to one event, the key that came first at the front; each sender counts once for a key."""
    found: dict[str, dict[str, str]] = {}
    for sender, reaction_id, content in cursor.execute(REACTIONS, (room_id, event_id)):
        key = decode(content)["m.relates_to"].get("key")
        if isinstance(key, str):
            found.setdefault(key, {}).setdefault(sender, reaction_id)
    return [Reaction(key, senders) for key, senders in found.items()]


def threads(cursor: sqlite3.Cursor, room_id: str) -> list[Thread]:
    """The threads of a room, the one with the newest reply first."""
    own = cursor.execute(OWN_USER).fetchone()[0]
    found: list[Thread] = []
    for thread_id, count, spoke, *unread in cursor.execute(THREADS, (room_id,)).fetchall():
        root = event(cursor, room_id, thread_id)
        if root is not None and root.rel_type is not None:
            continue  # no thread hangs on an event that itself relates to another
        latest = Event(*cursor.execute(LATEST_OF_THREAD, (room_id, thread_id)).fetchone())
        participated = bool(spoke) or (root is not None and root.sender == own)
        found.append(Thread(thread_id, root, latest, count, participated, *(number or 0 for number in unread)))
    return sorted(found, key=lambda thread: _place(thread.latest), reverse=True)


def _place(latest: Event) -> tuple[int, int, int]:
    """Events without a place are older than any that has one, as far as anybody knows."""
    if latest.segment is None or latest.position is None:
        return -(2**63), 0, latest.origin_server_ts or 0
    return latest.segment, latest.position, 0
