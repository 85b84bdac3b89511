"""What the sender notes about each attempt, before and after it (promise 37).

A row is `sending` from before the request until its outcome is known: whoever finds it so after a crash knows that the
server may have it.
"""

from __future__ import annotations

import sqlite3
import time

from syncstore.model.json_text import decode
from syncstore.model.outgoing import Attempt, Proof
from syncstore.store.connection import Connections
from syncstore.store.outbox import EVER_ENCRYPTED, is_clear_text, tell_waiting
from syncstore.store.write import Write

NEXT = f"""
    SELECT o.id, o.room, r.room_id, o.transaction_id, o.kind, o.type, o.state_key, o.content, o.target, o.attempted_at,
        o.after_segment, o.after_position, o.replaces, {EVER_ENCRYPTED}, r.last_segment, r.last_position
    FROM outgoing o JOIN room r ON r.id = o.room
    WHERE r.room_id = ? AND r.membership = 'join' AND o.status IN ('queued', 'sending') AND o.waits_for IS NULL
    ORDER BY o.id LIMIT 1
"""
KEY_HOLDS = """
    SELECT e.event_id FROM room_state s JOIN event e ON e.id = s.event
    WHERE s.room = ? AND s.type = ? AND s.state_key = ?
"""
MARK = """
    UPDATE outgoing SET status = 'sending', attempts = attempts + 1, attempted_at = coalesce(attempted_at, ?),
        after_segment = ?, after_position = ?, batch = ?
    WHERE id = ?
"""
FIND = "SELECT room, transaction_id, kind FROM outgoing WHERE id = ?"
PARK = "UPDATE outgoing SET status = 'parked', reason = ?, attempted_at = NULL, batch = ? WHERE id = ?"
REQUEUE = "UPDATE outgoing SET status = 'queued', reason = ?, attempted_at = NULL, batch = ? WHERE id = ?"
NOT_KNOWN = "UPDATE outgoing SET reason = ?, batch = ? WHERE id = ?"
ACCEPT = "UPDATE outgoing SET status = 'sent', reason = NULL, event_id = ?, batch = ? WHERE id = ?"
REMOVE = "DELETE FROM outgoing WHERE id = ?"
IS_STORED = "SELECT 1 FROM event WHERE room = ? AND event_id = ?"
# Holes in which the event could lie: above the place that was the newest when it was tried.
HOLES = """
    SELECT status, reason FROM gap
    WHERE room = ? AND status <> 'closed' AND kind <> 'island' AND segment > coalesce(?, segment - 1)
    ORDER BY status = 'open'
"""
OWN_STATES = """
    SELECT e.event_id, e.content FROM event e
    WHERE e.room = ?1 AND e.type = ?2 AND e.state_key = ?3 AND e.sender = (SELECT user_id FROM own_account)
        AND e.segment IS NOT NULL
        AND (?4 IS NULL OR (e.segment, e.position) > (?4, ?5))
    ORDER BY e.segment DESC, e.position DESC
"""

# For so long every server knows a transaction id again: they forget them after a day, some only when they restart.
SAFE_MS = 3_600_000


def begin(connections: Connections, room_id: str) -> Attempt | None:
    """Take a room's next, marked as being sent, on the disk; None if it has none. What must not go is parked."""
    now = int(time.time() * 1000)
    with connections.write(durable=True) as cursor:
        while (row := cursor.execute(NEXT, (room_id,)).fetchone()) is not None:
            attempted_at, after, replaces, encrypted, last = row[9], row[10:12], row[12], row[13], row[14:16]
            first = attempted_at is None
            segment, position = last if first else after
            doubtful = _doubtful(row[4], attempted_at, now)
            attempt = Attempt._make((*row[:9], segment, position, doubtful, first))
            write = Write(cursor, "send", now)
            reason = _obstacle(cursor, attempt, replaces, encrypted=encrypted) if first else None
            if reason is not None:
                _set(write, attempt, PARK, reason)
                continue
            if not attempt.doubtful:
                cursor.execute(MARK, (now, attempt.after_segment, attempt.after_position, write.batch, attempt.id))
                _note(write, attempt)
            return attempt
    return None


def accepted(connections: Connections, attempt: Attempt, event_id: str | None) -> None:
    """The server took it: it waits for its echo, or is done if that has come; event_id None: a receipt."""
    with connections.write(durable=True) as cursor:
        found = cursor.execute(FIND, (attempt.id,)).fetchone()
        if found is None:
            return  # the echo was faster
        write = Write(cursor, "send", int(time.time() * 1000))
        done = event_id is None or cursor.execute(IS_STORED, (attempt.room, event_id)).fetchone() is not None
        if done:
            cursor.execute(REMOVE, (attempt.id,))
        else:
            cursor.execute(ACCEPT, (event_id, write.batch, attempt.id))
        if event_id is not None:
            tell_waiting(write, attempt.room, attempt.transaction_id, event_id)
        _note(write, attempt, "remove" if done else "change")


def rejected(connections: Connections, attempt: Attempt, reason: str) -> None:
    """The server refused it for good: it is parked, and the rest of the room goes on."""
    _write(connections, attempt, PARK, reason)


def not_sent(connections: Connections, attempt: Attempt, reason: str) -> None:
    """This attempt surely did nothing."""
    _write(connections, attempt, REQUEUE if attempt.first else NOT_KNOWN, reason)


def not_known(connections: Connections, attempt: Attempt, reason: str) -> None:
    """Nobody knows whether it arrived."""
    _write(connections, attempt, NOT_KNOWN, reason)


def prove(connections: Connections, attempt: Attempt) -> Proof:
    """After a sync that covers a doubtful attempt: whether it arrived.

    absent: it did not, and may be sent again. found: it did. hole: a gap may hide it. lost: one that nobody can fill
    may; it is parked.
    """
    with connections.write(durable=True) as cursor:
        if cursor.execute(FIND, (attempt.id,)).fetchone() is None:
            return "found"  # its echo came
        write = Write(cursor, "send", int(time.time() * 1000))
        event_id = _own_state(cursor, attempt)
        if event_id is not None:
            cursor.execute(REMOVE, (attempt.id,))
            tell_waiting(write, attempt.room, attempt.transaction_id, event_id)
            _note(write, attempt, "remove")
            return "found"
        hole = cursor.execute(HOLES, (attempt.room, attempt.after_segment)).fetchone()
        if hole is None:
            _set(write, attempt, REQUEUE, None)
            return "absent"
        if hole[0] == "open":
            return "hole"
        _set(write, attempt, PARK, f"it may have been sent: it could lie in a gap ({hole[1]})")
        return "lost"


def _doubtful(kind: str, attempted_at: int | None, now: int) -> bool:
    """Receipts can be sent any number of times; a state event has no transaction id at all."""
    if attempted_at is None or kind == "receipt":
        return False
    # A clock that was set back proves nothing.
    return kind == "state" or not 0 <= now - attempted_at < SAFE_MS


def _obstacle(cursor: sqlite3.Cursor, attempt: Attempt, replaces: str | None, *, encrypted: bool) -> str | None:
    """Why something must not be sent now that could be when it was queued."""
    if is_clear_text(attempt.kind, attempt.type, encrypted):
        return "the room has been encrypted since"
    if replaces is not None:
        row = cursor.execute(KEY_HOLDS, (attempt.room, attempt.type, attempt.state_key)).fetchone()
        holds = None if row is None else row[0]
        if holds != replaces:
            return f"the key no longer holds {replaces} but {holds or 'nothing'}"
    return None


def _own_state(cursor: sqlite3.Cursor, attempt: Attempt) -> str | None:
    """The state event that an attempt made: ours, of its key and content, and later. No transaction id tells it."""
    if attempt.kind != "state":
        return None
    content = decode(attempt.content)
    asked = (attempt.room, attempt.type, attempt.state_key, attempt.after_segment, attempt.after_position)
    found = cursor.execute(OWN_STATES, asked).fetchall()
    return next((event_id for event_id, text in found if decode(text) == content), None)


def _write(connections: Connections, attempt: Attempt, statement: str, reason: str) -> None:
    with connections.write(durable=True) as cursor:
        if cursor.execute(FIND, (attempt.id,)).fetchone() is not None:
            _set(Write(cursor, "send", int(time.time() * 1000)), attempt, statement, reason)


def _set(write: Write, attempt: Attempt, statement: str, reason: str | None) -> None:
    write.cursor.execute(statement, (reason, write.batch, attempt.id))
    _note(write, attempt)


def _note(write: Write, attempt: Attempt, op: str = "change") -> None:
    write.touch(attempt.room, "outbox", op, key=attempt.transaction_id)
    write.write_touched()
