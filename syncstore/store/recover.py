"""A new store from what a damaged one still tells (promise 25). What is missing is marked so that it comes again.

The next sync is an initial one over what was saved. A room that may lack events has a gap over its whole history.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Table

from syncstore.errors import PassphraseError, StoreError
from syncstore.model.batch import membership_of
from syncstore.model.json_text import decode
from syncstore.store import decryption
from syncstore.store.connection import Connections
from syncstore.store.file import open_file
from syncstore.store.naming import derive_rooms
from syncstore.store.salvage import Damaged, Found, read_table, tables_of
from syncstore.store.schema import SEGMENT_SPACING, metadata
from syncstore.store.state import astray
from syncstore.store.unlock import key_of, looks_encrypted
from syncstore.store.upkeep import ALL_DEVICE_LISTS, FREEZE_COVERAGE
from syncstore.store.write import ACCOUNT, Write, finish_page

# Numbers once given name one commit for ever, also those of batches that were lost.
NEXT_BATCH = """
    SELECT max(m) FROM (SELECT max(id) m FROM batch UNION ALL SELECT max(changed) FROM event
        UNION ALL SELECT max(batch) FROM to_device_message
        UNION ALL SELECT max(seq) FROM consumer WHERE stream = 'device_lists')
"""
LAST_PLACES = """
    UPDATE room SET (last_segment, last_position) = (
        SELECT segment, position FROM event WHERE room = room.id AND segment IS NOT NULL
        ORDER BY segment DESC, position DESC LIMIT 1)
    WHERE EXISTS (SELECT 1 FROM event WHERE room = room.id AND segment IS NOT NULL
        AND (segment, position) > (coalesce(room.last_segment, -1), room.last_position))
"""
# A pile and its history hold events under their own type and state_key: rows of other events are damage.
OTHER_KEYS = f"DELETE FROM room_state WHERE {astray('room_state')}"
OTHER_KEYS_BEFORE = f"DELETE FROM replaced_state WHERE {astray('replaced_state')}"
MEMBERS = """
    SELECT e.content, s.membership, s.room, s.state_key FROM room_state s JOIN event e ON e.id = s.event
    WHERE s.type = 'm.room.member'
"""
SET_MEMBER = "UPDATE room_state SET membership = ? WHERE type = 'm.room.member' AND room = ? AND state_key = ?"
COUNT_MEMBERS = """
    UPDATE room SET
        pile_joined = (SELECT count(*) FROM room_state WHERE room = room.id AND type = 'm.room.member'
            AND membership = 'join'),
        pile_invited = (SELECT count(*) FROM room_state WHERE room = room.id AND type = 'm.room.member'
            AND membership = 'invite')
"""
DIRECT = """
    INSERT OR IGNORE INTO direct_room (room_id, user_id)
    SELECT room.value, said.key FROM account_datum d, json_each(d.content) said, json_each(said.value) room
    WHERE d.room = 0 AND d.type = 'm.direct' AND said.type = 'array' AND room.type = 'text'
"""
# Below the new segment lies all that the room may lack; the walk passes what is known.
DROP_GAPS = "DELETE FROM gap WHERE room = ? AND kind <> 'island'"
NEW_SEGMENT = "UPDATE room SET last_segment = coalesce(last_segment, 0) + ?, last_position = -1 WHERE id = ?"
WALK_ALL = """
    INSERT INTO gap (room, kind, segment, prev_batch, walk, by_arrival, status, opened_by)
    SELECT id, 'absence', last_segment, ?1, ?1, 0, 'open', ?2 FROM room WHERE id = ?3
"""
# Where the newest notes are lost the feed goes on after the places that consumers have reached.
AFTER_CONSUMERS = """
    INSERT INTO touched (seq, batch, room, what, op) SELECT max(seq) + 1, ?, 0, 'room', 'change' FROM consumer
    HAVING max(seq) > (SELECT coalesce(max(seq), 0) FROM touched)
"""
# What the server keeps and tells again, what only helps, or what no sync brings: its loss alone needs no new sync.
_NO_LOSS = {
    *("batch", "touched", "lease", "server_filter", "quarantined", "typist", "replaced_state"),
    *("consumer", "to_device_done", "decrypted", "undecrypted"),
}


class Saved(NamedTuple):
    """What became of a table: rows saved, rows dropped because they were broken or pointed nowhere, and whether pages
    of it could not be read, so that nobody knows how many rows are lost."""

    table: str
    saved: int
    dropped: int
    unreadable: bool


def recover(path: Path, target: Path, user_id: str | None, passphrase: str | None) -> list[Saved]:
    """Write a new store with all that can be read of a damaged one. Raises StoreError and its kinds."""
    if not path.is_file():
        raise StoreError(f"{path} is not a file")
    if target.exists():
        raise StoreError(f"{target} exists already: it is not overwritten")
    size = path.stat().st_size
    key = None if passphrase is None else key_of(path, passphrase)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".recover-") as folder:
        template = Path(folder) / "sound.db"
        open_file(template, user_id="@nobody:localhost", device_id=None, read_only=False, create=True).close()
        with closing(Damaged(path, Path(folder), template.read_bytes()[:100], key)) as damaged:
            damaged.check_key(path)
            if not tables_of(damaged, path) and key is None and looks_encrypted(path):
                raise PassphraseError(f"{path} is encrypted, or its first page is lost: give its passphrase")
            found = {table.name: read_table(damaged, table, size) for table in metadata.sorted_tables}
            indexed = _rooms_by_event(damaged)
    account = found["own_account"].rows
    owner = user_id or (account[0]["user_id"] if account else None)
    if owner is None:
        raise StoreError(f"{path} no longer tells whose it is: say it (--user; in Python user_id)")
    connections = open_file(target, user_id=owner, device_id=None, read_only=False, create=True, passphrase=passphrase)
    return _write(connections, found, indexed)


def _rooms_by_event(damaged: Damaged) -> dict[int, int] | None:
    """The room of every event there ever was, as the index has it; None if that cannot be read either."""
    rows, failed = damaged.rows("SELECT id, room FROM event INDEXED BY event_by_id")
    return None if failed else dict(rows)


def _write(connections: Connections, found: dict[str, Found], indexed: dict[int, int] | None) -> list[Saved]:
    try:
        with connections.write(durable=True) as cursor:
            # Checked when the transaction ends; until then rows may point nowhere.
            cursor.execute("PRAGMA defer_foreign_keys = ON")
            counts = {table.name: _fill(cursor, table, found[table.name]) for table in metadata.sorted_tables}
            saved = _connect(cursor, counts, found)
            _mend(cursor, saved, _lacking(cursor, found, indexed))
    except BaseException:
        connections.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{connections.path}{suffix}").unlink(missing_ok=True)
        raise
    connections.checkpoint()
    connections.close()
    return saved


def _fill(cursor: sqlite3.Cursor, table: Table, found: Found) -> int:
    """Put rows into their table; of two that cannot both be, the first."""
    if table.name == "own_account":
        for row in found.rows[:1]:
            values = [row.get(name) for name in ("device_id", "homeserver", "one_time_keys", "fallback_keys")]
            cursor.execute(
                "UPDATE own_account SET device_id = ?, homeserver = ?, one_time_keys = ?, fallback_keys = ?", values
            )
        return len(found.rows)
    done = 0
    for row in found.rows:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        done += cursor.execute(
            f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({marks})", tuple(row.values())
        ).rowcount
    return done


def _connect(cursor: sqlite3.Cursor, counts: dict[str, int], found: dict[str, Found]) -> list[Saved]:
    """Drop rows that point nowhere, parents first, and count."""
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            column, parent = key.parent.name, key.column.table.name
            counts[table.name] -= cursor.execute(
                f"DELETE FROM {table.name} WHERE {column} NOT IN (SELECT id FROM {parent})"
            ).rowcount
    counts["room_state"] -= cursor.execute(OTHER_KEYS).rowcount
    counts["replaced_state"] -= cursor.execute(OTHER_KEYS_BEFORE).rowcount
    return [
        Saved(name, kept, len(found[name].rows) - kept, found[name].unreadable > 0) for name, kept in counts.items()
    ]


def _lacking(cursor: sqlite3.Cursor, found: dict[str, Found], indexed: dict[int, int] | None) -> set[int]:
    """Rooms that lack events, or may."""
    rooms = {number for (number,) in cursor.execute("SELECT id FROM room")}
    stored = {number for (number,) in cursor.execute("SELECT id FROM event")}
    if indexed is not None and not found["gap"].unreadable:
        return {room for event, room in indexed.items() if event not in stored} & rooms
    return rooms if found["event"].unreadable or found["gap"].unreadable else set()


def _mend(cursor: sqlite3.Cursor, saved: list[Saved], lacking: Iterable[int]) -> None:
    """Make derived data anew, and mark what is missing."""
    whole = not any((one.unreadable or one.dropped) and one.table not in _NO_LOSS for one in saved)
    newest = cursor.execute(NEXT_BATCH).fetchone()[0] or 0
    cursor.execute("INSERT OR IGNORE INTO batch (id, kind, received_at) VALUES (?, 'repair', 0)", (max(newest, 1),))
    write = Write(cursor, "repair", int(time.time() * 1000))
    cursor.execute(LAST_PLACES)
    for content, said, *key in cursor.execute(MEMBERS).fetchall():
        meant = membership_of("m.room.member", decode(content))
        if said != meant:
            cursor.execute(SET_MEMBER, (meant, *key))
    cursor.execute(COUNT_MEMBERS)
    for statement in decryption.REBUILD:
        cursor.execute(statement)
    cursor.execute("DELETE FROM direct_room")
    cursor.execute(DIRECT)
    for room in sorted(lacking):
        cursor.execute(DROP_GAPS, (room,))
        cursor.execute(NEW_SEGMENT, (SEGMENT_SPACING, room))
        cursor.execute(WALK_ALL, (write.token, write.batch, room))
        write.touch(room, "gap")
    if not whole:
        cursor.execute("UPDATE room SET members_synced = 0")
        cursor.execute(FREEZE_COVERAGE)
        cursor.execute("DELETE FROM stream")
        cursor.execute("INSERT INTO stream (name, token) VALUES ('sync', NULL)")
        cursor.execute("DELETE FROM device_list")
        cursor.execute(ALL_DEVICE_LISTS, (write.batch,))
    write.derive.update(number for (number,) in cursor.execute("SELECT id FROM room"))
    derive_rooms(write)
    cursor.execute(AFTER_CONSUMERS, (write.batch,))
    write.touch(ACCOUNT, "device")
    write.touch(ACCOUNT, "dropped", "remove")  # whatever was lost, notes too: nobody can say what has changed
    finish_page(write)
