"""Receipts, typing, unread counts, account data, unknown keys: rows that replace their predecessor."""

from __future__ import annotations

from collections.abc import Iterable

from syncstore.model.changes import ContentRow, ReceiptRow, RoomChanges
from syncstore.store.room import RoomRow
from syncstore.store.schema import account_datum, receipt, thread_count, typist, unknown_key
from syncstore.store.statement import insert, replace
from syncstore.store.write import Write

PUT_RECEIPT = replace(receipt)
PUT_ACCOUNT_DATA = replace(account_datum)
PUT_UNKNOWN = replace(unknown_key)
INSERT_TYPIST = insert(typist)
CLEAR_TYPISTS = "DELETE FROM typist WHERE room = ?"
INSERT_THREAD = insert(thread_count)
CLEAR_THREADS = "DELETE FROM thread_count WHERE room = ?"


def write_beside(write: Write, row: RoomRow, changes: RoomChanges) -> None:
    """Everything of a room entry that is neither state nor timeline."""
    if changes.receipts:
        _receipts(write, row.id, changes.receipts)
    if changes.typing is not None:
        _typing(write, row.id, changes.typing)
    elif changes.section != "join":
        clear_typing(write, row.id)  # nobody tells us any more when they stop
    _unread(write, row, changes)
    if changes.account_data:
        write_account_data(write, row.id, changes.account_data)
    if changes.unknown:
        write_unknown(write, row.id, changes.unknown)


def write_account_data(write: Write, room: int, rows: Iterable[ContentRow]) -> None:
    """Account data of a room, or of the account itself (room 0)."""
    values = [(room, row.name, row.content, row.odd, write.batch) for row in rows]
    write.cursor.executemany(PUT_ACCOUNT_DATA, values)
    for _, name, *_ in values:
        write.touch(room, "account_data", type=name)


def write_unknown(write: Write, room: int, rows: Iterable[ContentRow]) -> None:
    """Keys that this version does not know: the newest value of each is kept."""
    values = [(room, row.name, row.content, write.batch) for row in rows]
    write.cursor.executemany(PUT_UNKNOWN, values)
    write.touch(room, "unknown")


def clear_typing(write: Write, room: int) -> None:
    """Nobody types in this room, as far as we can know."""
    write.cursor.execute(CLEAR_TYPISTS, (room,))
    if write.cursor.rowcount:
        write.touch(room, "typing")


def _receipts(write: Write, room: int, rows: list[ReceiptRow]) -> None:
    batch = write.batch
    write.cursor.executemany(PUT_RECEIPT, [(room, *row, batch) for row in rows])
    write.touch(room, "receipts")


def _typing(write: Write, room: int, users: list[str]) -> None:
    write.cursor.execute(CLEAR_TYPISTS, (room,))
    batch = write.batch
    write.cursor.executemany(INSERT_TYPIST, [(room, user, batch) for user in users])
    write.touch(room, "typing")


def _unread(write: Write, row: RoomRow, changes: RoomChanges) -> None:
    """Unread counts; a server that counts per thread sends all threads that have any, so the others have none."""
    if changes.unread is None and changes.thread_unread is None:
        return
    if changes.unread is not None:
        notifications, highlights = changes.unread
        row.notification_count = notifications or 0
        row.highlight_count = highlights or 0
    threads = changes.thread_unread
    if threads or row.counts_threads:
        write.cursor.execute(CLEAR_THREADS, (row.id,))
        batch = write.batch
        rows = [(row.id, thread, *counts, batch) for thread, counts in (threads or {}).items()]
        write.cursor.executemany(INSERT_THREAD, rows)
        row.counts_threads = bool(threads)
        write.touch(row.id, "unread")
