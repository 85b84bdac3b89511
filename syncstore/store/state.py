"""The state pile of a room: which event holds which key, since which place, and what held it before.

Promises 8 and 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from syncstore.model.batch import membership_of
from syncstore.model.changes import BEFORE_TIMELINE, Step
from syncstore.model.json_text import decode
from syncstore.store.new_events import Place
from syncstore.store.room import RoomRow
from syncstore.store.schema import replaced_state, room_state
from syncstore.store.statement import insert
from syncstore.store.write import Write

PILE_KEY = """
    SELECT event, membership, segment, position, batch FROM room_state WHERE room = ? AND type = ? AND state_key = ?
"""
PILE = "SELECT type, state_key, event, membership, segment, position, batch FROM room_state WHERE room = ?"
CONTENT = "SELECT content FROM event WHERE id = ?"
HAS_CREATE = "SELECT 1 FROM room_state WHERE room = ? AND type = 'm.room.create' AND state_key = ''"
INSERT_STATE = insert(room_state)
UPSERT_STATE = (
    insert(room_state)
    + """
    ON CONFLICT (room, type, state_key) DO UPDATE SET event = excluded.event, membership = excluded.membership,
        segment = excluded.segment, position = excluded.position, batch = excluded.batch
"""
)
DELETE_STATE = "DELETE FROM room_state WHERE room = ? AND type = ? AND state_key = ?"
INSERT_HISTORY = insert(replaced_state)

# State from which a room's derived columns are made (naming.py).
NAMING = {
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.canonical_alias",
    "m.room.create",
    "m.room.encryption",
    "m.room.member",
}
_Key = tuple[str, str]


def astray(table: str) -> str:
    """The condition, for SQL, that a row of the pile or of its history holds no event of its own room and key."""
    return f"""NOT EXISTS (SELECT 1 FROM event e WHERE e.id = {table}.event AND e.room = {table}.room
        AND e.type = {table}.type AND e.state_key = {table}.state_key)"""


class Held(NamedTuple):
    """What a key holds, and since when."""

    event: int
    membership: str | None
    segment: int | None
    position: int | None
    batch: int


class _Rows:
    """The rows of one change of a pile, collected to be written at once."""

    def __init__(self) -> None:
        self.state: list[tuple[Any, ...]] = []
        self.history: list[tuple[object, ...]] = []
        self.dropped: list[tuple[int, str, str]] = []


def apply_steps(
    write: Write,
    row: RoomRow,
    steps: Sequence[Step],
    ids: Mapping[str, int],
    places: Sequence[Place],
    before: Place | tuple[None, None],
    *,
    new_room: bool,
    restates: bool,
) -> bool:
    """Apply the steps to the room's pile; True if the pile was restated or new.

    ids: event_id -> row id of every event of the steps. places: of the timeline's events. before: the place that the
    timeline begins at, for events that have none.
    """
    if not steps and not restates:
        return new_room
    restated = restates and not new_room and _has_create(write, row.id)
    chains = _chains(steps)
    held = _held(write, row.id, chains, whole=restated) if not new_room else {}
    rows = _Rows()
    for key, chain in chains.items():
        _walk(write, row, rows, key, chain, held.get(key), ids, places, before)
    if restated:
        _drop_unsaid(write, row, rows, held, chains, before)
    _write(write, row, rows, new_room=new_room)
    return restated or new_room


def restate_members(write: Write, row: RoomRow, steps: Sequence[Step], ids: Mapping[str, int], asked_at: int) -> None:
    """Make the room's members exactly these steps, except those that a batch after `asked_at` set."""
    held = {key: one for key, one in _held(write, row.id, (), whole=True).items() if key[0] == "m.room.member"}
    newer = {key for key, one in held.items() if one.batch > asked_at}
    chains = {key: chain for key, chain in _chains(steps).items() if key not in newer}
    before: Place | tuple[None, None] = (None, None)
    if row.last_segment is not None:
        before = (row.last_segment, row.last_position + 1)
    rows = _Rows()
    for key, chain in chains.items():
        _walk(write, row, rows, key, chain, held.get(key), ids, (), before)
    older = {key: one for key, one in held.items() if key not in newer}
    _drop_unsaid(write, row, rows, older, chains, before)
    _write(write, row, rows, new_room=False)


def _has_create(write: Write, room: int) -> bool:
    return write.cursor.execute(HAS_CREATE, (room,)).fetchone() is not None


def _chains(steps: Iterable[Step]) -> dict[_Key, list[Step]]:
    """The steps of each key, in their order."""
    chains: dict[_Key, list[Step]] = {}
    for step in steps:
        chains.setdefault((step.type, step.state_key), []).append(step)
    return chains


def _held(write: Write, room: int, chains: Iterable[_Key], *, whole: bool) -> dict[_Key, Held]:
    """What the pile holds now: all of it when the room is restated, else only the keys concerned."""
    if whole:
        return {(row[0], row[1]): Held(*row[2:]) for row in write.cursor.execute(PILE, (room,))}
    found: dict[_Key, Held] = {}
    for key in chains:
        row = write.cursor.execute(PILE_KEY, (room, *key)).fetchone()
        if row is not None:
            found[key] = Held(*row)
    return found


def _walk(
    write: Write,
    row: RoomRow,
    rows: _Rows,
    key: _Key,
    chain: list[Step],
    held: Held | None,
    ids: Mapping[str, int],
    places: Sequence[Place],
    before: Place | tuple[None, None],
) -> None:
    """Replace what a key holds by each event of its chain in turn; the last one stays.

    If the chain repeats the event that is held, all before it is older than what we have, and is no change.
    """
    if held is not None:
        again = max((at for at, step in enumerate(chain) if ids[step.event_id] == held.event), default=-1)
        chain = chain[again + 1 :]
    now = held
    for step in chain:
        place = before if step.at == BEFORE_TIMELINE else places[step.at]
        if now is not None:
            rows.history.append((None, row.id, *key, *_since(now), write.batch, *place, step.event_id))
        now = Held(ids[step.event_id], step.membership, place[0], place[1], write.batch)
    if now is not None and now is not held:
        if key[0] == "m.room.member" and now.event < write.first_of_group:
            now = now._replace(membership=_stored_membership(write, now.event))  # a copy may say something else
        rows.state.append((row.id, *key, *now))
        _count(row, None if held is None else held.membership, now.membership)
        _note(write, row, key)


def _stored_membership(write: Write, event: int) -> str | None:
    return membership_of("m.room.member", decode(write.cursor.execute(CONTENT, (event,)).fetchone()[0]))


def _drop_unsaid(
    write: Write,
    row: RoomRow,
    rows: _Rows,
    held: Mapping[_Key, Held],
    chains: Mapping[_Key, list[Step]],
    before: Place | tuple[None, None],
) -> None:
    """A restated room holds exactly what was restated: other keys go to history."""
    for key, old in held.items():
        if key not in chains:
            rows.history.append((None, row.id, *key, *_since(old), write.batch, *before, None))
            rows.dropped.append((row.id, *key))
            _count(row, old.membership, None)
            _note(write, row, key)


def _write(write: Write, row: RoomRow, rows: _Rows, *, new_room: bool) -> None:
    write.flush_events()  # these rows point at them
    if rows.history:
        write.cursor.executemany(INSERT_HISTORY, rows.history)
    if rows.dropped:
        write.cursor.executemany(DELETE_STATE, rows.dropped)
    if rows.state:
        if new_room:
            rows.state.sort(key=lambda one: one[1:3])
        write.cursor.executemany(INSERT_STATE if new_room else UPSERT_STATE, rows.state)
    _note_state(write, row.id, rows, new_room=new_room)


def _note_state(write: Write, room: int, rows: _Rows, *, new_room: bool) -> None:
    """A new pile is told as a whole."""
    if new_room and rows.state:
        write.touch(room, "state", "add")
        return
    for _, type_, key, event, *_ in rows.state:
        write.touch(room, "state", type=type_, key=key, first_row=event, last_row=event)
    for _, type_, key in rows.dropped:
        write.touch(room, "state", "remove", type=type_, key=key)


def _since(held: Held) -> tuple[object, ...]:
    """The columns of history that say what was held and since when."""
    return held.event, held.segment, held.position, held.batch


def _count(row: RoomRow, old: str | None, new: str | None) -> None:
    """Keep the number of members in the pile: counting them anew would cost as much as there are."""
    row.pile_joined += (new == "join") - (old == "join")
    row.pile_invited += (new == "invite") - (old == "invite")


def _note(write: Write, row: RoomRow, key: _Key) -> None:
    # Members make the name of a room that has no other.
    if key[0] in NAMING and not (key[0] == "m.room.member" and (row.name or row.canonical_alias)):
        write.derive.add(row.id)
