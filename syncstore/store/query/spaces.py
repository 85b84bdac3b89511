"""Spaces and upgrades: rooms that point to other rooms, out of the state piles.

Source: Client-Server API, "Spaces" and "Room upgrades".
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

from syncstore.model.json_text import decode
from syncstore.model.room_records import RoomRecord, SpaceChild, SpaceNode, SpaceParent
from syncstore.model.text import is_text
from syncstore.store.query.rooms import room, rooms

POINTERS = """
    SELECT state_key, content, origin_server_ts FROM state WHERE room_id = ? AND type = ? ORDER BY state_key
"""
_DEEPEST = 100  # spaces inside spaces: a server could make a chain longer than Python's stack
# What the spec allows in `order`; anything else counts as none.
_ORDER = re.compile("[ -~]{0,50}")


def children(cursor: sqlite3.Cursor, room_id: str) -> list[SpaceChild]:
    """What a space names as its children, in the order for people: by `order`, then by age, then by id."""
    found: list[tuple[tuple[Any, ...], SpaceChild]] = []
    for child_id, content, ts in cursor.execute(POINTERS, (room_id, "m.space.child")):
        said = decode(content)
        if not (via := _via(said)):
            continue  # without servers to join through it is no child: this is how one is removed
        order = said.get("order")
        order = order if isinstance(order, str) and _ORDER.fullmatch(order) else None
        child = SpaceChild(child_id, via, order, said.get("suggested") is True)
        found.append(((order is None, order or "", ts is None, ts or 0, child_id), child))
    return [child for _, child in sorted(found, key=lambda one: one[0])]


def parents(cursor: sqlite3.Cursor, room_id: str) -> list[SpaceParent]:
    """The spaces that a room says it belongs to, the canonical one first; of several that with the smallest id."""
    found = [
        SpaceParent(parent_id, via, said.get("canonical") is True)
        for parent_id, content, _ in cursor.execute(POINTERS, (room_id, "m.space.parent"))
        for said in [decode(content)]
        if (via := _via(said))
    ]
    return sorted(found, key=lambda one: not one.canonical)


def tree(cursor: sqlite3.Cursor) -> list[SpaceNode]:
    """The spaces that we are in, those that no other one of them names at the top; a loop ends where it closes."""
    return _Tree(cursor).nodes()


class _Tree:
    """Each space is looked into once, however many paths lead to it: a hostile graph has more paths than rooms."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._rooms = {row[0]: RoomRecord(*row) for row in rooms(cursor, None)}
        joined = [one for one in self._rooms.values() if one.room_type == "m.space" and one.membership == "join"]
        self._named = {one.room_id: children(cursor, one.room_id) for one in joined}
        self._below: dict[str, list[SpaceNode]] = {}
        self._open: set[str] = set()

    def nodes(self) -> list[SpaceNode]:
        below = {child.room_id for space, named in self._named.items() for child in named if child.room_id != space}
        tops = [self._node(SpaceChild(space, [], None, False)) for space in self._named if space not in below]
        # Spaces that only name each other have no top: the first of them is taken for one.
        for space in sorted(self._named):
            if space not in self._below:
                tops.append(self._node(SpaceChild(space, [], None, False)))  # noqa: PERF401 (changes what is below)
        return tops

    def _node(self, child: SpaceChild) -> SpaceNode:
        return SpaceNode(
            child.room_id, child.via, child.suggested, self._rooms.get(child.room_id), self._children(child.room_id)
        )

    def _children(self, room_id: str) -> list[SpaceNode]:
        if room_id not in self._below:
            if len(self._open) >= _DEEPEST:
                return []  # what is below stands at the top, by itself
            self._open.add(room_id)
            named = [child for child in self._named.get(room_id, []) if child.room_id not in self._open]
            self._below[room_id] = [self._node(child) for child in named]
            self._open.discard(room_id)
        return self._below[room_id]


def upgrades(cursor: sqlite3.Cursor, room_id: str) -> list[str]:
    """A room with all it was before and became later, the oldest first; followed as far as rooms are stored.

    A predecessor is believed unless its own tombstone names another room.
    """
    before = [one for one, _ in _chain(cursor, room_id, "predecessor")]
    after = [one for one, _ in _chain(cursor, room_id, "successor") if one not in before]
    return [*reversed(before), room_id, *after]


def _chain(cursor: sqlite3.Cursor, room_id: str, side: str) -> Iterator[tuple[str, RoomRecord | None]]:
    seen = {room_id}
    here = _record(cursor, room_id)
    while here is not None:
        there: str | None = getattr(here, side)
        if there is None or there in seen:
            return
        seen.add(there)
        record = _record(cursor, there)
        if side == "predecessor" and record is not None and record.successor not in (None, here.room_id):
            return
        yield there, record
        here = record


def _record(cursor: sqlite3.Cursor, room_id: str) -> RoomRecord | None:
    row = room(cursor, room_id)
    return None if row is None else RoomRecord(*row)


def _via(content: dict[str, Any]) -> list[str]:
    via = content.get("via")
    return [server for server in via if is_text(server)] if isinstance(via, list) else []
