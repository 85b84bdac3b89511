"""What an owner does to a store: forget a room, take it to a new login, copy it, keep a filter's id."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

from syncstore.errors import NotFoundError, StoreError, StoreLockedError
from syncstore.store import search
from syncstore.store.connection import Connections
from syncstore.store.durable import to_disk
from syncstore.store.failures import failures
from syncstore.store.query.account import file_bytes
from syncstore.store.write import ACCOUNT, Write

ROOM_NUMBER = "SELECT id FROM room WHERE room_id = ?"
# Children before parents: foreign keys hold inside the transaction too.
FORGET = (
    "DELETE FROM bundled_copy WHERE room = ?",
    "DELETE FROM room_state WHERE room = ?",
    "DELETE FROM replaced_state WHERE room = ?",
    "DELETE FROM stripped_state WHERE room = ?",
    "DELETE FROM gap WHERE room = ?",
    "DELETE FROM account_datum WHERE room = ?",
    "DELETE FROM unknown_key WHERE room = ?",
    "DELETE FROM receipt WHERE room = ?",
    "DELETE FROM thread_count WHERE room = ?",
    "DELETE FROM typist WHERE room = ?",
    "DELETE FROM waiting_redaction WHERE room = ?",
    "DELETE FROM outgoing WHERE room = ?",
    "DELETE FROM draft WHERE room = ?",
    "DELETE FROM decrypted WHERE event IN (SELECT id FROM event WHERE room = ?)",
    "DELETE FROM undecrypted WHERE event IN (SELECT id FROM event WHERE room = ?)",
    "DELETE FROM event WHERE room = ?",
    "DELETE FROM touched WHERE room = ?",
    "DELETE FROM quarantined WHERE room_id = (SELECT room_id FROM room WHERE id = ?)",
    "DELETE FROM room WHERE id = ?",
)
# While joined the coverage token is the store's own: with a new login that token is gone, so it is kept per room.
FREEZE_COVERAGE = """
    UPDATE room SET covered_to = (SELECT token FROM stream WHERE name = 'sync'),
        covered_batch = (SELECT coalesce(max(id), 0) + 1 FROM batch)
    WHERE membership = 'join' AND covered_to IS NULL
"""
# Transaction ids are per device: no echo will tell the new one what became of these.
REBIND = (
    """
    UPDATE outgoing SET status = 'parked', attempted_at = NULL, reason = 'it may have been sent, by the device before'
    WHERE status = 'sending' AND kind IN ('event', 'redaction')
    """,
    "UPDATE stream SET token = NULL WHERE name = 'sync'",
    "DELETE FROM to_device_done",
    "DELETE FROM to_device_message",
    "DELETE FROM server_filter",
    "DELETE FROM device_list",
)
NEW_DEVICE = "UPDATE own_account SET device_id = ?, one_time_keys = NULL, fallback_keys = NULL"
ALL_DEVICE_LISTS = "INSERT OR REPLACE INTO device_list (user_id, change, batch) VALUES ('*', 'changed', ?)"
SET_HOMESERVER = "UPDATE own_account SET homeserver = ?, device_id = coalesce(device_id, ?)"
KEEP_FILTER = "INSERT OR REPLACE INTO server_filter (definition, filter_id) VALUES (?, ?)"


def forget(connections: Connections, room_id: str) -> None:
    """Delete everything the store holds of a room; its bytes leave the file at the next truncating checkpoint."""
    with connections.write() as cursor:
        row = cursor.execute(ROOM_NUMBER, (room_id,)).fetchone()
        if row is None:
            raise NotFoundError(f"the store has no room {room_id}")
        write = Write(cursor, "prune", int(time.time() * 1000))
        write.touch(ACCOUNT, "room", "remove")  # its id is forgotten too
        # First: the newest number of the feed must never go, for it would be given again.
        write.write_touched()
        for statement in FORGET:
            cursor.execute(statement, row)
    search.purge(connections)
    connections.checkpoint()


def rebind(connections: Connections, device_id: str) -> None:
    """Take the file to a new login of the same user: the next sync is initial, what belonged to the device is gone."""
    with connections.write(durable=True) as cursor:
        write = Write(cursor, "repair", int(time.time() * 1000))
        cursor.execute(FREEZE_COVERAGE)
        for statement in REBIND:
            cursor.execute(statement)
        cursor.execute(NEW_DEVICE, (device_id,))
        cursor.execute(ALL_DEVICE_LISTS, (write.batch,))
        write.touch(ACCOUNT, "device")
        write.write_touched()


def bind(connections: Connections, homeserver: str, device_id: str | None) -> None:
    """Note where the account lives, and its device if the store does not know it yet."""
    with connections.write() as cursor:
        cursor.execute(SET_HOMESERVER, (homeserver, device_id))


def keep_filter(connections: Connections, definition: str, filter_id: str) -> None:
    """Remember under which id the server keeps a filter."""
    with connections.write() as cursor:
        cursor.execute(KEEP_FILTER, (definition, filter_id))


def drop_filter(connections: Connections, filter_id: str) -> None:
    """Forget an id that the server no longer knows."""
    with connections.write() as cursor:
        cursor.execute("DELETE FROM server_filter WHERE filter_id = ?", (filter_id,))


def compact(connections: Connections) -> tuple[int, int]:
    """Give free space back to the disk; redacted bytes are then gone from file and WAL: (bytes before, after).

    Raises StoreLockedError if a reader keeps the old pages for too long: nothing is lost, only not yet given back.
    """
    before = file_bytes(connections.path)
    with connections.write() as cursor:
        search.drop(cursor)
    if not connections.vacuum():
        raise StoreLockedError(f"{connections.path} is being read: its old pages cannot be given back yet, try again")
    return before, file_bytes(connections.path)


def backup(connections: Connections, target: Path) -> None:
    """A consistent copy of the file as of now, compact, readable for its owner alone. Never overwrites."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}") from None
    try:
        with failures(target):
            connections.copy_to(target.absolute())  # absolute: SQLite takes file:… for a URL, and makes another file
        with closing(Connections(target, key=connections.key)) as copy:
            search.purge(copy)  # nobody else may be in the way there
        to_disk(target)  # VACUUM INTO does not
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StoreError(f"{target} cannot be written: {error.strerror}") from None
        raise
