"""Pages of back-fill: a page and its gap's new token land together, or not at all (promise 13)."""

from __future__ import annotations

import time
from typing import NamedTuple

from syncstore.model.batch import Page, RoomEvent
from syncstore.store.account import write_quarantine
from syncstore.store.connection import Connections
from syncstore.store.echo import confirm_echoes
from syncstore.store.event import Known, known_events, write_events
from syncstore.store.gap import CLOSE, GapRow, find_gap, settle
from syncstore.store.island import Island, absorb, cut_at_timeline, drop_empty, islands, release, settle_above
from syncstore.store.naming import derive_rooms
from syncstore.store.new_events import Place
from syncstore.store.redaction import apply_redactions
from syncstore.store.write import Write, finish_page

IS_OPEN = "SELECT 1 FROM gap WHERE id = ? AND status <> 'closed'"
OLDEST_PLACE = "SELECT min(position) FROM event WHERE room = ? AND segment = ?"


class PageDone(NamedTuple):
    """What a page did: events given a place, events stripped by redactions found in it.

    discarded: the gap had moved, nothing was written.
    """

    added: int
    redacted: int
    discarded: bool = False


def apply_page(connections: Connections, gap_id: int, asked: str, page: Page, *, again: bool) -> PageDone:
    """Commit one page of a gap with its new token, or discard it if the gap no longer holds `asked`.

    again: the page was asked for once more, longer by an event, because the walk seemed to have ended.
    """
    with connections.write() as cursor:
        gap = find_gap(cursor, gap_id)
        if gap is None or gap.status == "closed" or gap.walk != asked or again != (gap.ended_at is not None):
            return PageDone(0, 0, discarded=True)
        write = Write(cursor, "page", int(time.time() * 1000))
        write_quarantine(write, page.bad)
        page.events = list({event.event_id: event for event in page.events}.values())
        known = known_events(write, gap.room, page.events)
        fill = _fill_island if gap.kind == "island" else _fill
        added = fill(write, gap, asked, page, known)
        confirm_echoes(write)
        apply_redactions(write)
        derive_rooms(write)
        write.touch(gap.room, "gap", "change" if _is_open(write, gap.id) else "remove", key=str(gap.id))
        finish_page(write)
        return PageDone(added, write.stripped_count)


def _fill(write: Write, gap: GapRow, asked: str, page: Page, known: dict[str, Known]) -> int:
    movable = islands(write, gap.room)
    # A gap that was opened after an island was made may hold late events within the island's reach: it goes through
    # that one event by event.
    release(write, page.events, known, {one.segment for one in movable if one.id < gap.id})
    added, island = _place_page(write, gap, page.events, known, [one for one in movable if one.id > gap.id])
    drop_empty(write, gap.room)
    settle(write, gap, asked, page, known, island)
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
        settle(write, gap, asked, page, known, island)
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
    return sum(place is not None for place in places)


def _is_open(write: Write, gap_id: int) -> bool:
    return write.cursor.execute(IS_OPEN, (gap_id,)).fetchone() is not None
