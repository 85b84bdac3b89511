"""Redactions: what they name loses its content wherever that stands, now or when it comes (promise 16).

Run once at the end of a write transaction, over what the transaction brought.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from syncstore.model.json_text import decode_writable as decode
from syncstore.model.json_text import encode
from syncstore.model.redaction import TOP_LEVEL_KEPT, redact_content, redacts_of
from syncstore.model.text import is_text
from syncstore.store.copies import Target, late_copies, name_replaced, note_bundles, strip_copies, strip_event
from syncstore.store.state import NAMING
from syncstore.store.write import Redaction, Write

NEW_REDACTIONS = """
    SELECT room, event_id, redacts, content FROM event
    WHERE id >= ? AND type = 'm.room.redaction' AND redacted_by IS NULL
"""
# CROSS: from what came, never from all that waits.
COME_AT_LAST = """
    SELECT w.room, w.event_id, w.redacted_by
    FROM event e CROSS JOIN waiting_redaction w ON w.room = e.room AND w.event_id = e.event_id WHERE e.id >= ?
"""
WAIT = "INSERT OR IGNORE INTO waiting_redaction (room, event_id, redacted_by, batch) VALUES (?, ?, ?, ?)"
STOP_WAITING = "DELETE FROM waiting_redaction WHERE room = ? AND event_id = ?"
CREATE_CONTENT = """
    SELECT e.content FROM room_state s JOIN event e ON e.id = s.event
    WHERE s.room = ? AND s.type = 'm.room.create' AND s.state_key = ''
"""
TARGET = """
    SELECT id, type, state_key, content, unsigned, extra, redacts, redacted_by FROM event
    WHERE room = ? AND event_id = ?
"""
STRIP = """
    UPDATE event SET content = ?, unsigned = ?, extra = ?, redacts = NULL, rel_type = NULL, relates_to = NULL,
        in_reply_to = NULL, redacted_by = ?, changed = ?
    WHERE id = ?
"""
EMPTY_QUARANTINE = """
    UPDATE quarantined SET raw = NULL, reason = reason || ' (redacted)'
    WHERE event_id = ? AND raw IS NOT NULL AND room_id = (SELECT room_id FROM room WHERE id = ?)
"""
# What came into quarantine now, and was redacted before: the newest rows, for one commit numbers them without a break.
EMPTY_NEW_QUARANTINE = """
    UPDATE quarantined SET raw = NULL, reason = reason || ' (redacted)'
    WHERE id > (SELECT max(id) FROM quarantined) - ? AND raw IS NOT NULL AND event_id IS NOT NULL AND (
        EXISTS (SELECT 1 FROM room r JOIN waiting_redaction w ON w.room = r.id
            WHERE r.room_id = quarantined.room_id AND w.event_id = quarantined.event_id)
        OR EXISTS (SELECT 1 FROM room r JOIN event e ON e.room = r.id
            WHERE r.room_id = quarantined.room_id AND e.event_id = quarantined.event_id
                AND e.redacted_by IS NOT NULL))
"""
IS_REDACTED = """
    SELECT 1 FROM event WHERE room = ?1 AND event_id = ?2 AND redacted_by IS NOT NULL
    UNION ALL SELECT 1 FROM waiting_redaction WHERE room = ?1 AND event_id = ?2
"""

# What the server says about an event, and not the sender: it may stay.
_UNSIGNED_KEPT = {"age", "membership", "redacted_because", "redacted_by", "replaces_state", "transaction_id", "txn_id"}


def apply_redactions(write: Write) -> None:
    """Strip what the events of this transaction name, and what redactions of earlier ones have waited for."""
    if write.brings_copies:
        note_bundles(write)
        name_replaced(write)
    versions: dict[int, str | None] = {}
    for one in _due(write, versions):
        if one.room not in versions:
            versions[one.room] = room_version(write, one.room)
        _redact(write, one, versions[one.room])
    for late in late_copies(write) if write.brings_copies else ():
        if late.room not in versions:
            versions[late.room] = room_version(write, late.room)
        _strip_late(write, late, versions[late.room])
    if write.quarantined_count:
        write.cursor.execute(EMPTY_NEW_QUARANTINE, (write.quarantined_count,))
        write.stripped_count += write.cursor.rowcount


def room_version(write: Write, room: int) -> str | None:
    """The version that the room's create event tells: "1" if it tells none, None if there is no such event."""
    row = write.cursor.execute(CREATE_CONTENT, (room,)).fetchone()
    if row is None:
        return None
    version = decode(row[0]).get("room_version", "1")
    return version if isinstance(version, str) else None


def _due(write: Write, versions: dict[int, str | None]) -> Iterator[Redaction]:
    yield from write.redactions
    found = write.cursor.execute(NEW_REDACTIONS, (write.first_event,)).fetchall() if write.brings_redactions else ()
    for room, event_id, redacts, content in found:
        if room not in versions:
            versions[room] = room_version(write, room)
        target = redacts_of(versions[room], "m.room.redaction", redacts, decode(content))
        if is_text(target):
            yield Redaction(room, target, event_id)
    if write.any_waiting:
        for row in write.cursor.execute(COME_AT_LAST, (write.first_event,)).fetchall():
            yield Redaction(*row)
            write.cursor.execute(STOP_WAITING, row[:2])


def _redact(write: Write, redaction: Redaction, version: str | None) -> None:
    room, event_id, by = redaction
    write.cursor.execute(EMPTY_QUARANTINE, (event_id, room))
    write.stripped_count += write.cursor.rowcount
    target = _target(write, room, event_id)
    if target is None:
        strip_copies(write, room, event_id, None, version)
        write.cursor.execute(WAIT, (room, event_id, by, write.batch))
        return
    if target.redacted_by:
        return
    strip_copies(write, room, event_id, target, version)
    mute = write.cursor.execute(IS_REDACTED, (room, by)).fetchone() is not None
    write.cursor.execute(STRIP, (*stripped(target, version, mute=mute), by, write.batch, target.id))
    write.stripped_count += 1
    write.touch(room, "event", first_row=target.id, last_row=target.id)
    if target.state_key is not None:
        write.touch(room, "state", type=target.type, key=target.state_key, first_row=target.id, last_row=target.id)
    if target.type in NAMING:
        write.derive.add(room)


def _strip_late(write: Write, redaction: Redaction, version: str | None) -> None:
    strip_copies(write, redaction.room, redaction.event_id, _target(write, *redaction[:2]), version)


def _target(write: Write, room: int, event_id: str) -> Target | None:
    row = write.cursor.execute(TARGET, (room, event_id)).fetchone()
    return None if row is None else Target(*row)


def stripped(target: Target, version: str | None, *, mute: bool) -> tuple[str, str | None, str | None]:
    """The content, unsigned and extra that a redaction leaves; `mute` if its own reason was redacted too."""
    content = redact_content(version, target.type, decode(target.content))
    unsigned = None if target.unsigned is None else decode(target.unsigned)
    if mute and isinstance(unsigned, dict):
        strip_event(unsigned.get("redacted_because"), version)
    extra = None if target.extra is None else decode(target.extra)
    return encode(content), _only(unsigned, _UNSIGNED_KEPT), _only(extra, TOP_LEVEL_KEPT)


def _only(value: Any, keys: Set[str]) -> str | None:
    if not isinstance(value, dict):
        return None
    kept = {key: value[key] for key in value if key in keys}
    return encode(kept) if kept else None
