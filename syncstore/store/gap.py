"""Back-fill: a page and its gap's new token land together, and a gap closes only on proof (promises 13 and 14)."""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

from syncstore.errors import NotFoundError
from syncstore.model.batch import Page, RoomEvent
from syncstore.store.account import write_quarantine
from syncstore.store.connection import Connections
from syncstore.store.event import Known, Place, known_events, write_events
from syncstore.store.island import (
    Island,
    absorb,
    cut_at_timeline,
    drop_empty,
    islands,
    rehome,
    release,
    settle_above,
)
from syncstore.store.naming import derive_rooms
from syncstore.store.redaction import apply_redactions
from syncstore.store.write import Write, finish_page

GAP = """
    SELECT g.id, g.room, r.room_id, g.kind, g.segment, g.walk, g.since, g.met, g.status,
        (SELECT e.event_id FROM event e WHERE e.room = g.room AND e.segment < g.segment
            ORDER BY e.segment DESC, e.position DESC LIMIT 1),
        (SELECT e.event_id FROM event e WHERE e.room = g.room AND e.segment >= g.segment
            ORDER BY e.segment, e.position LIMIT 1)
    FROM gap g JOIN room r ON r.id = g.room WHERE g.id = ?
"""
WAS_THERE = "SELECT 1 FROM sqlite_sequence WHERE name = 'gap' AND seq >= ?"
OLDEST_EVENT = "SELECT event_id FROM event WHERE room = ? AND segment = ? ORDER BY position LIMIT 1"
SAME_TOKEN = "the server gives the same token back with events"
OLDEST_PLACE = "SELECT min(position) FROM event WHERE room = ? AND segment = ?"
MOVE = """
    UPDATE gap SET prev_batch = ?, walk = ?, met = ?, status = 'open', reason = NULL, attempts = attempts + 1
    WHERE id = ?
"""
# The walk is kept: whatever absorbs a settled island goes on from there.
CLOSE = "UPDATE gap SET status = 'closed', reason = ?, walk = ?, attempts = attempts + 1 WHERE id = ?"
GIVE_UP = "UPDATE gap SET status = 'unreachable', reason = ?, attempts = attempts + 1 WHERE id = ?"
RENEW = "UPDATE gap SET walk = ? WHERE id = ?"


class GapRow(NamedTuple):
    """A gap as the walk needs it."""

    id: int
    room: int
    room_id: str
    kind: str
    segment: int
    walk: str | None
    since: str | None
    met: int
    status: str
    newest_before: str | None
    oldest_after: str | None


class PageDone(NamedTuple):
    """What a page did: events given a place, events stripped by redactions found in it.

    discarded: the gap had moved, nothing was written.
    """

    added: int
    redacted: int
    discarded: bool = False


def find_gap(cursor: sqlite3.Cursor, gap_id: int) -> GapRow | None:
    """The gap; None if it went with its island or its room. NotFoundError if there never was one of this number."""
    row = cursor.execute(GAP, (gap_id,)).fetchone()
    if row is None and cursor.execute(WAS_THERE, (gap_id,)).fetchone() is None:
        raise NotFoundError(f"there is no gap {gap_id}")
    return None if row is None else GapRow(*row)


def renew_walk(connections: Connections, gap_id: int, asked: str | None, token: str) -> None:
    """Give a gap whose token was null or refused a new one, unless it moved meanwhile."""
    with connections.write() as cursor:
        gap = find_gap(cursor, gap_id)
        if gap is not None and gap.walk == asked:
            cursor.execute(RENEW, (token, gap_id))


def give_up(connections: Connections, gap_id: int, reason: str) -> None:
    """Nothing can fill this gap: it stays, marked, with the reason."""
    with connections.write() as cursor:
        gap = find_gap(cursor, gap_id)
        if gap is None:
            return
        write = Write(cursor, "page", int(time.time() * 1000))
        cursor.execute(GIVE_UP, (reason, gap_id))
        write.touch(gap.room, "gaps")
        write.write_touched()


def apply_page(connections: Connections, gap_id: int, asked: str, page: Page) -> PageDone:
    """Commit one page of a gap with its new token, or discard it if the gap no longer holds `asked`."""
    with connections.write() as cursor:
        gap = find_gap(cursor, gap_id)
        if gap is None or gap.status == "closed" or gap.walk != asked:
            return PageDone(0, 0, discarded=True)
        write = Write(cursor, "page", int(time.time() * 1000))
        write_quarantine(write, page.bad)
        page.events = list({event.event_id: event for event in page.events}.values())
        known = known_events(write, gap.room, page.events)
        fill = _fill_island if gap.kind == "island" else _fill
        added = fill(write, gap, asked, page, known)
        apply_redactions(write)
        derive_rooms(write)
        write.touch(gap.room, "gaps")
        finish_page(write)
        return PageDone(added, write.stripped_count)


def _fill(write: Write, gap: GapRow, asked: str, page: Page, known: dict[str, Known]) -> int:
    movable = islands(write, gap.room)
    # A gap that was opened after an island was made may hold late events within the island's reach: it goes through
    # that one event by event.
    release(write, page.events, known, {one.segment for one in movable if one.id < gap.id})
    added, island = _place_page(write, gap, page.events, known, [one for one in movable if one.id > gap.id])
    drop_empty(write, gap.room)
    _settle(write, gap, asked, page, known, island)
    return added


def _fill_island(write: Write, gap: GapRow, asked: str, page: Page, known: dict[str, Known]) -> int:
    """An island's walk has no older end: it ends at the stored timeline, and where the server has no more."""
    movable = islands(write, gap.room)
    page.events, met = cut_at_timeline(page.events, known, {one.segment for one in movable})
    others = [one for one in movable if one.id != gap.id]
    added, island = _place_page(write, gap, page.events, known, others)
    if met is not None:
        write.cursor.execute(CLOSE, ("the stored timeline was reached", page.end, gap.id))
        settle_above(write, gap.room, gap.id, gap.segment, met[0])
    else:
        _settle(write, gap, asked, page, known, island)
    return added


def _place_page(
    write: Write, gap: GapRow, events: list[RoomEvent], known: dict[str, Known], movable: list[Island]
) -> tuple[int, Island | None]:
    """Give the page's events their places; each island that it reaches comes in between as a whole.

    Returns how many are new, and the lowest of those islands: everything above it is fetched.
    """
    by_newest = {one.newest: one for one in movable}
    added, start = 0, 0
    lowest: Island | None = None
    for at, event in enumerate(events):
        if event.event_id in by_newest:
            lowest = by_newest[event.event_id]
            added += _prepend(write, gap, events[start:at], known)
            absorb(write, gap.room, lowest, gap.segment)
            start = at
    return added + _prepend(write, gap, events[start:], known), lowest


def _prepend(write: Write, gap: GapRow, events: list[RoomEvent], known: dict[str, Known]) -> int:
    """Give events, newest first, the places before the segment's oldest; known places stay."""
    row = write.cursor.execute(OLDEST_PLACE, (gap.room, gap.segment)).fetchone()
    position = min(row[0] if row[0] is not None else 0, 0)
    places: list[Place | None] = []
    for event in events:
        if event.event_id in known and known[event.event_id].place is not None:
            places.append(None)
        else:
            position -= 1
            places.append((gap.segment, position))
    write_events(write, gap.room, "messages", events, known, places)
    added = sum(place is not None for place in places)
    if added:
        write.touch(gap.room, "timeline")
    return added


def _settle(write: Write, gap: GapRow, asked: str, page: Page, known: dict[str, Known], island: Island | None) -> None:
    """Close the gap if the page proves it, else move its token on: past the island that it has absorbed."""
    proof = _proof(gap, asked, page, known)
    if island is not None and island.status == "closed" and island.walk is None:
        proof = "the beginning was reached under an island"
    if proof is not None:
        write.cursor.execute(CLOSE, (proof, page.end, gap.id))
        rehome(write, gap.room, gap.segment)
    elif page.end == asked:
        # Asking again would give the same page for ever.
        write.cursor.execute(GIVE_UP, (SAME_TOKEN, gap.id))
    elif island is not None:
        _move_past(write, gap, page, island)
    else:
        met = gap.met or any(event.event_id == gap.newest_before for event in page.events)
        write.cursor.execute(MOVE, (page.end, page.end, int(met), gap.id))


def _move_past(write: Write, gap: GapRow, page: Page, island: Island) -> None:
    """Go on where the island's own walk stood, or, if the page runs on below the island, where the page ends."""
    oldest = write.cursor.execute(OLDEST_EVENT, (gap.room, gap.segment)).fetchone()
    passed = island.walk is None or oldest[0] == page.events[-1].event_id
    token = page.end if passed else island.walk
    write.cursor.execute(MOVE, (token, token, 0, gap.id))


def _proof(gap: GapRow, asked: str, page: Page, known: dict[str, Known]) -> str | None:
    """Why nothing is missing any more, None if something may be (promise 14)."""
    if page.end is None:
        return "the server has no more"
    if page.end == gap.since:
        return "the older end was reached"
    if not page.events and page.end == asked:
        return "an empty page that goes nowhere"
    if gap.kind == "island":
        return None
    if gap.kind == "start" and any(event.type == "m.room.create" for event in page.events):
        return "the beginning of the room was reached"
    # For servers that ignore `to`. A known event alone is no proof: pages are ordered otherwise than syncs.
    placed = {event_id for event_id, event in known.items() if event.place is not None}
    if gap.met and page.events and all(event.event_id in placed for event in page.events):
        return "overlap: a whole page beyond the older end held nothing new"
    return None
