"""Reads of the past: what a state key held when an event was sent, and how its sender was called then."""

from __future__ import annotations

import sqlite3

from syncstore.errors import NotFoundError
from syncstore.model.json_text import decode
from syncstore.model.records import Event, Profile, StateAt
from syncstore.model.text import clean
from syncstore.store.query.history import Answer, History, Key, history
from syncstore.store.query.state import EDITED, EVENT_COLUMNS
from syncstore.store.query.timeline import gap

EVENT = "SELECT" + EVENT_COLUMNS + "FROM event e JOIN room r ON r.id = e.room" + EDITED + " WHERE e.id = ?"
CONTENT = "SELECT content FROM event WHERE id = ?"
MEMBER_NOW = """
    SELECT e.content FROM room r JOIN room_state s ON s.room = r.id JOIN event e ON e.id = s.event
    WHERE r.room_id = ? AND s.type = 'm.room.member' AND s.state_key = ?
"""


def state_at(cursor: sqlite3.Cursor, room_id: str, event_id: str, type_: str, state_key: str) -> StateAt:
    """What one key held when an event was sent. NotFoundError for an event without a place."""
    past, place = _past(cursor, room_id, event_id)
    return _told(cursor, past.at(past.key(type_, state_key), place))


def state_map_at(
    cursor: sqlite3.Cursor, room_id: str, event_id: str, type_: str | None
) -> dict[tuple[str, str], StateAt]:
    """What every key held then that is known to have ever been set, or every one of a type."""
    past, place = _past(cursor, room_id, event_id)
    wanted = [key for key in past.keys() if type_ is None or key[0] == type_]  # noqa: SIM118 (no mapping)
    return {key: _told(cursor, past.at(past.key(*key), place)) for key in wanted}


def profiles(cursor: sqlite3.Cursor, room_id: str, events: list[Event]) -> dict[str, Profile]:
    """The senders of events that have a place, as they were called when they sent them, by event_id."""
    past = history(cursor, room_id)
    if past is None:
        return {}
    keys: dict[str, Key] = {}
    found: dict[str, Profile] = {}
    for one in events:
        if one.segment is None or one.position is None:
            continue
        if one.sender not in keys:
            keys[one.sender] = past.key("m.room.member", one.sender)
        answer = past.at(keys[one.sender], (one.segment, one.position))
        found[one.event_id] = _profile(cursor, room_id, one.sender, answer)
    return found


def _past(cursor: sqlite3.Cursor, room_id: str, event_id: str) -> tuple[History, tuple[int, int]]:
    past = history(cursor, room_id)
    place = None if past is None else past.place(event_id)
    if past is None or place is None:
        raise NotFoundError(f"{event_id} has no place in the stored timeline of {room_id}")
    return past, place


def _told(cursor: sqlite3.Cursor, answer: Answer) -> StateAt:
    if answer.gap is not None:
        return StateAt(False, None, f"gap {answer.gap} lies between", gap(cursor, answer.gap))
    if answer.lazy:
        return StateAt(False, None, "members are loaded lazily, and this one was not")
    if answer.event is None:
        return StateAt(True, None)
    return StateAt(True, Event(*cursor.execute(EVENT, (answer.event,)).fetchone()))


def _profile(cursor: sqlite3.Cursor, room_id: str, user_id: str, answer: Answer) -> Profile:
    known = answer.event is not None
    row = cursor.execute(*((CONTENT, (answer.event,)) if known else (MEMBER_NOW, (room_id, user_id)))).fetchone()
    content = {} if row is None else decode(row[0])
    return Profile(user_id, clean(content.get("displayname")), clean(content.get("avatar_url")), known)
