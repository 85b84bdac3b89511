"""Timelines: pages of events with the gaps in their true place, and single events."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from syncstore.errors import NotFoundError
from syncstore.model.records import Event, Gap, Page
from syncstore.store.query.state import EDITED, EVENT_COLUMNS

_FROM = " FROM room r JOIN event e ON e.room = r.id" + EDITED + " WHERE r.room_id = ?"
OLDER = (
    "SELECT"
    + EVENT_COLUMNS
    + _FROM
    + """
    AND e.segment IS NOT NULL AND (e.segment, e.position) < (?, ?)
    ORDER BY e.segment DESC, e.position DESC LIMIT ?
"""
)
NEWER = (
    "SELECT"
    + EVENT_COLUMNS
    + _FROM
    + """
    AND e.segment IS NOT NULL AND (e.segment, e.position) > (?, ?)
    ORDER BY e.segment, e.position LIMIT ?
"""
)
PLACE = """
    SELECT e.segment, e.position FROM room r JOIN event e ON e.room = r.id
    WHERE r.room_id = ? AND e.event_id = ? AND e.segment IS NOT NULL
"""
ONE = "SELECT" + EVENT_COLUMNS + _FROM + " AND e.event_id = ?"
ANYWHERE = (
    "SELECT"
    + EVENT_COLUMNS
    + """
    FROM room r CROSS JOIN event e ON e.room = r.id AND e.event_id = ?
"""
    + EDITED
)
GAPS = "SELECT * FROM gaps ORDER BY room_id, segment DESC"
GAPS_OF = "SELECT * FROM gaps WHERE room_id = ? ORDER BY segment DESC"
GAP = "SELECT * FROM gaps WHERE id = ?"

_FIRST = (-(2**63), -(2**63))
_LAST = (2**63 - 1, 2**63 - 1)
_Place = tuple[int, int]


def page(
    cursor: sqlite3.Cursor, room_id: str, limit: int, before: str | None, after: str | None, around: str | None
) -> Page:
    """One page, newest first: events older than `before`, newer than `after`, on both sides of `around`, or the newest.

    All three are ids of events with a place. A gap stands on the page of the event after it; it does not count against
    the limit. ValueError for a limit below 1 or more than one of the three, NotFoundError for an event without a place.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}: a page has at least one event")
    if sum(one is not None for one in (before, after, around)) > 1:
        raise ValueError("a page is asked for before, after or around one event, not more than one of them")
    if around is not None:
        cut = _around(cursor, room_id, limit, _place(cursor, room_id, around))
    elif after is not None:
        cut = _after(cursor, room_id, limit, _place(cursor, room_id, after))
    else:
        cut = _before(cursor, room_id, limit, None if before is None else _place(cursor, room_id, before))
    gaps = [gap for gap in gaps_of(cursor, room_id) if cut.low[0] < gap.segment <= cut.high[0]]
    found = cut.events
    older = found[-1].event_id if found and cut.older else None
    return Page(_merged(found, gaps), older, found[0].event_id if found and cut.newer else None)


class _Cut(NamedTuple):
    """Events, newest first; the places between which the gaps of their page lie; whether any are older, or newer."""

    events: list[Event]
    low: _Place
    high: _Place
    older: bool
    newer: bool


def _before(cursor: sqlite3.Cursor, room_id: str, limit: int, place: _Place | None) -> _Cut:
    found, following = _events(cursor, OLDER, room_id, place or _LAST, limit)
    # Gaps above the event that the next page begins with belong to this page.
    low = _of(following) if following else _FIRST
    # A gap right below `before` stood on the page of that event.
    high = _LAST if place is None else _of(found[0]) if found else _FIRST
    return _Cut(found, low, high, following is not None, place is not None)


def _after(cursor: sqlite3.Cursor, room_id: str, limit: int, place: _Place) -> _Cut:
    found, following = _events(cursor, NEWER, room_id, place, limit)
    found.reverse()
    return _Cut(found, place, _of(found[0]) if found and following else _LAST, True, following is not None)


def _around(cursor: sqlite3.Cursor, room_id: str, limit: int, place: _Place) -> _Cut:
    """The event itself, half of the others after it, the rest before it."""
    if limit > 1:
        after = _after(cursor, room_id, limit // 2, place)
    else:
        following = cursor.execute(NEWER, (room_id, *place, 1)).fetchone()
        after = _Cut([], place, place if following else _LAST, True, following is not None)
    before = _before(cursor, room_id, limit - len(after.events), (place[0], place[1] + 1))
    return _Cut(after.events + before.events, before.low, after.high, before.older, after.newer)


def _events(
    cursor: sqlite3.Cursor, statement: str, room_id: str, place: _Place, limit: int
) -> tuple[list[Event], Event | None]:
    """So many events from a place on, and the one that follows them."""
    found = [Event(*row) for row in cursor.execute(statement, (room_id, *place, limit + 1))]
    return found[:limit], found[limit] if len(found) > limit else None


def _merged(events: list[Event], gaps: list[Gap]) -> list[Event | Gap]:
    """Events and gaps by place, newest first; a gap stands below all events of its segment."""
    if not gaps:
        return [*events]
    items: list[tuple[_Place, Event | Gap]] = [(_of(event), event) for event in events]
    items += [((gap.segment, _FIRST[1]), gap) for gap in gaps]
    return [item for _, item in sorted(items, key=lambda one: one[0], reverse=True)]


def _of(event: Event) -> _Place:
    assert event.segment is not None and event.position is not None
    return event.segment, event.position


def _place(cursor: sqlite3.Cursor, room_id: str, event_id: str) -> _Place:
    """Where an event stands now: islands move, so a reader keeps the id and not the place."""
    row = cursor.execute(PLACE, (room_id, event_id)).fetchone()
    if row is None or row[0] is None:
        raise NotFoundError(f"{event_id} has no place in the stored timeline of {room_id}")
    return row[0], row[1]


def event(cursor: sqlite3.Cursor, room_id: str, event_id: str) -> Event | None:
    """One event of a room."""
    row = cursor.execute(ONE, (room_id, event_id)).fetchone()
    return None if row is None else Event(*row)


def events_with_id(cursor: sqlite3.Cursor, event_id: str) -> list[Event]:
    """The events of this id in all rooms: ids are per room (promise 15)."""
    return [Event(*row) for row in cursor.execute(ANYWHERE, (event_id,))]


def gaps(cursor: sqlite3.Cursor) -> list[Gap]:
    """All gaps, room by room, the newest first."""
    return [Gap(*row) for row in cursor.execute(GAPS)]


def gaps_of(cursor: sqlite3.Cursor, room_id: str) -> list[Gap]:
    """The gaps of one room, the newest first."""
    return [Gap(*row) for row in cursor.execute(GAPS_OF, (room_id,))]


def gap(cursor: sqlite3.Cursor, gap_id: int) -> Gap | None:
    """One gap, None once it is closed."""
    row = cursor.execute(GAP, (gap_id,)).fetchone()
    return None if row is None else Gap(*row)
