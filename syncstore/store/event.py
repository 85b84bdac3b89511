"""Event rows: inserted once, found by id, given a place at most once (promises 6, 11, 15)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

from syncstore.model.batch import RoomEvent
from syncstore.model.text import is_text
from syncstore.store.new_events import Place
from syncstore.store.write import Redaction, Write

FIND_EVENTS = """
    WITH wanted (room, event_id) AS (VALUES {})
    SELECT e.room, e.event_id, e.id, e.segment, e.position, e.redacted_by, e.type, e.state_key, e.batch
    FROM wanted CROSS JOIN event e ON e.room = wanted.room AND e.event_id = wanted.event_id
"""
_AT_ONCE = 64
_MANY = 1000  # rows that are not held for longer than they must
# What a later copy may add to a row that had no place: its place, and what only timelines carry.
PLACE_EVENT = """
    UPDATE event SET segment = ?, position = ?, prev_batch = ?, source = ?, changed = ?,
        transaction_id = coalesce(transaction_id, ?),
        unsigned = CASE WHEN redacted_by IS NULL THEN coalesce(?, unsigned) ELSE unsigned END,
        replaces = coalesce(?, replaces)
    WHERE id = ? AND segment IS NULL
"""
# Of sources whose events stand in a timeline; those of a state block are told by what they change.
_ORIGINS = {"timeline": "live", "messages": "backfill", "context": "context"}


class Known(NamedTuple):
    """A stored event, as far as placing needs it."""

    id: int
    segment: int | None
    position: int | None
    redacted_by: str | None
    type: str
    state_key: str | None
    batch: int

    @property
    def place(self) -> Place | None:
        return None if self.segment is None or self.position is None else (self.segment, self.position)


def known_events(write: Write, room: int, events: Iterable[RoomEvent]) -> dict[str, Known]:
    """Which of these events the store has already, by event_id."""
    return known_in_rooms(write, [(room, one.event_id) for one in events]).get(room, {})


def known_in_rooms(write: Write, ids: Sequence[tuple[int, str]]) -> dict[int, dict[str, Known]]:
    """Which of these events, each a room and an event_id, the store has already: by room, then by event_id."""
    found: dict[int, dict[str, Known]] = {}
    for at in range(0, len(ids), _AT_ONCE):
        some = ids[at : at + _AT_ONCE]
        for room, event_id, *row in write.cursor.execute(_find(len(some)), tuple(chain.from_iterable(some))):
            found.setdefault(room, {})[event_id] = Known(*row)
    return found


@cache
def _find(count: int) -> str:
    """One statement for all: asking for each event costs three times as much."""
    return FIND_EVENTS.format(",".join(["(?,?)"] * count))


def write_events(
    write: Write,
    room: int,
    source: str,
    events: Sequence[RoomEvent],
    known: dict[str, Known],
    places: Sequence[Place | None] | None = None,
) -> dict[str, int]:
    """Store the new ones, place those that had no place: event_id -> row id of each."""
    ids = queue_events(write, room, source, events, known, places)
    write.flush_events()
    return ids


def queue_events(
    write: Write,
    room: int,
    source: str,
    events: Sequence[RoomEvent],
    known: dict[str, Known],
    places: Sequence[Place | None] | None = None,
    prev_batch: str | None = None,
    *,
    live_from: int = 0,
) -> dict[str, int]:
    """The same, but that the new rows wait for `Write.flush_events`.

    places: as long as events; None where an event shall have none or keeps the one it has. prev_batch is kept on the
    first event if that is placed now. live_from: where in a timeline begins what happened while we watched.
    """
    ids: dict[str, int] = {}
    batch, number, add = write.batch, write.next_event, write.new_events.add
    token, before = prev_batch, 0  # before: how many of the new ones are not live
    for at, (one, place) in enumerate(zip(events, places or [None] * len(events), strict=True)):
        stored = known.get(one.event_id) if known else None
        if stored is None:
            ids[one.event_id] = number
            add(number, room, one, source, place, token, batch)
            number += 1
            if at < live_from:
                before += 1
        else:
            ids[one.event_id] = stored.id
            if place is not None:
                _place(write, room, one, stored, source, (*place, token), _origin(source, live=at >= live_from))
        if one.special:
            _note(write, room, one, ids[one.event_id], stored)
        token = None
    if source in _ORIGINS:
        split = write.next_event + before
        if before:
            write.touch_events(room, write.next_event, split, _origin(source, live=False))
        write.touch_events(room, split, number, _origin(source, live=True))
    write.event_count += len(events)
    write.known_count += len(events) - (number - write.next_event)
    write.next_event = number
    if len(events) > _MANY:
        write.flush_events()
    return ids


def _place(
    write: Write,
    room: int,
    one: RoomEvent,
    stored: Known,
    source: str,
    stands: tuple[int, int, str | None],
    origin: str,
) -> None:
    """Give a stored event the place that it lacks."""
    values = (*stands, source, write.batch, one.transaction_id, one.unsigned, one.replaces, stored.id)
    write.cursor.execute(PLACE_EVENT, values)
    write.touch(room, "event", "add", first_row=stored.id, last_row=stored.id, origin=origin)
    write.renewed.append(stored.id)


def _note(write: Write, room: int, one: RoomEvent, number: int, stored: Known | None) -> None:
    """Remember what the commit must do for an event when all are there."""
    if one.type == "m.room.redaction":
        write.brings_redactions = True
    elif one.type == "m.room.encrypted" and stored is None and one.state_key is None:
        session_id = one.body.get("session_id")
        write.new_events.encrypted.append((number, session_id if is_text(session_id) else None))
    if one.replaces is not None:
        write.brings_replaced = True
        if not one.replaces:
            write.untold.append(number)
    # The key may be written with escapes: whatever has any is looked into.
    if one.unsigned is not None and ('"m.relations"' in one.unsigned or "\\u" in one.unsigned):
        write.bundles.append((room, number, one.unsigned))
    if one.redacted_because is not None and (stored is None or stored.redacted_by is None):
        write.redactions.append(Redaction(room, one.event_id, one.redacted_because))


def _origin(source: str, *, live: bool) -> str:
    """Why an event comes now: a bot answers what is live, and nothing else."""
    return _ORIGINS.get(source, "initial") if source != "timeline" or live else "initial"
