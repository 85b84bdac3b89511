"""The row of a room: read once per commit, changed in memory, written back if it differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from itertools import compress
from operator import attrgetter, ne
from typing import Any

from syncstore.store.write import Write

NEW_ROOM = "INSERT INTO room (room_id, membership, batch) VALUES (?, ?, ?)"


@dataclass(slots=True)
class RoomRow:
    """The columns of `room`, in the table's order."""

    id: int
    room_id: str
    membership: str
    display_name: str | None
    name: str | None
    topic: str | None
    avatar_url: str | None
    canonical_alias: str | None
    room_type: str | None
    room_version: str | None
    encryption: str | None
    inviter: str | None
    invited_directly: int
    heroes: str | None
    summary_joined: int | None
    summary_invited: int | None
    pile_joined: int
    pile_invited: int
    members_synced: int
    notification_count: int
    highlight_count: int
    recency_ts: int | None
    covered_to: str | None
    last_segment: int | None
    last_position: int
    suspect: str | None
    suspect_batch: int | None
    batch: int
    covered_batch: int | None
    counts_threads: int  # whether any thread of it has an unread count; a table of its own, no column


_COLUMNS = [field.name for field in fields(RoomRow)][:-1]
_POSITIONS = range(len(_COLUMNS))
_SELECT = (
    "SELECT " + ", ".join(_COLUMNS) + ", EXISTS (SELECT 1 FROM thread_count WHERE room = room.id) FROM room WHERE "
)
LOAD = _SELECT + "room_id = ?"
LOAD_BY_ID = _SELECT + "id = ?"

Values = tuple[Any, ...]
# The row as it is now, to compare with later: the standard library's astuple copies every value deeply.
values: Callable[[RoomRow], Values] = attrgetter(*_COLUMNS)


def find(write: Write, room_id: str) -> RoomRow | None:
    """The room's row, None if the store has never heard of it."""
    row = write.cursor.execute(LOAD, (room_id,)).fetchone()
    return None if row is None else RoomRow(*row)


def find_by_id(write: Write, room: int) -> RoomRow:
    """The row of a room that is known to exist."""
    return RoomRow(*write.cursor.execute(LOAD_BY_ID, (room,)).fetchone())


def make(write: Write, room_id: str, membership: str) -> RoomRow:
    """A row for a room seen for the first time."""
    write.cursor.execute(NEW_ROOM, (room_id, membership, write.batch))
    made = find(write, room_id)
    assert made is not None
    return made


def save(write: Write, row: RoomRow, before: Values) -> bool:
    """Write the row back if it differs from what it was; whether it does."""
    now = values(row)
    if now == before:
        return False
    row.batch = write.batch
    moved = tuple(compress(_POSITIONS, map(ne, now, before)))
    write.cursor.execute(_update(moved), (*[now[at] for at in moved], row.batch, row.id))
    return True


@cache
def _update(moved: tuple[int, ...]) -> str:
    """Only what moved is written: a column that an index holds costs as much as the rest of the row."""
    return "UPDATE room SET " + "".join(_COLUMNS[at] + " = ?, " for at in moved) + "batch = ? WHERE id = ?"
