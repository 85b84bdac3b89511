"""Derived columns of a room: name, topic, avatar, type, version, encryption, and the name people see (promise 17).

Made from the state pile, or from the stripped pile while invited or knocking; never the only copy of anything.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from syncstore.model.json_text import decode
from syncstore.model.names import room_display_name
from syncstore.model.text import clean
from syncstore.store import room
from syncstore.store.room import RoomRow
from syncstore.store.write import Write

PILE_CONTENTS = """
    SELECT s.type, e.content FROM room_state s JOIN event e ON e.id = s.event
    WHERE s.room = ? AND s.state_key = '' AND s.type IN ('m.room.name', 'm.room.topic', 'm.room.avatar',
        'm.room.canonical_alias', 'm.room.create', 'm.room.encryption')
"""
STRIPPED_CONTENTS = "SELECT type, content FROM stripped_state WHERE room = ? AND state_key = ''"
STRIPPED_MEMBERS = """
    SELECT state_key, content FROM stripped_state
    WHERE room = ? AND type = 'm.room.member' AND state_key <> ? ORDER BY state_key LIMIT 5
"""
JOINED = """
    SELECT state_key FROM room_state
    WHERE room = ? AND type = 'm.room.member' AND membership = 'join' AND state_key <> ? ORDER BY state_key LIMIT ?
"""
IS_JOINED = """
    SELECT 1 FROM room_state WHERE room = ? AND type = 'm.room.member' AND state_key = ? AND membership = 'join'
"""
# The index of those who are not joined; the last condition is there for the planner.
OTHERS_OF = """
    SELECT state_key FROM room_state INDEXED BY room_state_members
    WHERE room = ? AND type = 'm.room.member' AND membership = ? AND state_key <> ? AND membership <> 'join'
    ORDER BY state_key LIMIT 5
"""
MEMBER_CONTENT = """
    SELECT e.content FROM room_state s JOIN event e ON e.id = s.event
    WHERE s.room = ? AND s.type = 'm.room.member' AND s.state_key = ?
"""
_HEROES = 5
_Contents = Mapping[str, Mapping[str, Any]]


def derive_rooms(write: Write) -> None:
    """Make the derived columns of every room that this transaction noted for it."""
    for number in sorted(write.derive):
        row = room.find_by_id(write, number)
        derive(write.cursor, write.user_id, row)
        if room.save(write, row):
            write.touch(number, "room")


def derive(cursor: sqlite3.Cursor, user_id: str, row: RoomRow) -> None:
    """Set the derived columns of one room from its piles."""
    stripped = row.membership in ("invite", "knock")
    statement = STRIPPED_CONTENTS if stripped else PILE_CONTENTS
    contents = {type_: decode(content) for type_, content in cursor.execute(statement, (row.id,))}
    _facts(row, contents)
    row.display_name = row.name or row.canonical_alias
    if not row.display_name:
        row.display_name = _stripped_name(cursor, user_id, row) if stripped else _members_name(cursor, user_id, row)


def _facts(row: RoomRow, contents: _Contents) -> None:
    row.name = _text(contents, "m.room.name", "name")
    row.topic = _text(contents, "m.room.topic", "topic")
    row.avatar_url = _text(contents, "m.room.avatar", "url")
    row.canonical_alias = _text(contents, "m.room.canonical_alias", "alias")
    row.room_type = _text(contents, "m.room.create", "type")
    row.encryption = _text(contents, "m.room.encryption", "algorithm")
    row.room_version = _text(contents, "m.room.create", "room_version")
    if row.room_version is None and "m.room.create" in contents:
        row.room_version = "1"  # the spec's default for a create event that names none


def _text(contents: _Contents, type_: str, key: str) -> str | None:
    return clean(contents.get(type_, {}).get(key)) or None


def _members_name(cursor: sqlite3.Cursor, user_id: str, row: RoomRow) -> str:
    """The name made of the server's heroes, or of the members we know."""
    people = _told_heroes(row) or _known_heroes(cursor, user_id, row)
    joined = row.pile_joined if row.summary_joined is None else row.summary_joined
    invited = row.pile_invited if row.summary_invited is None else row.summary_invited
    heroes = [(user, _displayname(cursor, row.id, user)) for user in people]
    return clean(room_display_name(None, None, heroes, joined, invited)) or ""


def _told_heroes(row: RoomRow) -> list[str]:
    return json.loads(row.heroes) if row.heroes else []


def _known_heroes(cursor: sqlite3.Cursor, user_id: str, row: RoomRow) -> list[str]:
    """Up to five others who are here or invited; if there are none, who was here."""
    # No more than there can be: a search for one who is not there walks through everybody who ever was.
    others = row.pile_joined - len(cursor.execute(IS_JOINED, (row.id, user_id)).fetchall())
    here = [user for (user,) in cursor.execute(JOINED, (row.id, user_id, min(others, _HEROES)))]
    here += _others(cursor, row, "invite", user_id)
    found = here or _others(cursor, row, "leave", user_id) + _others(cursor, row, "ban", user_id)
    return sorted(found)[:_HEROES]


def _others(cursor: sqlite3.Cursor, row: RoomRow, membership: str, user_id: str) -> list[str]:
    return [user for (user,) in cursor.execute(OTHERS_OF, (row.id, membership, user_id))]


def _displayname(cursor: sqlite3.Cursor, number: int, user_id: str) -> str | None:
    found = cursor.execute(MEMBER_CONTENT, (number, user_id)).fetchone()
    return None if found is None else clean(decode(found[0]).get("displayname"))


def _stripped_name(cursor: sqlite3.Cursor, user_id: str, row: RoomRow) -> str:
    """An invite is named after those that the server tells of: as a rule who invites us."""
    members = cursor.execute(STRIPPED_MEMBERS, (row.id, user_id)).fetchall()
    heroes = [(user, clean(decode(content).get("displayname"))) for user, content in members]
    return clean(room_display_name(None, None, heroes, len(heroes), 1)) or ""
