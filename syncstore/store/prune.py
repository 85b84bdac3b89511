"""Retention: old messages go, the state stays, and where history was dropped a gap says so (promise 26)."""

from __future__ import annotations

import time
from typing import NamedTuple

from syncstore.store import search
from syncstore.store.connection import Connections
from syncstore.store.new_events import Place
from syncstore.store.write import Write, finish_page

ROOMS = "SELECT id FROM room WHERE last_segment IS NOT NULL AND (?1 IS NULL OR room_id = ?1)"
NTH_NEWEST = """
    SELECT segment, position FROM event WHERE room = ? AND segment IS NOT NULL
    ORDER BY segment DESC, position DESC LIMIT 1 OFFSET ?
"""
FIRST_SINCE = """
    SELECT segment, position FROM event WHERE room = ? AND segment IS NOT NULL AND origin_server_ts >= ?
    ORDER BY segment, position LIMIT 1
"""
# The events of one timeline follow each other; the first has the token that the server gave for what lies before it.
TOKEN_AT = """
    SELECT position, prev_batch FROM event
    WHERE room = ? AND segment = ? AND position BETWEEN 1 AND ? AND prev_batch IS NOT NULL
    ORDER BY position DESC LIMIT 1
"""
IS_ISLAND = "SELECT 1 FROM gap WHERE room = ? AND segment = ? AND kind = 'island'"
OLDEST_OF = "SELECT min(position) FROM event WHERE room = ? AND segment = ?"
ANY_OLDER = """
    SELECT 1 FROM event WHERE room = ?1 AND segment IS NOT NULL AND (segment, position) < (?2, ?3) LIMIT 1
"""
DROP_HISTORY = """
    DELETE FROM replaced_state
    WHERE room = ?1 AND (until_segment IS NULL OR (until_segment, until_position) <= (?2, ?3))
"""
# A pile holds an event under its own type and state_key. A key may have changed ten thousand times: what the history
# holds is read once for each statement.
_HELD = """(
    EXISTS (SELECT 1 FROM room_state s
        WHERE s.room = event.room AND s.type = event.type AND s.state_key = event.state_key AND s.event = event.id)
    OR event.id IN (SELECT event FROM replaced_state WHERE room = ?1))
"""
# What a pile or its history still needs stays as a row without a place.
UNPLACE = f"""
    UPDATE event SET segment = NULL, position = NULL, prev_batch = NULL, source = 'state', changed = ?4
    WHERE room = ?1 AND segment IS NOT NULL AND (segment, position) < (?2, ?3) AND {_HELD}
"""
_DOOMED = f"""
    room = ?1 AND ((segment IS NOT NULL AND (segment, position) < (?2, ?3)) OR (
        segment IS NULL AND source = 'state' AND NOT {_HELD}))
"""
DROP_COPIES = f"DELETE FROM bundled_copy WHERE event IN (SELECT id FROM event WHERE {_DOOMED})"
DROP_DECRYPTED = f"DELETE FROM decrypted WHERE event IN (SELECT id FROM event WHERE {_DOOMED})"
DROP_UNDECRYPTED = f"DELETE FROM undecrypted WHERE event IN (SELECT id FROM event WHERE {_DOOMED})"
DROP_EVENTS = f"DELETE FROM event WHERE {_DOOMED}"
DROP_GAPS = "DELETE FROM gap WHERE room = ? AND segment < ?"
# Also over a gap that was there: its walk has passed by what it knew to be stored below, and that is gone now.
PUT_GAP = """
    INSERT INTO gap (room, kind, segment, prev_batch, walk, by_arrival, status, opened_by)
    VALUES (?1, 'start', ?2, ?3, ?3, ?4, 'open', ?5)
    ON CONFLICT (room, segment) DO UPDATE SET kind = 'start', prev_batch = excluded.prev_batch, walk = excluded.walk,
        since = NULL, by_arrival = excluded.by_arrival, met = 0, status = 'open', reason = NULL, attempts = 0,
        older_than = 0, last_walk = NULL, ended_at = NULL
"""


# Notes follow each other as their commits do; clocks need not, so all from the first commit that is young enough stay.
NEWEST_OLD_NOTE = """
    SELECT max(seq) FROM touched
    WHERE seq < coalesce((SELECT min(seq) FROM consumer WHERE stream = 'events'), 9223372036854775807)
        AND batch < coalesce((SELECT min(id) FROM batch WHERE received_at >= ?), 9223372036854775807)
"""
DROP_NOTES = "DELETE FROM touched WHERE seq < ?"
# Who has not read so far finds it first. The newest number of the feed stays given.
MARK_DROPPED = """
    UPDATE touched SET room = 0, what = 'dropped', op = 'remove', type = NULL, key = NULL, first_row = NULL,
        last_row = NULL, origin = NULL
    WHERE seq = ? AND what <> 'dropped'
"""


class Pruned(NamedTuple):
    """What was dropped: rooms that lost history, events, those too that stay as state without a place, and notes of
    the change feed."""

    rooms: int
    events: int
    notes: int


def prune(connections: Connections, room_id: str | None, *, keep: int | None, before: int | None) -> Pruned:
    """Drop what is older than the newest `keep` events of a room, or than `before` (milliseconds).

    One transaction for each room. The newest event of a room always stays. With `before` and all rooms the notes of
    older commits go too.
    """
    with connections.read() as cursor:
        numbers = [number for (number,) in cursor.execute(ROOMS, (room_id,))]
    rooms = events = 0
    for number in numbers:
        dropped = _prune_room(connections, number, keep, before)
        rooms += dropped > 0
        events += dropped
    notes = 0 if before is None or room_id is not None else _drop_notes(connections, before)
    search.purge(connections)
    connections.checkpoint()
    return Pruned(rooms, events, notes)


def _prune_room(connections: Connections, room: int, keep: int | None, before: int | None) -> int:
    with connections.write() as cursor:
        write = Write(cursor, "prune", int(time.time() * 1000))
        wanted = _wanted(write, room, keep, before)
        if wanted is None:
            return 0
        cut, token = _cut(write, room, wanted)
        if cursor.execute(ANY_OLDER, (room, *cut)).fetchone() is None:
            return 0
        dropped = _drop(write, room, cut, token)
        write.touch(room, "event", "remove")
        write.touch(room, "gap")
        finish_page(write)
        return dropped


def _drop_notes(connections: Connections, before: int) -> int:
    """Drop the notes of commits before a time, but none that a consumer of events still needs; a mark takes their place
    (decision 0019)."""
    with connections.write() as cursor:
        (newest,) = cursor.execute(NEWEST_OLD_NOTE, (before,)).fetchone()
        return cursor.execute(DROP_NOTES, (newest,)).rowcount + cursor.execute(MARK_DROPPED, (newest,)).rowcount


def _wanted(write: Write, room: int, keep: int | None, before: int | None) -> Place | None:
    """The place of the oldest event that shall stay, None if all shall."""
    if keep is not None:
        found: Place | None = write.cursor.execute(NTH_NEWEST, (room, keep - 1)).fetchone()
        return found
    found = write.cursor.execute(FIRST_SINCE, (room, before)).fetchone()
    return found or write.cursor.execute(NTH_NEWEST, (room, 0)).fetchone()


def _cut(write: Write, room: int, wanted: Place) -> tuple[Place, str | None]:
    """Where to cut, never above `wanted`: (the oldest place that stays, the token for what lies before it).

    At the beginning of a timeline that continued from the one before, for its token bounds all that arrived earlier.
    Where there is none, just there, without a token: back-fill then begins at the room's newest end. An island, which
    may still move, is never split.
    """
    segment, position = wanted
    if _is_island(write, room, segment):
        return (segment, write.cursor.execute(OLDEST_OF, (room, segment)).fetchone()[0]), None
    found = write.cursor.execute(TOKEN_AT, (room, segment, position)).fetchone()
    return ((segment, found[0]), found[1]) if found else (wanted, None)


def _drop(write: Write, room: int, cut: Place, token: str | None) -> int:
    """Drop all that stands before a place: how many events."""
    run = write.cursor.execute
    segment = cut[0]
    run(DROP_HISTORY, (room, *cut))
    dropped = run(UNPLACE, (room, *cut, write.batch)).rowcount
    for statement in (DROP_COPIES, DROP_DECRYPTED, DROP_UNDECRYPTED):
        run(statement, (room, *cut))
    dropped += run(DROP_EVENTS, (room, *cut)).rowcount
    run(DROP_GAPS, (room, segment))
    if not _is_island(write, room, segment):  # an island's own gap goes down to whatever lies below
        run(PUT_GAP, (room, segment, token, int(token is not None), write.batch))
    return dropped


def _is_island(write: Write, room: int, segment: int) -> bool:
    return write.cursor.execute(IS_ISLAND, (room, segment)).fetchone() is not None
