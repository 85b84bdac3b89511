"""Timelines: pages of events with the gaps in their true place, and single events."""

from __future__ import annotations

import sqlite3

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
        found, low, high = _around(cursor, room_id, limit, _place(cursor, room_id, around))
    elif after is not None:
        found, low, high = _after(cursor, room_id, limit, _place(cursor, room_id, after))
    else:
        place = None if before is None else _place(cursor, room_id, before)
        found, low, high = _before(cursor, room_id, limit, place)
    gaps = [gap for gap in gaps_of(cursor, room_id) if low[0] < gap.segment <= high[0]]
    return Page(_merged(found, gaps), *_ends(cursor, room_id, found))


# Each: events, newest first; then the places between which the gaps of this page lie.
_Cut = tuple[list[Event], _Place, _Place]


def _before(cursor: sqlite3.Cursor, room_id: str, limit: int, place: _Place | None) -> _Cut:
    found, more = _events(cursor, OLDER, room_id, place or _LAST, limit)
    low = _next_older(cursor, room_id, found) if more else _FIRST
    # A gap right below `before` stood on the page of that event.
    high = _LAST if place is None else _of(found[0]) if found else _FIRST
    return found, low, high


def _after(cursor: sqlite3.Cursor, room_id: str, limit: int, place: _Place) -> _Cut:
    found, more = _events(cursor, NEWER, room_id, place, limit)
    found.reverse()
    return found, place, _of(found[0]) if found and more else _LAST


def _around(cursor: sqlite3.Cursor, room_id: str, limit: int, place: _Place) -> _Cut:
    """The event itself, half of the others after it, the rest before it."""
    after: list[Event] = []
    high = _LAST
    if limit > 1:
        after, _, high = _after(cursor, room_id, limit // 2, place)
    elif cursor.execute(NEWER, (room_id, *place, 1)).fetchone():
        high = place
    before, low, _ = _before(cursor, room_id, limit - len(after), (place[0], place[1] + 1))
    return after + before, low, high


def _events(
    cursor: sqlite3.Cursor, statement: str, room_id: str, place: _Place, limit: int
) -> tuple[list[Event], bool]:
    rows = cursor.execute(statement, (room_id, *place, limit + 1)).fetchall()
    return [Event(*row) for row in rows[:limit]], len(rows) > limit


def _next_older(cursor: sqlite3.Cursor, room_id: str, found: list[Event]) -> _Place:
    """The place of the event that the next page begins with: gaps above it belong to this page."""
    row = cursor.execute(OLDER, (room_id, *_of(found[-1]), 1)).fetchone()
    return _of(Event(*row))


def _merged(events: list[Event], gaps: list[Gap]) -> list[Event | Gap]:
    """Events and gaps by place, newest first; a gap stands below all events of its segment."""
    if not gaps:
        return [*events]
    items: list[tuple[_Place, Event | Gap]] = [(_of(event), event) for event in events]
    items += [((gap.segment, _FIRST[1]), gap) for gap in gaps]
    return [item for _, item in sorted(items, key=lambda one: one[0], reverse=True)]


def _ends(cursor: sqlite3.Cursor, room_id: str, found: list[Event]) -> tuple[str | None, str | None]:
    """The page's oldest event if any is older, its newest one if any is newer."""
    if not found:
        return None, None
    oldest, newest = found[-1], found[0]
    older = cursor.execute(OLDER, (room_id, *_of(oldest), 1)).fetchone()
    newer = cursor.execute(NEWER, (room_id, *_of(newest), 1)).fetchone()
    return oldest.event_id if older else None, newest.event_id if newer else None


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
