"""Where the store and an answer of the server disagree about one room (promise 22). Reads only; repair.py mends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from syncstore.model.batch import Page, RoomEvent
from syncstore.model.json_text import decode
from syncstore.model.records import Drift

ROOM = "SELECT id, members_synced FROM room WHERE room_id = ?"
PILE = """
    SELECT s.type, s.state_key, e.event_id, e.content FROM room_state s JOIN event e ON e.id = s.event
    WHERE s.room = ? ORDER BY s.type, s.state_key
"""
FIND = "SELECT segment, position, redacted_by FROM event WHERE room = ? AND event_id = ?"
OPEN_GAPS = "SELECT segment FROM gap WHERE room = ? AND status <> 'closed'"

_Key = tuple[str, str]
_Place = tuple[int, int]
_NEWEST, _OLDEST = (2**63, 0), (-(2**63), 0)


def state_drift(cursor: sqlite3.Cursor, room_id: str, page: Page) -> list[Drift]:
    """Keys of the state pile that are not what an answer of /rooms/{roomId}/state says."""
    number, members_synced = cursor.execute(ROOM, (room_id,)).fetchone()
    pile = {(row[0], row[1]): (row[2], row[3]) for row in cursor.execute(PILE, (number,))}
    server = {(event.type, event.state_key): event for event in page.events if event.state_key is not None}
    found: list[Drift] = []
    for key in sorted(pile.keys() | server.keys()):
        said = _difference(pile.get(key), server.get(key), bool(members_synced))
        if said is not None:
            found.append(Drift(room_id, "state", f"{key[0]} {key[1]!r}: {said}"))
    return found


def _difference(held: tuple[str, str] | None, event: RoomEvent | None, members_synced: bool) -> str | None:
    if event is None:
        return f"{held[0]} here, nothing on the server" if held else None
    if held is None:
        return None if _may_be_absent(event, members_synced) else f"nothing here, {event.event_id} on the server"
    if held[0] != event.event_id:
        return f"{held[0]} here, {event.event_id} on the server"
    return None if decode(held[1]) == event.body else f"{held[0]} has another content on the server"


def _may_be_absent(event: RoomEvent, members_synced: bool) -> bool:
    """What no sync ever brings: the aliases that servers kept until 2019, and members who were not loaded."""
    if event.type != "m.room.member":
        return event.type == "m.room.aliases"
    return not members_synced or event.body.get("membership") not in ("join", "invite")


def message_drift(cursor: sqlite3.Cursor, room_id: str, page: Page) -> list[Drift]:
    """Events of a page (newest first) that are stored nowhere and lie in no gap, or that were redacted unseen."""
    number, _ = cursor.execute(ROOM, (room_id,)).fetchone()
    gaps = [row[0] for row in cursor.execute(OPEN_GAPS, (number,))]
    stored = {one.event_id: cursor.execute(FIND, (number, one.event_id)).fetchone() for one in page.events}
    return list(_message_drift(room_id, page.events, stored, gaps))


def _message_drift(room_id: str, events: list[RoomEvent], stored: dict[str, Any], gaps: list[int]) -> Iterator[Drift]:
    newer: _Place = _NEWEST
    waiting: list[RoomEvent] = []
    for event in events:
        row = stored[event.event_id]
        if row is None or row[0] is None:
            waiting.append(event)
            continue
        if event.redacted_because is not None and row[2] is None:
            yield Drift(room_id, "redaction", f"{event.event_id} is redacted on the server")
        place = (row[0], row[1])
        yield from _missing(room_id, waiting, newer, place, gaps)
        newer, waiting = place, []
    yield from _missing(room_id, waiting, newer, _OLDEST, gaps)


def _missing(room_id: str, events: list[RoomEvent], newer: _Place, older: _Place, gaps: list[int]) -> Iterator[Drift]:
    """Between two places without a gap nothing may be missing."""
    if not any(older[0] < segment <= newer[0] for segment in gaps):
        for event in events:
            yield Drift(room_id, "missing", f"{event.event_id} of {event.sender} is neither here nor in a gap")
