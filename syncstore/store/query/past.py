"""Reads of the past: what a state key held when an event was sent, and how its sender was called then."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Set

from syncstore.errors import CorruptStoreError, NotFoundError
from syncstore.model.json_text import decode
from syncstore.model.records import Event, Profile, StateAt
from syncstore.model.text import clean
from syncstore.store.failures import ADVICE
from syncstore.store.query.history import Answer, History, Key, Place, history
from syncstore.store.query.state import EDITED, EVENT_COLUMNS
from syncstore.store.query.timeline import gap

EVENT = "SELECT" + EVENT_COLUMNS + "FROM event e JOIN room r ON r.id = e.room" + EDITED + " WHERE e.id = ?"
CONTENTS = "SELECT id, content FROM event WHERE id IN (SELECT value FROM json_each(?))"
MEMBERS_NOW = """
    SELECT s.state_key, e.content FROM room r JOIN room_state s ON s.room = r.id JOIN event e ON e.id = s.event
    WHERE r.room_id = ? AND s.type = 'm.room.member' AND s.state_key IN (SELECT value FROM json_each(?))
"""


def state_at(cursor: sqlite3.Cursor, room_id: str, event_id: str, type_: str, state_key: str) -> StateAt:
    """What one key held when an event was sent. NotFoundError for an event without a place."""
    past, place = _past(cursor, room_id, event_id)
    return _told(cursor, room_id, past.at(past.key(type_, state_key), place))


def state_map_at(
    cursor: sqlite3.Cursor, room_id: str, event_id: str, type_: str | None
) -> dict[tuple[str, str], StateAt]:
    """What every key held then that is known to have ever been set, or every one of a type."""
    past, place = _past(cursor, room_id, event_id)
    wanted: dict[str, list[str]] = {}
    for of_type, state_key in past.all_keys():
        if type_ is None or of_type == type_:
            wanted.setdefault(of_type, []).append(state_key)
    return {
        (of_type, state_key): _told(cursor, room_id, past.at(key, place))
        for of_type, state_keys in wanted.items()
        for state_key, key in past.keys(of_type, state_keys).items()
    }


def profiles(cursor: sqlite3.Cursor, room_id: str, events: list[Event]) -> dict[str, Profile]:
    """The senders of events as they were called when they sent them, by event_id; an echo has no place yet."""
    past = history(cursor, room_id)
    if past is None:
        return {}
    said: dict[str, list[Event]] = {}
    for one in events:
        said.setdefault(one.sender, []).append(one)
    keys = past.keys("m.room.member", said)
    runs = [(sender, *run) for sender, theirs in said.items() for run in _runs(past, keys[sender], theirs)]
    made = _profiles(cursor, room_id, {(sender, event) for sender, event, _ in runs})
    found: dict[str, Profile] = {}
    for sender, event, ids in runs:
        found |= dict.fromkeys(ids, made[sender, event])
    return found


def _runs(past: History, key: Key, events: list[Event]) -> list[tuple[int | None, list[str]]]:
    """The row id of the member event that held when one sender sent these, and which of them it held for.

    events: in the timeline's order.
    """
    newest, oldest = _place(events[0]), _place(events[-1])
    # As a rule nothing happened between the ends, and so nothing between any two.
    if newest is not None and oldest is not None and key.stretch(newest) == key.stretch(oldest):
        return [(past.at(key, newest).event, [one.event_id for one in events])]
    places = [(one, _place(one)) for one in events]
    return [(None if place is None else past.at(key, place).event, [one.event_id]) for one, place in places]


def _place(event: Event) -> Place | None:
    return None if event.segment is None or event.position is None else (event.segment, event.position)


def _profiles(
    cursor: sqlite3.Cursor, room_id: str, answers: Set[tuple[str, int | None]]
) -> dict[tuple[str, int | None], Profile]:
    """A profile for each sender and the member event that held; without one, as the sender is called now."""
    told = [event for _, event in answers if event is not None]
    then = dict(cursor.execute(CONTENTS, (json.dumps(told),)))
    untold = [user for user, event in answers if event is None]
    now = dict(cursor.execute(MEMBERS_NOW, (room_id, json.dumps(untold)))) if untold else {}
    found: dict[tuple[str, int | None], Profile] = {}
    for user_id, event in answers:
        if event is not None and event not in then:
            raise _lost(room_id)
        text = now.get(user_id) if event is None else then[event]
        content = {} if text is None else decode(text)
        name, avatar = clean(content.get("displayname")), clean(content.get("avatar_url"))
        found[user_id, event] = Profile(user_id, name, avatar, event is not None)
    return found


def _past(cursor: sqlite3.Cursor, room_id: str, event_id: str) -> tuple[History, tuple[int, int]]:
    past = history(cursor, room_id)
    place = None if past is None else past.place(event_id)
    if past is None or place is None:
        raise NotFoundError(f"{event_id} has no place in the stored timeline of {room_id}")
    return past, place


def _told(cursor: sqlite3.Cursor, room_id: str, answer: Answer) -> StateAt:
    if answer.gap is not None:
        return StateAt(False, None, f"gap {answer.gap} lies between", gap(cursor, answer.gap))
    if answer.lazy:
        return StateAt(False, None, "members are loaded lazily, and this one was not")
    if answer.event is None:
        return StateAt(True, None)
    row = cursor.execute(EVENT, (answer.event,)).fetchone()
    if row is None:
        raise _lost(room_id)
    return StateAt(True, Event(*row))


def _lost(room_id: str) -> CorruptStoreError:
    return CorruptStoreError(f"the state of {room_id} names an event that is not in the file; {ADVICE}")
