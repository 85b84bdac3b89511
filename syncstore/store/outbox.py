"""The outbox as its owner fills it: queue, retry, cancel, drafts (promise 37). What sends it is in sending.py."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from syncstore.errors import ContentError, NotFoundError, OutboxError
from syncstore.model.json_text import decode, encode
from syncstore.model.outgoing import Outgoing
from syncstore.model.relation import targets_of, with_target
from syncstore.model.text import is_text
from syncstore.store.connection import Connections
from syncstore.store.query.outbox import one
from syncstore.store.schema import outgoing
from syncstore.store.statement import insert
from syncstore.store.write import Write

QUEUE = insert(outgoing)
# Once encrypted, always encrypted: a redaction may empty the event that says so, and a restated room may lack it.
EVER_ENCRYPTED = """
    (EXISTS (SELECT 1 FROM room_state WHERE room = r.id AND type = 'm.room.encryption' AND state_key = '')
    OR EXISTS (SELECT 1 FROM replaced_state WHERE room = r.id AND type = 'm.room.encryption' AND state_key = ''))
"""
ROOM = "SELECT r.id," + EVER_ENCRYPTED + "FROM room r WHERE r.room_id = ?"
PENDING = "SELECT id, event_id FROM outgoing WHERE room = ? AND transaction_id = ?"
BY_TRANSACTION = "SELECT event_id FROM event WHERE room = ? AND transaction_id = ?"
OLDER_RECEIPTS = """
    DELETE FROM outgoing WHERE room = ? AND kind = 'receipt' AND type = ? AND content = ? AND status <> 'sending'
"""
FIND = "SELECT id, room, status, event_id, attempted_at FROM outgoing WHERE transaction_id = ?"
UNPARK = "UPDATE outgoing SET status = 'queued', reason = NULL, attempted_at = NULL, batch = ? WHERE id = ?"
DROP = "DELETE FROM outgoing WHERE id = ?"
# More than those that name it: its id may stand in a text.
MENTIONS = """
    SELECT id, transaction_id, content, target FROM outgoing
    WHERE room = ?1 AND transaction_id <> ?2 AND (target = ?2 OR instr(content, ?2))
"""
AIM = "UPDATE outgoing SET content = ?, target = ?, waits_for = ?, batch = ? WHERE id = ?"
SET_DRAFT = "INSERT OR REPLACE INTO draft (room, content, updated_at, batch) VALUES (?, ?, ?, ?)"
DROP_DRAFT = "DELETE FROM draft WHERE room = ?"

# Servers refuse longer ones; so do we, before anybody waits for it (Client-Server API, Size limits).
_LONGEST_NAME = 255
# What goes in the clear in an encrypted room: reactions and redactions are sent so by every client.
_CLEAR = {"m.room.encrypted", "m.reaction"}


class Wanted(NamedTuple):
    """What shall be sent. `target` of a redaction or receipt; of an event its content tells it."""

    room_id: str
    kind: str
    type: str
    content: Mapping[str, Any]
    state_key: str | None = None
    target: str | None = None
    replaces: str | None = None


def queue(connections: Connections, wanted: Wanted) -> Outgoing:
    """Put something into the outbox, on the disk when this returns.

    Raises NotFoundError (no such room or target), ContentError (no JSON), OutboxError (an encrypted room).
    """
    text = _checked(wanted)
    with connections.write(durable=True) as cursor:
        room = _room(cursor, wanted)
        write = _begin(cursor)
        transaction_id = secrets.token_urlsafe(16)
        if wanted.kind == "receipt":
            cursor.execute(OLDER_RECEIPTS, (room, wanted.type, text))
        target = wanted.target or next(iter(targets_of(wanted.content)), None)
        content, target, waits_for = _aimed(cursor, room, text, target)
        row = (None, room, transaction_id, wanted.kind, wanted.type, wanted.state_key, content, target, waits_for)
        unsent = (wanted.replaces, "queued", None, 0, None, None, None, None)
        cursor.execute(QUEUE, (*row, *unsent, write.now, write.batch))
        _note(write, room, transaction_id, "add")
        found = one(cursor, transaction_id)
    assert found is not None
    return found


def is_clear_text(kind: str, type: str, encrypted: bool) -> bool:
    """Whether this would show an encrypted room's text to the server."""
    return encrypted and kind == "event" and type not in _CLEAR


def retry(connections: Connections, transaction_id: str) -> None:
    """Queue something again that was parked. NotFoundError if it is not in the outbox; nothing if it is not parked."""
    with connections.write(durable=True) as cursor:
        number, room, status, _, _ = _find(cursor, transaction_id)
        if status == "parked":
            write = _begin(cursor)
            cursor.execute(UNPARK, (write.batch, number))
            _note(write, room, transaction_id)


def cancel(connections: Connections, transaction_id: str) -> list[str]:
    """Take something out of the outbox, with what waits for it; the transaction ids of all.

    Raises NotFoundError, OutboxError if it may have reached the server.
    """
    with connections.write(durable=True) as cursor:
        number, room, status, event_id, attempted_at = _find(cursor, transaction_id)
        if event_id is not None or (status != "parked" and attempted_at is not None):
            raise OutboxError(f"{transaction_id} may have reached the server: it can be redacted, not cancelled")
        write = _begin(cursor)
        gone = _drop(write, room, number, transaction_id)
        write.write_touched()
        return gone


def tell_waiting(write: Write, room: int, transaction_id: str, event_id: str) -> None:
    """What names an event that has got its id names that now."""
    for number, waiting, text, target in write.cursor.execute(MENTIONS, (room, transaction_id)).fetchall():
        content = encode(with_target(decode(text), transaction_id, event_id))
        aimed = _aimed(write.cursor, room, content, event_id if target == transaction_id else target)
        write.cursor.execute(AIM, (*aimed, write.batch, number))
        write.touch(room, "outbox", key=waiting)


def set_draft(connections: Connections, room_id: str, content: Mapping[str, Any] | None) -> None:
    """Keep what is being written in a room; None: nothing any more."""
    text = None if content is None else _json(content, "the draft")
    with connections.write() as cursor:
        row = cursor.execute(ROOM, (room_id,)).fetchone()
        if row is None:
            raise NotFoundError(f"the store has no room {room_id}")
        write = Write(cursor, "send", int(time.time() * 1000))
        if text is None:
            cursor.execute(DROP_DRAFT, (row[0],))
        else:
            cursor.execute(SET_DRAFT, (row[0], text, write.now, write.batch))
        write.touch(row[0], "draft")
        write.write_touched()


def _begin(cursor: sqlite3.Cursor) -> Write:
    return Write(cursor, "send", int(time.time() * 1000))


def _note(write: Write, room: int, transaction_id: str, op: str = "change") -> None:
    write.touch(room, "outbox", op, key=transaction_id)
    write.write_touched()


def _checked(wanted: Wanted) -> str:
    for what, name in (("type", wanted.type), ("state key", wanted.state_key or ""), ("target", wanted.target or "")):
        if not is_text(name) or len(name.encode()) > _LONGEST_NAME or "\0" in name:
            raise ContentError(f"{what} {name[:50]!a}: expected a text of at most {_LONGEST_NAME} bytes")
    return _json(wanted.content, wanted.type)


def _json(content: Mapping[str, Any], what: str) -> str:
    try:
        return json.dumps(dict(content), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ContentError(f"content of {what} is no JSON object: {error}") from None


def _room(cursor: sqlite3.Cursor, wanted: Wanted) -> int:
    row = cursor.execute(ROOM, (wanted.room_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"the store has no room {wanted.room_id}")
    number, encrypted = row
    if is_clear_text(wanted.kind, wanted.type, encrypted):
        raise OutboxError(f"room {wanted.room_id} is encrypted: encrypt {wanted.type}, and send it as m.room.encrypted")
    return int(number)


def _aimed(cursor: sqlite3.Cursor, room: int, text: str, target: str | None) -> tuple[str, str | None, int | None]:
    """Content and target with event ids wherever they are known, and the row that must be sent before.

    A target is an event id, or the transaction id of something of ours.
    """
    content = decode(text)
    waits_for: int | None = None
    for named in dict.fromkeys([*targets_of(content), *([] if target is None else [target])]):
        event_id, row = _known(cursor, room, named)
        if row is not None:
            waits_for = max(row, waits_for or 0)
        elif event_id != named:
            text = encode(with_target(content, named, event_id))
            content = decode(text)
            target = event_id if target == named else target
    return text, target, waits_for


def _known(cursor: sqlite3.Cursor, room: int, named: str) -> tuple[str, int | None]:
    row = cursor.execute(PENDING, (room, named)).fetchone()
    if row is not None:
        number, event_id = row
        return (named, number) if event_id is None else (event_id, None)
    row = cursor.execute(BY_TRANSACTION, (room, named)).fetchone()
    if row is not None:
        return row[0], None
    if not named.startswith("$"):
        raise NotFoundError(f"{named} is no event id, and nothing of this room goes or went under it")
    return named, None


def _find(cursor: sqlite3.Cursor, transaction_id: str) -> tuple[int, int, str, str | None, int | None]:
    row = cursor.execute(FIND, (transaction_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"{transaction_id} is not in the outbox")
    number, room, status, event_id, attempted_at = row
    return number, room, status, event_id, attempted_at


def _drop(write: Write, room: int, number: int, transaction_id: str) -> list[str]:
    gone = [transaction_id]
    for waiting, its_id, text, target in write.cursor.execute(MENTIONS, (room, transaction_id)).fetchall():
        if transaction_id in (target, *targets_of(decode(text))):
            gone += _drop(write, room, waiting, its_id)
    write.cursor.execute(DROP, (number,))
    write.touch(room, "outbox", "remove", key=transaction_id)
    return gone
