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
from syncstore.store.naming import derive_rooms
from syncstore.store.redaction import apply_redactions
from syncstore.store.write import Write

GAP = """
    SELECT g.id, g.room, r.room_id, g.kind, g.segment, g.walk, g.since, g.met, g.status,
        (SELECT e.event_id FROM event e WHERE e.room = g.room AND e.segment < g.segment
            ORDER BY e.segment DESC, e.position DESC LIMIT 1),
        (SELECT e.event_id FROM event e WHERE e.room = g.room AND e.segment >= g.segment
            ORDER BY e.segment, e.position LIMIT 1)
    FROM gap g JOIN room r ON r.id = g.room WHERE g.id = ?
"""
LEASE = "UPDATE gap SET leased_until = ? WHERE id = ? AND (leased_until IS NULL OR leased_until < ?)"
RELEASE = "UPDATE gap SET leased_until = NULL WHERE id = ? AND leased_until = ?"
OLDEST_PLACE = "SELECT min(position) FROM event WHERE room = ? AND segment = ?"
MOVE = """
    UPDATE gap SET prev_batch = ?, walk = ?, met = ?, status = 'open', reason = NULL, attempts = attempts + 1
    WHERE id = ?
"""
CLOSE = "UPDATE gap SET status = 'closed', reason = ?, attempts = attempts + 1 WHERE id = ?"
GIVE_UP = "UPDATE gap SET status = 'unreachable', reason = ?, attempts = attempts + 1 WHERE id = ?"
RENEW = "UPDATE gap SET walk = ? WHERE id = ?"
FINISH_PAGE = "UPDATE batch SET event_count = ?, known_count = ?, quarantined_count = ? WHERE id = ?"


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


def find_gap(cursor: sqlite3.Cursor, gap_id: int) -> GapRow:
    """The gap; NotFoundError if there never was one of this number."""
    row = cursor.execute(GAP, (gap_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"there is no gap {gap_id}")
    return GapRow(*row)


def lease_gap(connections: Connections, gap_id: int, seconds: float) -> tuple[GapRow, int] | None:
    """Take the gap for one request, across processes: it and the lease's end, which is its owner's mark too.

    None while another one has it.
    """
    now = int(time.time() * 1000)
    until = now + int(seconds * 1000)
    with connections.write() as cursor:
        gap = find_gap(cursor, gap_id)
        cursor.execute(LEASE, (until, gap_id, now))
        return (gap, until) if cursor.rowcount else None


def release_gap(connections: Connections, gap_id: int, until: int) -> None:
    """Let others ask again, unless the lease ran out and another one has it."""
    with connections.write() as cursor:
        cursor.execute(RELEASE, (gap_id, until))


def renew_walk(connections: Connections, gap_id: int, asked: str | None, token: str) -> None:
    """Give a gap whose token was null or refused a new one, unless it moved meanwhile."""
    with connections.write() as cursor:
        if find_gap(cursor, gap_id).walk == asked:
            cursor.execute(RENEW, (token, gap_id))


def give_up(connections: Connections, gap_id: int, reason: str) -> None:
    """Nothing can fill this gap: it stays, marked, with the reason."""
    with connections.write() as cursor:
        write = Write(cursor, "page", int(time.time() * 1000))
        cursor.execute(GIVE_UP, (reason, gap_id))
        write.touch(find_gap(cursor, gap_id).room, "gaps")
        write.write_touched()


def apply_page(connections: Connections, gap_id: int, asked: str, page: Page) -> PageDone:
    """Commit one page of a gap with its new token, or discard it if the gap no longer holds `asked`."""
    with connections.write() as cursor:
        gap = find_gap(cursor, gap_id)
        if gap.status == "closed" or gap.walk != asked:
            return PageDone(0, 0, discarded=True)
        write = Write(cursor, "page", int(time.time() * 1000))
        write_quarantine(write, page.bad)
        known = known_events(write, gap.room, page.events)
        added = _prepend(write, gap, page.events, known)
        _settle(write, gap, asked, page, known)
        apply_redactions(write)
        derive_rooms(write)
        write.touch(gap.room, "gaps")
        write.write_touched()
        counts = (write.event_count, write.known_count, write.quarantined_count)
        cursor.execute(FINISH_PAGE, (*counts, write.batch))
        return PageDone(added, write.stripped_count)


def _prepend(write: Write, gap: GapRow, events: list[RoomEvent], known: dict[str, Known]) -> int:
    """Give the page's events, newest first, the places before the segment's oldest; known places stay."""
    row = write.cursor.execute(OLDEST_PLACE, (gap.room, gap.segment)).fetchone()
    position = min(row[0] if row[0] is not None else 0, 0)
    places: list[Place | None] = []
    once: list[RoomEvent] = list({event.event_id: event for event in events}.values())
    for event in once:
        if event.event_id in known and known[event.event_id].place is not None:
            places.append(None)
        else:
            position -= 1
            places.append((gap.segment, position))
    write_events(write, gap.room, "messages", once, known, places)
    added = sum(place is not None for place in places)
    if added:
        write.touch(gap.room, "timeline")
    return added


def _settle(write: Write, gap: GapRow, asked: str, page: Page, known: dict[str, Known]) -> None:
    """Close the gap if the page proves it, else move its token on."""
    proof = _proof(gap, asked, page, known)
    if proof is not None:
        write.cursor.execute(CLOSE, (proof, gap.id))
    elif page.end == asked:
        # Asking again would give the same page for ever.
        write.cursor.execute(GIVE_UP, ("the server gives the same token back with events", gap.id))
    else:
        met = gap.met or any(event.event_id == gap.newest_before for event in page.events)
        write.cursor.execute(MOVE, (page.end, page.end, int(met), gap.id))


def _proof(gap: GapRow, asked: str, page: Page, known: dict[str, Known]) -> str | None:
    """Why nothing is missing any more, None if something may be (promise 14)."""
    if page.end is None:
        return "the server has no more"
    if page.end == gap.since:
        return "the older end was reached"
    if not page.events and page.end == asked:
        return "an empty page that goes nowhere"
    if gap.kind == "start" and any(event.type == "m.room.create" for event in page.events):
        return "the beginning of the room was reached"
    # For servers that ignore `to`. A known event alone is no proof: pages are ordered otherwise than syncs.
    placed = {event_id for event_id, event in known.items() if event.place is not None}
    if gap.met and page.events and all(event.event_id in placed for event in page.events):
        return "overlap: a whole page beyond the older end held nothing new"
    return None
