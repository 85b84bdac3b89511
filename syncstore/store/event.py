"""Event rows: inserted once, found by id, given a place at most once (promises 6, 11, 15)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import NamedTuple

from syncstore.model.batch import RoomEvent
from syncstore.store.schema import event
from syncstore.store.statement import insert
from syncstore.store.write import Redaction, Write

INSERT_EVENT = insert(event)
# What every event fills: most have nothing else, and eight times None costs a tenth of a small batch.
INSERT_PLAIN = insert(
    event,
    *("id", "room", "event_id", "type", "state_key", "sender", "origin_server_ts", "content", "unsigned", "odd"),
    *("source", "segment", "position", "prev_batch", "batch", "changed"),
)
FIND_EVENTS = """
    SELECT event_id, id, segment, position, redacted_by, type, state_key, batch FROM event
    WHERE room = ? AND event_id IN ({})
"""
_AT_ONCE = 64
# What a later copy may add to a row that had no place: its place, and what only timelines carry.
PLACE_EVENT = """
    UPDATE event SET segment = ?, position = ?, prev_batch = ?, source = ?, changed = ?,
        transaction_id = coalesce(transaction_id, ?),
        unsigned = CASE WHEN redacted_by IS NULL THEN coalesce(?, unsigned) ELSE unsigned END,
        replaces = coalesce(?, replaces)
    WHERE id = ? AND segment IS NULL
"""

Place = tuple[int, int]  # segment, position
# Of sources whose events stand in a timeline; those of a state block are told by what they change.
_ORIGINS = {"timeline": "live", "messages": "backfill", "context": "context"}
_FIELDS = RoomEvent._fields
_LIFTED = _FIELDS.index("in_reply_to")  # the columns from event_id to replaces stand in the table's order
_PLAIN = _FIELDS.index("extra")  # so do those from event_id to unsigned
_RARE = ("extra", "redacts", "rel_type", "relates_to", "transaction_id", "replaces", "in_reply_to")
_NONE = (None,) * len(_RARE)
_rare = itemgetter(*map(_FIELDS.index, _RARE))


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
    ids = [one.event_id for one in events]
    found: dict[str, Known] = {}
    for at in range(0, len(ids), _AT_ONCE):
        some = ids[at : at + _AT_ONCE]
        for event_id, *row in write.cursor.execute(_find(len(some)), (room, *some)):
            found[event_id] = Known(*row)
    return found


@cache
def _find(count: int) -> str:
    """One statement for all: asking for each event costs three times as much."""
    return FIND_EVENTS.format(",".join("?" * count))


def write_events(
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
    """Store the new ones, place those that had no place: event_id -> row id of each.

    places: as long as events; None where an event shall have none or keeps the one it has. prev_batch is kept on the
    first event if that is placed now. live_from: where in a timeline begins what happened while we watched.
    """
    rows: list[tuple[object, ...]] = []
    plain: list[tuple[object, ...]] = []
    ids: dict[str, int] = {}
    batch, number = write.batch, write.next_event
    for at, one in enumerate(events):
        place = None if places is None else places[at]
        token = prev_batch if at == 0 else None
        stored = known.get(one.event_id)
        if stored is None:
            ids[one.event_id] = number
            segment, position = (None, None) if place is None else place
            stands = (source, segment, position, token, batch, batch)
            if _rare(one) == _NONE:
                plain.append((number, room, *one[:_PLAIN], one.odd, *stands))
            else:
                rows.append((number, room, *one[:_LIFTED], None, *stands, one.in_reply_to))
            number += 1
        else:
            ids[one.event_id] = stored.id
            if place is not None:
                values = (*place, token, source, batch, one.transaction_id, one.unsigned, one.replaces, stored.id)
                write.cursor.execute(PLACE_EVENT, values)
                origin = _origin(source, live=at >= live_from)
                write.touch(room, "event", "add", first_row=stored.id, last_row=stored.id, origin=origin)
                write.renewed.append(stored.id)
        if one.type == "m.room.redaction":
            write.brings_redactions = True
        if one.replaces is not None:
            write.brings_replaced = True
            if not one.replaces:
                write.untold.append(ids[one.event_id])
        # The key may be written with escapes: whatever has any is looked into.
        if one.unsigned is not None and ('"m.relations"' in one.unsigned or "\\u" in one.unsigned):
            write.bundles.append((room, ids[one.event_id], one.unsigned))
        if one.redacted_because is not None and (stored is None or stored.redacted_by is None):
            write.redactions.append(Redaction(room, one.event_id, one.redacted_because))
    if plain:
        write.cursor.executemany(INSERT_PLAIN, plain)
    if rows:
        write.cursor.executemany(INSERT_EVENT, rows)
    if source in _ORIGINS:
        split = write.next_event + sum(one.event_id not in known for one in events[:live_from])
        write.touch_events(room, write.next_event, split, _origin(source, live=False))
        write.touch_events(room, split, number, _origin(source, live=True))
    write.event_count += len(events)
    write.known_count += len(events) - len(rows) - len(plain)
    write.next_event = number
    return ids


def _origin(source: str, *, live: bool) -> str:
    """Why an event comes now: a bot answers what is live, and nothing else."""
    return _ORIGINS.get(source, "initial") if source != "timeline" or live else "initial"
