"""Gaps: how a page moves one on, and what proves it closed (promises 13 and 14)."""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

from syncstore.errors import NotFoundError
from syncstore.model.batch import Page, RoomEvent
from syncstore.store.connection import Connections
from syncstore.store.event import Known
from syncstore.store.island import Island, rehome
from syncstore.store.write import Write

GAP = """
    SELECT g.id, g.room, r.room_id, g.kind, g.segment, g.walk, g.since, g.met, g.status, g.older_than, g.last_walk,
        g.ended_at
    FROM gap g JOIN room r ON r.id = g.room WHERE g.id = ?
"""
WAS_THERE = "SELECT 1 FROM sqlite_sequence WHERE name = 'gap' AND seq >= ?"
OLDEST_EVENT = "SELECT event_id FROM event WHERE room = ? AND segment = ? ORDER BY position LIMIT 1"
SAME_TOKEN = "the server gives the same token back with events"
NO_MORE = "the server has no more"
NOWHERE = "an empty page that goes nowhere"
MOVE = """
    UPDATE gap SET prev_batch = ?1, walk = ?1, last_walk = ?2, ended_at = NULL, met = ?3, status = 'open',
        reason = NULL, attempts = attempts + 1
    WHERE id = ?4
"""
ASK_AGAIN = """
    UPDATE gap SET prev_batch = last_walk, walk = last_walk, last_walk = NULL, ended_at = ?, attempts = attempts + 1
    WHERE id = ?
"""
# The walk is kept: whatever absorbs a settled island goes on from there.
CLOSE = "UPDATE gap SET status = 'closed', reason = ?, walk = ?, attempts = attempts + 1 WHERE id = ?"
GIVE_UP = "UPDATE gap SET status = 'unreachable', reason = ?, attempts = attempts + 1 WHERE id = ?"
RENEW = "UPDATE gap SET walk = ?, last_walk = NULL, ended_at = NULL WHERE id = ?"


class GapRow(NamedTuple):
    """A gap as the walk needs it.

    met: a page held an event that surely lies beyond the older end: one born in a batch before `older_than`. last_walk:
    the token of the page before. ended_at: where the walk seemed to end; it is being asked for that page once more.
    """

    id: int
    room: int
    room_id: str
    kind: str
    segment: int
    walk: str | None
    since: str | None
    met: int
    status: str
    older_than: int
    last_walk: str | None
    ended_at: str | None


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
        write.touch(gap.room, "gap", key=str(gap.id))
        write.write_touched()


def settle(write: Write, gap: GapRow, asked: str, page: Page, known: dict[str, Known], island: Island | None) -> None:
    """Close the gap if the page proves it, else move its token on: past the island that it has absorbed."""
    proof = _proof(gap, asked, page, known)
    if island is not None and island.status == "closed" and island.walk is None:
        proof = "the beginning was reached under an island"
    if proof in (NO_MORE, NOWHERE) and not page.events and gap.since is not None and gap.last_walk is not None:
        # Some servers compare a page's token with `to` by arrival alone: a page that ended with the first event after
        # `to` is then followed by an empty one, though late events stand below. One event more tells.
        write.cursor.execute(ASK_AGAIN, (asked, gap.id))
    elif proof is not None:
        write.cursor.execute(CLOSE, (proof, page.end, gap.id))
        rehome(write, gap.room, gap.segment)
    elif page.end == asked:
        # Asking again would give the same page for ever.
        write.cursor.execute(GIVE_UP, (SAME_TOKEN, gap.id))
    elif island is not None:
        _move_past(write, gap, asked, page, island)
    else:
        met = gap.met or any(_is_beyond(gap, event, known) for event in page.events)
        write.cursor.execute(MOVE, (page.end, asked, int(met), gap.id))


def _move_past(write: Write, gap: GapRow, asked: str, page: Page, island: Island) -> None:
    """Go on where the island's own walk stood, or, if the page runs on below the island, where the page ends."""
    oldest = write.cursor.execute(OLDEST_EVENT, (gap.room, gap.segment)).fetchone()
    passed = island.walk is None or oldest[0] == page.events[-1].event_id
    write.cursor.execute(MOVE, (page.end if passed else island.walk, asked, 0, gap.id))


def _proof(gap: GapRow, asked: str, page: Page, known: dict[str, Known]) -> str | None:
    """Why nothing is missing any more, None if something may be (promise 14)."""
    if page.end is None or (gap.ended_at is not None and page.end == gap.ended_at):
        return NO_MORE
    if page.end == gap.since:
        return "the older end was reached"
    if not page.events and page.end == asked:
        return NOWHERE
    if gap.kind == "start" and any(event.type == "m.room.create" for event in page.events):
        return "the beginning of the room was reached"
    # For servers that ignore `to`: those that heed it show nothing from beyond it.
    if gap.met and page.events and all(_is_beyond(gap, event, known) for event in page.events):
        return "overlap: a whole page beyond the older end held nothing new"
    return None


def _is_beyond(gap: GapRow, event: RoomEvent, known: dict[str, Known]) -> bool:
    """Whether an event surely arrived before the older end. Merely known is no proof: a farewell's own are after it."""
    stored = known.get(event.event_id)
    return stored is not None and stored.place is not None and stored.batch < gap.older_than
