"""Places and gaps: where the events of a timeline go, and what is missing before them (promises 11 and 12).

A segment is a run of events without a known hole. Live events append to the room's last segment. A new segment is
opened when the server says `limited`, or when the request did not continue from the room's coverage token; a gap with
both its ends is then recorded before it. Nothing older is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from syncstore.model.batch import RoomEvent
from syncstore.model.changes import TimelineChange
from syncstore.store.event import Known
from syncstore.store.island import drop_empty, islands, release
from syncstore.store.new_events import Place
from syncstore.store.room import RoomRow
from syncstore.store.schema import SEGMENT_SPACING
from syncstore.store.write import Write

NEW_GAP = """
    INSERT INTO gap (room, kind, segment, prev_batch, walk, since, by_arrival, status, opened_by, older_than)
    VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?, ?)
"""


REOPEN = "UPDATE gap SET status = 'open', reason = NULL WHERE room = ? AND status = 'unreachable'"


class Tokens(NamedTuple):
    """The tokens around one response: what the request carried, what was stored, what comes next."""

    since: str | None
    held: str | None
    next_batch: str
    full_state: bool = False


def coverage(row: RoomRow, joined_before: bool, tokens: Tokens) -> str | None:
    """The token up to which the room's timeline is known: the store's own while joined, unless it was frozen."""
    return tokens.held if joined_before and row.covered_to is None else row.covered_to


def freeze(write: Write, row: RoomRow, token: str | None) -> None:
    """The room is no longer covered beyond a token; what is stored by then lies before it."""
    if token != row.covered_to:
        row.covered_to, row.covered_batch = token, write.batch


def place_timeline(
    write: Write,
    row: RoomRow,
    change: TimelineChange,
    known: dict[str, Known],
    covered: str | None,
    tokens: Tokens,
    *,
    continues: bool,
) -> tuple[Sequence[Place | None], list[Place], Place]:
    """Give places to the events of a timeline, opening a segment and a gap where promise 12 asks for it.

    continues: whether the server listed by arrival, from the coverage token on.

    Returns (new places, None where an event keeps its own; the place of every event, kept or new; the place
    before the first of them), and moves the row's last place.
    """
    if known:
        _take_from_islands(write, row, change.events, known)
    if row.last_segment is None:
        _open_first(write, row, change, covered, continues, tokens)
    elif not continues or (change.limited and not _joins_on(row, change.events, known)):
        kind = "limited" if continues else "absence"
        _open(write, row, row.last_segment + SEGMENT_SPACING, kind, change, covered, continues, tokens)
    assert row.last_segment is not None
    before = (row.last_segment, row.last_position + 1)
    fresh, places = _give(row, change.events, known)
    _recency(row, change.events, fresh)
    return fresh, places, before


def _give(
    row: RoomRow, events: Sequence[RoomEvent], known: Mapping[str, Known]
) -> tuple[Sequence[Place | None], list[Place]]:
    """The places after the room's last one for those events that have none: (new places, place of every event)."""
    assert row.last_segment is not None
    segment, first = row.last_segment, row.last_position + 1
    if not known:  # as a rule
        row.last_position += len(events)
        places = [(segment, position) for position in range(first, first + len(events))]
        return places, places
    fresh: list[Place | None] = []
    places = []
    for one in events:
        kept = known[one.event_id].place if one.event_id in known else None
        if kept is None:
            row.last_position += 1
            places.append((segment, row.last_position))
            fresh.append(places[-1])
        else:
            places.append(kept)
            fresh.append(None)
    return fresh, places


def _take_from_islands(write: Write, row: RoomRow, events: list[RoomEvent], known: dict[str, Known]) -> None:
    """What a jump has put into an island gets its place from the sync that brings it."""
    if any(one.segment is not None for one in known.values()):
        movable = {one.segment for one in islands(write, row.id)}
        if movable:
            release(write, events, known, movable)
            drop_empty(write, row.id)


def _joins_on(row: RoomRow, events: list[RoomEvent], known: dict[str, Known]) -> bool:
    """Whether the timeline holds the newest event of the room's last segment: then nothing is missing between.

    The state block does not count: it may name that event however much came since.
    """
    if row.last_position < 0:
        return False  # the segment has what back-fill brought, and nothing newer
    newest = (row.last_segment, row.last_position)
    return any(known[one.event_id].place == newest for one in events if one.event_id in known)


def _open_first(
    write: Write, row: RoomRow, change: TimelineChange, covered: str | None, continues: bool, tokens: Tokens
) -> None:
    """The room's first segment: a gap before it, unless the server says that this is the beginning."""
    if change.told and not change.limited and change.prev_batch is None:
        row.last_segment = SEGMENT_SPACING
    else:
        _open(write, row, SEGMENT_SPACING, "start", change, covered, continues, tokens)


def _open(
    write: Write,
    row: RoomRow,
    segment: int,
    kind: str,
    change: TimelineChange,
    covered: str | None,
    continues: bool,
    tokens: Tokens,
) -> None:
    """Begin a segment with a gap before it, both ends recorded.

    When the request did not continue from the coverage token, the server listed by topology: late arrivals may stand
    before events we know, so the walk begins at the response's own end and skips what is known.
    """
    row.last_segment, row.last_position = segment, -1
    since = None if kind == "start" else covered
    walk = change.prev_batch if continues else tokens.next_batch
    # While joined all that is stored came before the coverage token; else what came before the batch that froze it.
    older_than = write.batch if row.covered_to is None else row.covered_batch or 0
    if since is None:
        older_than = 0
    values = (row.id, kind, segment, change.prev_batch, walk, since, int(continues), write.batch, older_than)
    write.cursor.execute(NEW_GAP, values)
    write.touch(row.id, "gap", "add", key=str(write.cursor.lastrowid))


def open_walk(write: Write, row: RoomRow, covered: str | None, token: str) -> None:
    """Begin a segment with a gap that is walked from a token down, past what is known: nobody told what is missing."""
    change = TimelineChange([], True, token, True)
    tokens = Tokens(None, None, token)
    if row.last_segment is None:
        _open(write, row, SEGMENT_SPACING, "start", change, None, False, tokens)
    else:
        _open(write, row, row.last_segment + SEGMENT_SPACING, "absence", change, covered, False, tokens)


def reopen(write: Write, row: RoomRow) -> None:
    """A server that refused us while we were outside may answer now that we are back."""
    write.cursor.execute(REOPEN, (row.id,))
    if write.cursor.rowcount:
        write.touch(row.id, "gap")


def _recency(row: RoomRow, events: list[RoomEvent], fresh: Sequence[Place | None]) -> None:
    """When somebody last said something here: state noise counts only where nothing else ever came."""
    for one, place in zip(reversed(events), reversed(fresh), strict=True):
        if place is not None and one.state_key is None and one.origin_server_ts is not None:
            row.recency_ts = one.origin_server_ts
            return
    if row.recency_ts is None and events:
        row.recency_ts = events[-1].origin_server_ts
