"""New rows of `event` that are written together: when something is about to point at them, or when no more come."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from syncstore.model.batch import RoomEvent
from syncstore.store.schema import event, undecrypted
from syncstore.store.statement import insert

_FIELDS = RoomEvent._fields
_ALWAYS = _FIELDS.index("state_key")
_MOSTLY = _FIELDS.index("extra")
_COLUMNS = _FIELDS.index("redacted_because")
_rare: Callable[[RoomEvent], tuple[Any, ...]] = itemgetter(slice(_MOSTLY, _COLUMNS))
_NONE = (None,) * (_COLUMNS - _MOSTLY)
_NOWHERE = (None, None)

_HEAD, _TAIL = ("id", "room"), ("batch", "changed")
# What a message fills, and an event of a state block: a None for each other column costs a tenth of a small batch.
INSERT_SAID = insert(event, *_HEAD, *_FIELDS[:_ALWAYS], "source", "segment", "position", "prev_batch", *_TAIL)
INSERT_UNPLACED = insert(event, *_HEAD, *_FIELDS[:_MOSTLY], "source", *_TAIL)
INSERT_EVENT = insert(event, *_HEAD, *_FIELDS[:_COLUMNS], "source", "segment", "position", "prev_batch", *_TAIL)
INSERT_UNDECRYPTED = insert(undecrypted)

Place = tuple[int, int]  # segment, position


class NewEvents:
    """Rows that wait. `encrypted` are those of `undecrypted`: (row id, session_id)."""

    def __init__(self) -> None:
        self.encrypted: list[tuple[int, str | None]] = []
        self._said: list[tuple[Any, ...]] = []
        self._unplaced: list[tuple[Any, ...]] = []
        self._whole: list[tuple[Any, ...]] = []

    def add(
        self, number: int, room: int, one: RoomEvent, source: str, place: Place | None, token: str | None, batch: int
    ) -> None:
        """One event under its number; token: its prev_batch."""
        if _rare(one) == _NONE:
            if place is None and token is None:
                self._unplaced.append((number, room, *one[:_MOSTLY], source, batch, batch))
                return
            if place is not None and one.state_key is None:
                self._said.append((number, room, *one[:_ALWAYS], source, *place, token, batch, batch))
                return
        self._whole.append((number, room, *one[:_COLUMNS], source, *(place or _NOWHERE), token, batch, batch))

    def write(self, cursor: sqlite3.Cursor) -> None:
        """Write what waits."""
        for statement, rows in (
            (INSERT_UNPLACED, self._unplaced),
            (INSERT_SAID, self._said),
            (INSERT_EVENT, self._whole),
            (INSERT_UNDECRYPTED, self.encrypted),
        ):
            if rows:
                cursor.executemany(statement, rows)
                rows.clear()
