"""Does the file hold together: SQLite's own checks, and derived data against the events behind it (promise 17)."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy

from syncstore.model.batch import membership_of
from syncstore.model.json_text import decode
from syncstore.model.relation import replied_to
from syncstore.model.text import is_text
from syncstore.store import decryption, driver, room, search
from syncstore.store.connection import Connections
from syncstore.store.naming import derive
from syncstore.store.room import RoomRow
from syncstore.store.salvage import decoded
from syncstore.store.schema import metadata
from syncstore.store.state import astray

BROKEN_KEYS = "PRAGMA foreign_key_check"
INTEGRITY = "PRAGMA integrity_check"
OWN_USER = "SELECT user_id FROM own_account"
ROOM_IDS = "SELECT room_id FROM room ORDER BY id"
MEMBERS = """
    SELECT s.state_key, s.membership, e.content FROM room_state s
    JOIN event e ON e.id = s.event WHERE s.room = ? AND s.type = 'm.room.member'
"""
# They hold an event under its own key, which no foreign key can say.
ASTRAY = f"SELECT type, state_key FROM room_state WHERE room = ? AND {astray('room_state')}"
ASTRAY_BEFORE = f"SELECT type, state_key FROM replaced_state WHERE room = ? AND {astray('replaced_state')}"
LAST_PLACE = """
    SELECT segment, position FROM event WHERE room = ? AND segment IS NOT NULL
    ORDER BY segment DESC, position DESC LIMIT 1
"""
LIFTED = """
    SELECT event_id, content, rel_type, relates_to, in_reply_to FROM event
    WHERE room = ? AND (coalesce(rel_type, relates_to, in_reply_to) IS NOT NULL OR content LIKE '%m.relates_to%')
"""
DIRECT = "SELECT room_id, user_id FROM direct_room"
DIRECT_SAID = "SELECT content FROM account_datum WHERE room = 0 AND type = 'm.direct'"
_DERIVED = [
    "display_name",
    "name",
    "topic",
    "avatar_url",
    "canonical_alias",
    "room_type",
    "room_version",
    "encryption",
    "pile_joined",
    "pile_invited",
]


def check(connections: Connections) -> Iterator[str]:
    """One line for everything that is wrong; nothing for a sound file."""
    parts: list[tuple[str, Callable[[sqlite3.Cursor], Iterator[str]]]] = [
        ("the file", _file),
        ("the values", _values),
        ("the rooms", _rooms),
        ("the direct rooms", _direct),
        ("the decrypted payloads", _payloads),
        ("the search index", _search),
    ]
    for what, part in parts:
        try:
            # One by one: a connection of SQLCipher that met damage is closed, and the next part has another.
            with connections.read() as cursor:
                yield from part(cursor)
        except Exception as error:
            # A damaged file may give anything for a value: what cannot be looked at is a problem, not an accident.
            cause = error.__cause__ or error
            yield f"{what} cannot be read: {type(cause).__name__}: {cause}"


def _file(cursor: sqlite3.Cursor) -> Iterator[str]:
    with suppress(*driver.errors()):  # what cannot be read of it is told by `_search`
        search.look_anew(cursor)
    for (line,) in cursor.execute(INTEGRITY).fetchall():
        if line != "ok":
            yield f"integrity: {line}"
    for table, rowid, parent, _ in cursor.execute(BROKEN_KEYS).fetchall():
        yield f"foreign key: row {rowid} of {table} points to no row of {parent}"


def _values(cursor: sqlite3.Cursor) -> Iterator[str]:
    """Text that is no UTF-8 or no JSON where it must be: SQLite itself does not look."""
    cursor.connection.text_factory = bytes
    try:
        for table in metadata.sorted_tables:
            names = [column.name for column in table.columns]
            rows = cursor.execute(f"SELECT {', '.join(names)} FROM {table.name}")
            broken = sum(decoded(table, dict(zip(names, row, strict=True))) is None for row in rows)
            if broken:
                yield f"{table.name}: {broken} rows hold what was never written"
    finally:
        cursor.connection.text_factory = str


def _rooms(cursor: sqlite3.Cursor) -> Iterator[str]:
    user_id = cursor.execute(OWN_USER).fetchone()[0]
    for (room_id,) in cursor.execute(ROOM_IDS).fetchall():
        (row,) = room.find_all(cursor, [room_id]).values()
        yield from _room(cursor, user_id, row)


def _room(cursor: sqlite3.Cursor, user_id: str, row: RoomRow) -> Iterator[str]:
    made = copy(row)
    derive(cursor, user_id, made)
    counts: Counter[str | None] = Counter()
    for key, membership, content in cursor.execute(MEMBERS, (row.id,)).fetchall():
        counts[membership] += 1
        if membership != membership_of("m.room.member", decode(content)):
            yield f"{row.room_id}: the pile has {key} as {membership}, the event says otherwise"
    made.pile_joined, made.pile_invited = counts["join"], counts["invite"]
    yield from _differences(row, made)
    for type_, key in cursor.execute(ASTRAY, (row.id,)).fetchall():
        yield f"{row.room_id}: the state of {type_} {key!r} is no event of that key in this room"
    for type_, key in cursor.execute(ASTRAY_BEFORE, (row.id,)).fetchall():
        yield f"{row.room_id}: what {type_} {key!r} was before is no event of that key in this room"
    yield from _places(cursor, row)
    yield from _relations(cursor, row)


def _differences(row: RoomRow, made: RoomRow) -> Iterator[str]:
    for name in _DERIVED:
        stored, said = getattr(row, name), getattr(made, name)
        if stored != said:
            yield f"{row.room_id}: {name} is {stored!r}, the events say {said!r}"


def _places(cursor: sqlite3.Cursor, row: RoomRow) -> Iterator[str]:
    last = cursor.execute(LAST_PLACE, (row.id,)).fetchone()
    if last is not None and (row.last_segment is None or last > (row.last_segment, row.last_position)):
        yield f"{row.room_id}: an event stands at {last}, after the room's last place"


def _relations(cursor: sqlite3.Cursor, row: RoomRow) -> Iterator[str]:
    for event_id, content, *filed in cursor.execute(LIFTED, (row.id,)).fetchall():
        relation = decode(content).get("m.relates_to")
        relation = relation if isinstance(relation, dict) else {}
        said = (relation.get("rel_type"), relation.get("event_id"), replied_to(relation))
        if [value if is_text(value) else None for value in said] != filed:
            yield f"{row.room_id}: event {event_id} is filed under another relation than its content names"


def _direct(cursor: sqlite3.Cursor) -> Iterator[str]:
    said = cursor.execute(DIRECT_SAID).fetchone()
    content = decode(said[0]) if said else {}
    pairs = {
        (room_id, user_id)
        for user_id, rooms in content.items()
        if isinstance(rooms, list)
        for room_id in rooms
        if is_text(room_id) and is_text(user_id)
    }
    if pairs != set(cursor.execute(DIRECT).fetchall()):
        yield "the direct rooms are not those of m.direct"


def _payloads(cursor: sqlite3.Cursor) -> Iterator[str]:
    yield from _counted(cursor.execute(statement).fetchone() for statement in decryption.MISPLACED)


def _search(cursor: sqlite3.Cursor) -> Iterator[str]:
    yield from _counted(search.misplaced(cursor))


def _counted(found: Iterable[tuple[int, str]]) -> Iterator[str]:
    for count, what in found:
        if count:
            yield f"{count} {what}"
