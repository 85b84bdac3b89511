"""Islands: what /context tells of an event that no sync and no walk has brought yet (promise 21).

An island is a segment inside a gap. Which gap it lies in is a guess by the clock until a walk shows it, so an island
may move; the gap row of kind `island` below it is walked without an older end. Two things settle where it is:

- its own walk meets the stored timeline: the island belongs right above that segment, and its gap closes;
- a walk from above reaches its newest event: its events join that walk's segment, and the walk goes on below them.

Neither is a proof that the gap around it is complete: that stays with the gap itself (gap.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from syncstore.errors import NotFoundError, StoreError
from syncstore.model.batch import Page, RoomEvent
from syncstore.store import room
from syncstore.store.account import write_quarantine
from syncstore.store.connection import Connections
from syncstore.store.echo import confirm_echoes
from syncstore.store.event import Known, known_events, write_events
from syncstore.store.naming import derive_rooms
from syncstore.store.new_events import Place
from syncstore.store.redaction import apply_redactions
from syncstore.store.schema import SEGMENT_SPACING
from syncstore.store.write import Write, finish_page

NEWEST_IN = "SELECT max(position) FROM event WHERE room = ? AND segment = ?"
OLDEST_IN = "SELECT min(position) FROM event WHERE room = ? AND segment = ?"
# Closed gaps count for numbers: their row keeps its own.
NEXT_LOWER = """
    SELECT max(segment) FROM (
        SELECT segment FROM event WHERE room = ?1 AND segment < ?2
        UNION ALL SELECT segment FROM gap WHERE room = ?1 AND segment < ?2)
"""
NEXT_HIGHER = """
    SELECT min(segment) FROM (
        SELECT segment FROM event WHERE room = ?1 AND segment > ?2
        UNION ALL SELECT segment FROM gap WHERE room = ?1 AND segment > ?2 AND status <> 'closed')
"""
IS_OPEN = "SELECT 1 FROM gap WHERE room = ? AND segment = ? AND status <> 'closed'"
# The holes that an island may lie in, the oldest first, each with the time of the event after it.
SLOTS = """
    SELECT g.segment, (
        SELECT e.origin_server_ts FROM event e WHERE e.room = g.room AND e.segment >= g.segment
        ORDER BY e.segment, e.position LIMIT 1)
    FROM gap g WHERE g.room = ? AND g.status <> 'closed' AND (g.kind <> 'island' OR ?) ORDER BY g.segment
"""
NEWEST_TIME = """
    SELECT origin_server_ts FROM event WHERE room = ? AND segment IS NOT NULL
    ORDER BY segment DESC, position DESC LIMIT 1
"""
NEW_ISLAND = """
    INSERT INTO gap (room, kind, segment, prev_batch, walk, by_arrival, status, opened_by)
    VALUES (?, 'island', ?, ?, ?, 0, 'open', ?)
"""
ISLANDS = """
    SELECT g.id, g.segment, g.walk, g.status, (
        SELECT e.event_id FROM event e WHERE e.room = g.room AND e.segment = g.segment
        ORDER BY e.position DESC LIMIT 1)
    FROM gap g WHERE g.room = ? AND g.kind = 'island' AND g.segment IS NOT ?
"""
TIME_OF = """
    SELECT origin_server_ts FROM event WHERE room = ? AND segment = ? AND origin_server_ts IS NOT NULL
    ORDER BY position LIMIT 1
"""
MOVE_EVENTS = "UPDATE event SET segment = ?, position = position + ? WHERE room = ? AND segment = ?"
MOVE_GAP = "UPDATE gap SET segment = ? WHERE id = ?"
UNPLACE = "UPDATE event SET segment = NULL, position = NULL WHERE id = ?"
DROP_EMPTY = """
    DELETE FROM gap WHERE room = ? AND kind = 'island' AND NOT EXISTS (
        SELECT 1 FROM event e WHERE e.room = gap.room AND e.segment = gap.segment)
"""
DROP_GAP = "DELETE FROM gap WHERE id = ?"


class Island(NamedTuple):
    """An island's gap row; `walk` goes on below its oldest event."""

    id: int
    segment: int
    walk: str | None
    status: str
    newest: str | None


class _Chunk(NamedTuple):
    """A run of events without places, newest first, and the placed events next to it."""

    events: list[RoomEvent]
    newer: Known | None
    older: Known | None


def apply_context(connections: Connections, room_id: str, page: Page) -> int:
    """Commit an answer of /context (events newest first): returns how many events were stripped by redactions."""
    with connections.write() as cursor:
        write = Write(cursor, "page", int(time.time() * 1000))
        row = room.find(write, room_id)
        if row is None:
            raise NotFoundError(f"the store has no room {room_id}")
        write_quarantine(write, page.bad)
        events = list({event.event_id: event for event in page.events}.values())
        known = known_events(write, row.id, events)
        places = _places(write, row.id, events, known, page.start)
        write_events(write, row.id, "context", events, known, [places.get(event.event_id) for event in events])
        confirm_echoes(write)
        apply_redactions(write)
        derive_rooms(write)
        finish_page(write)
        return write.stripped_count


def _places(
    write: Write, number: int, events: Sequence[RoomEvent], known: Mapping[str, Known], start: str | None
) -> dict[str, Place]:
    """Places for the events that have none; an event gets none if only a sync can tell where it belongs."""
    found: dict[str, Place] = {}
    for chunk in _chunks(events, known):
        place = _oldest_place(write, number, chunk, start)
        if place is not None:
            segment, position = place
            for back, event in enumerate(reversed(chunk.events)):
                found[event.event_id] = (segment, position + back)
    return found


def _chunks(events: Sequence[RoomEvent], known: Mapping[str, Known]) -> Iterator[_Chunk]:
    newer: Known | None = None
    chunk: list[RoomEvent] = []
    for event in events:
        stored = known.get(event.event_id)
        if stored is None or stored.place is None:
            chunk.append(event)
            continue
        if chunk:
            yield _Chunk(chunk, newer, stored)
        newer, chunk = stored, []
    if chunk:
        yield _Chunk(chunk, newer, None)


def _oldest_place(write: Write, number: int, chunk: _Chunk, start: str | None) -> Place | None:
    """Where a chunk's oldest event goes: on top of the segment below, under the one above, or to a new island."""
    run = write.cursor.execute
    if chunk.older is not None and (place := chunk.older.place) is not None:
        above = run(NEXT_HIGHER, (number, place[0])).fetchone()[0]
        is_top = run(NEWEST_IN, (number, place[0])).fetchone()[0] == place[1]
        if is_top and above is not None and run(IS_OPEN, (number, above)).fetchone():
            return place[0], place[1] + 1
    if chunk.newer is not None and (place := chunk.newer.place) is not None:
        is_bottom = run(OLDEST_IN, (number, place[0])).fetchone()[0] == place[1]
        if is_bottom and run(IS_OPEN, (number, place[0])).fetchone():
            return place[0], place[1] - len(chunk.events)
    if chunk.older is None and chunk.newer is None:
        return _new_island(write, number, chunk.events, start)
    return None


def _new_island(write: Write, number: int, events: list[RoomEvent], start: str | None) -> Place | None:
    moment = events[len(events) // 2].origin_server_ts
    newest = write.cursor.execute(NEWEST_TIME, (number,)).fetchone()
    if None not in (moment, newest) and newest[0] is not None and moment > newest[0]:
        return None  # newer than all we have: the next sync brings it
    slot = _slot(write, number, moment, under_islands=True)
    if slot is None:
        return None
    segment = _under(write, number, slot)
    write.cursor.execute(NEW_ISLAND, (number, segment, start, start, write.batch))
    write.touch(number, "gap")
    return segment, 0


def _slot(write: Write, number: int, moment: int | None, *, under_islands: bool) -> int | None:
    """The segment whose gap most likely holds a moment: of the oldest one that is followed by something later.

    under_islands: whether the gap under another island will do.
    """
    slots = write.cursor.execute(SLOTS, (number, under_islands)).fetchall()
    for segment, after in slots:
        if moment is None or after is None or moment <= after:
            return int(segment)
    return int(slots[-1][0]) if slots else None


def _under(write: Write, number: int, segment: int) -> int:
    """A free number right under a segment."""
    lower = write.cursor.execute(NEXT_LOWER, (number, segment)).fetchone()[0]
    if lower is None:
        return segment - SEGMENT_SPACING
    if segment - lower < 2:
        raise StoreError("one gap cannot hold more islands: back-fill it before jumping into it again")
    return (segment + int(lower)) // 2


def islands(write: Write, number: int, besides: int | None = None) -> list[Island]:
    """The segments of a room that may still move, but for one of them."""
    return [Island(*row) for row in write.cursor.execute(ISLANDS, (number, besides)).fetchall()]


def cut_at_timeline(
    events: list[RoomEvent], known: Mapping[str, Known], movable: Set[int]
) -> tuple[list[RoomEvent], Place | None]:
    """The part of an island's page above the stored timeline, and the place of the event that it meets there.

    What is unknown below that event lies in gaps of its own: it is not the island's.
    """
    for at, event in enumerate(events):
        place = known[event.event_id].place if event.event_id in known else None
        if place is not None and place[0] not in movable:
            return events[:at], place
    return events, None


def release(write: Write, events: Iterable[RoomEvent], known: dict[str, Known], movable: Set[int]) -> None:
    """Take events out of islands, one by one, for whoever gives them their place now."""
    for event in events:
        stored = known.get(event.event_id)
        if stored is not None and stored.segment in movable:
            write.cursor.execute(UNPLACE, (stored.id,))
            known[event.event_id] = stored._replace(segment=None, position=None)


def drop_empty(write: Write, number: int) -> None:
    """Islands whose events have all been placed elsewhere are gone, and their gaps with them."""
    write.cursor.execute(DROP_EMPTY, (number,))


def absorb(write: Write, number: int, island: Island, segment: int) -> None:
    """Put an island's events under a segment's oldest event; its gap row goes, for the walk above takes over."""
    oldest = write.cursor.execute(OLDEST_IN, (number, segment)).fetchone()[0]
    newest = write.cursor.execute(NEWEST_IN, (number, island.segment)).fetchone()[0]
    top = min(0 if oldest is None else oldest, 0) - 1
    write.cursor.execute(MOVE_EVENTS, (segment, top - newest, number, island.segment))
    write.cursor.execute(DROP_GAP, (island.id,))
    write.touch(number, "event")


def settle_above(write: Write, number: int, island_id: int, segment: int, met: int) -> None:
    """An island's walk has met the stored timeline in segment `met`: it belongs into the hole right above that."""
    above = write.cursor.execute(NEXT_HIGHER, (number, met)).fetchone()[0]
    if above is not None and above != segment and write.cursor.execute(IS_OPEN, (number, above)).fetchone():
        _move(write, number, island_id, segment, above)


def rehome(write: Write, number: int, closed: int) -> None:
    """A gap closed without meeting the islands guessed into it: they lie in another one, if there is any left."""
    while (lower := write.cursor.execute(NEXT_LOWER, (number, closed)).fetchone()[0]) is not None:
        island = next((one for one in islands(write, number) if one.segment == lower and one.status != "closed"), None)
        if island is None:
            return
        moment = write.cursor.execute(TIME_OF, (number, lower)).fetchone()
        slot = _slot(write, number, moment[0] if moment else None, under_islands=False)
        if slot is None:
            return  # nothing is missing anywhere else: it may as well stay
        _move(write, number, island.id, lower, slot)


def _move(write: Write, number: int, island_id: int, segment: int, above: int) -> None:
    target = _under(write, number, above)
    write.cursor.execute(MOVE_EVENTS, (target, 0, number, segment))
    write.cursor.execute(MOVE_GAP, (target, island_id))
    write.touch(number, "event")
