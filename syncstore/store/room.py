"""The row of a room: read once per commit, changed in memory, written back if it differs."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import compress
from operator import ne
from typing import Any

import msgspec
from msgspec.structs import astuple

from syncstore.store.write import Write

Values = tuple[Any, ...]

NEW_ROOM = "INSERT INTO room (room_id, membership, batch) VALUES (?, ?, ?)"


class RoomRow(msgspec.Struct):
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
    stored: Values = ()  # all of the above as the file has it


_COLUMNS = RoomRow.__struct_fields__[:-2]
_AT_ONCE = 64
_POSITIONS = range(len(_COLUMNS))
_SELECT = (
    "SELECT " + ", ".join(_COLUMNS) + ", EXISTS (SELECT 1 FROM thread_count WHERE room = room.id) FROM room WHERE "
)
LOAD = _SELECT + "room_id IN ({})"
LOAD_BY_ID = _SELECT + "id = ?"


def find(write: Write, room_id: str) -> RoomRow | None:
    """The room's row, None if the store has never heard of it."""
    return find_all(write.cursor, [room_id]).get(room_id)


def find_all(cursor: sqlite3.Cursor, room_ids: Sequence[str]) -> dict[str, RoomRow]:
    """The rows of those of these rooms that the store has heard of, by room_id."""
    found: dict[str, RoomRow] = {}
    for at in range(0, len(room_ids), _AT_ONCE):
        some = room_ids[at : at + _AT_ONCE]
        for row in cursor.execute(_load(len(some)), some):
            found[row[1]] = RoomRow(*(*row, row))
    return found


@cache
def _load(count: int) -> str:
    return LOAD.format(",".join("?" * count))


def find_by_id(write: Write, room: int) -> RoomRow:
    """The row of a room that is known to exist."""
    row = write.cursor.execute(LOAD_BY_ID, (room,)).fetchone()
    return RoomRow(*(*row, row))


def make(write: Write, room_id: str, membership: str) -> RoomRow:
    """A row for a room seen for the first time."""
    write.cursor.execute(NEW_ROOM, (room_id, membership, write.batch))
    made = find(write, room_id)
    assert made is not None
    return made


def save(write: Write, row: RoomRow) -> bool:
    """Write the row back, once, if it differs from what is stored; whether it does."""
    now = astuple(row)
    moved = tuple(compress(_POSITIONS, map(ne, now, row.stored)))
    if not moved:
        return False
    row.batch = write.batch
    write.cursor.execute(_update(moved), (*[now[at] for at in moved], row.batch, row.id))
    return True


@cache
def _update(moved: tuple[int, ...]) -> str:
    """Only what moved is written: a column that an index holds costs as much as the rest of the row."""
    return "UPDATE room SET " + "".join(_COLUMNS[at] + " = ?, " for at in moved) + "batch = ? WHERE id = ?"
