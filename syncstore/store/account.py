"""What a response says of the account itself: presence, to-device messages, device lists, keys, quarantine."""

from __future__ import annotations

from collections.abc import Iterable

from syncstore.model.batch import Bad
from syncstore.model.changes import Changes, PresenceRow, ToDeviceRow
from syncstore.model.json_text import decode
from syncstore.store.ephemeral import write_account_data, write_unknown
from syncstore.store.inbox import SWEEP, digest
from syncstore.store.schema import device_list, direct_room, quarantined, to_device_message, user_presence
from syncstore.store.statement import insert, replace
from syncstore.store.write import ACCOUNT, Write

PUT_PRESENCE = replace(user_presence)
PUT_DEVICE_LIST = replace(device_list)
MARK_ALL_DEVICE_LISTS = "UPDATE device_list SET change = 'changed', batch = ?"
EVERYBODY = "*"
INSERT_TO_DEVICE = insert(to_device_message)
NEWEST_TO_DEVICE = """
    SELECT id, acked, sender, type, content FROM to_device_message
    WHERE batch = (SELECT max(batch) FROM to_device_message) ORDER BY id
"""
DELIVERED_AGAIN = "UPDATE to_device_message SET batch = ? WHERE id = ?"
INSERT_DIRECT = insert(direct_room)
IGNORED_BEFORE = "SELECT content FROM account_datum WHERE room = 0 AND type = 'm.ignored_user_list'"
SET_KEYS = "UPDATE own_account SET one_time_keys = ?, fallback_keys = ?"
INSERT_QUARANTINE = insert(quarantined)
SUSPECT = "UPDATE room SET suspect = ?, suspect_batch = ? WHERE membership = 'join'"


def write_account(write: Write, changes: Changes, *, snapshot: bool, first: bool) -> None:
    """Everything of a response that belongs to no room. first: no token was stored; messages may be, after a repair."""
    if changes.ignored is not None and not _ignored_before(write) <= changes.ignored:
        # Their events were left out without a mark: the holes have no token (promise 19).
        mark_suspect(write, "users are no longer ignored: their events of the time between are missing")
    if changes.account_data:
        write_account_data(write, ACCOUNT, changes.account_data)
    if changes.unknown:
        write_unknown(write, ACCOUNT, changes.unknown)
    if changes.direct is not None:
        write.cursor.execute("DELETE FROM direct_room")
        write.cursor.executemany(INSERT_DIRECT, changes.direct)
    _presence(write, changes.presence)
    _to_device(write, changes.to_device, snapshot=snapshot)
    _device_lists(write, changes.device_lists, snapshot=snapshot and not first)
    _keys(write, changes.one_time_keys, changes.fallback_keys)
    write_quarantine(write, changes.bad)


def mark_suspect(write: Write, reason: str) -> None:
    """Name a hole that no token shows, in every room it may concern."""
    write.cursor.execute(SUSPECT, (reason, write.batch))
    write.touch(ACCOUNT, "suspects")


def write_quarantine(write: Write, bad: Iterable[Bad]) -> None:
    """Keep what could not be read with its bytes: as text where it is text, else as they are."""
    rows = [(None, write.batch, one.room_id, one.section, one.event_id, one.code, one.reason, _raw(one)) for one in bad]
    if rows:
        write.cursor.executemany(INSERT_QUARANTINE, rows)
        write.quarantined_count += len(rows)
        write.touch(ACCOUNT, "quarantine")


def _raw(bad: Bad) -> str | bytes:
    try:
        text = bad.raw.decode()
    except UnicodeDecodeError:
        return bad.raw
    return bad.raw if "\0" in text else text


def _ignored_before(write: Write) -> set[str]:
    row = write.cursor.execute(IGNORED_BEFORE).fetchone()
    users = decode(row[0]).get("ignored_users") if row else None
    return set(users) if isinstance(users, dict) else set()


def _presence(write: Write, rows: list[PresenceRow]) -> None:
    if rows:
        values = [
            (
                row.user_id,
                row.presence,
                None if row.last_active_ago is None else write.now - row.last_active_ago,
                row.status_msg,
                row.content,
                write.batch,
            )
            for row in rows
        ]
        write.cursor.executemany(PUT_PRESENCE, values)
        write.touch(ACCOUNT, "presence")


def _to_device(write: Write, rows: list[ToDeviceRow], *, snapshot: bool) -> None:
    """Store to-device messages, once each.

    A snapshot repeats those that no request has acknowledged, and they have no ids: one that equals a message of the
    newest stored batch of them is that message (promise 4). It moves to this batch: the next snapshot may repeat it.
    """
    known: dict[tuple[str, str, str], list[int]] = {}
    if snapshot and rows:
        for number, acked, sender, type_, content in write.cursor.execute(NEWEST_TO_DEVICE).fetchall():
            known.setdefault((sender, type_, content if acked else digest(content)), []).append(number)
    values: list[tuple[object, ...]] = []
    for row in rows:
        if known and (same := known.get((row.sender, row.type, digest(row.content)))):
            write.cursor.execute(DELIVERED_AGAIN, (write.batch, same.pop(0)))
        else:
            values.append((None, *row, write.batch, 0))
    if values:
        write.cursor.executemany(INSERT_TO_DEVICE, values)
        write.cursor.execute(SWEEP)  # no snapshot can repeat the older ones any more
        write.touch(ACCOUNT, "to_device")


def _device_lists(write: Write, rows: list[tuple[str, str]], *, snapshot: bool) -> None:
    """Whose devices changed; after a snapshot everybody's did, for the changes in between were never told."""
    if snapshot:
        write.cursor.execute(MARK_ALL_DEVICE_LISTS, (write.batch,))
        rows = [(EVERYBODY, "changed"), *rows]
    if rows:
        write.cursor.executemany(PUT_DEVICE_LIST, [(*row, write.batch) for row in rows])
        write.touch(ACCOUNT, "device_lists")


def _keys(write: Write, one_time: str | None, fallback: str | None) -> None:
    """Key counts come with every answer: only a change is worth a commit."""
    had_one_time, had_fallback = write.keys
    after = (had_one_time if one_time is None else one_time, had_fallback if fallback is None else fallback)
    if after != write.keys:
        write.cursor.execute(SET_KEYS, after)
        _ = write.batch  # a changed count is news: it gets its row in batches
        write.touch(ACCOUNT, "device_keys")
