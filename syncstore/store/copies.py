"""Copies of one event inside another's `unsigned`: the state it replaced, relations bundled with it, its redaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from syncstore.model.json_text import decode_writable as decode
from syncstore.model.json_text import encode
from syncstore.model.redaction import TOP_LEVEL_KEPT, redact_content, redacts_of
from syncstore.model.text import is_text
from syncstore.store.write import Redaction, Write

INSERT_BUNDLED = "INSERT OR IGNORE INTO bundled_copy (room, event_id, event) VALUES (?, ?, ?)"
REPLACED_BY = "SELECT id, type, unsigned FROM event WHERE room = ? AND replaces = ? AND unsigned IS NOT NULL"
REPLACED_UNTOLD = """
    SELECT id, unsigned FROM event
    WHERE room = ? AND replaces = '' AND type = ? AND state_key = ? AND unsigned IS NOT NULL
"""
BUNDLED_IN = """
    SELECT e.id, e.unsigned FROM bundled_copy b JOIN event e ON e.id = b.event
    WHERE b.room = ? AND b.event_id = ? AND e.unsigned IS NOT NULL
"""
REDACTED_BY = "SELECT id, unsigned FROM event WHERE room = ? AND event_id = ? AND unsigned IS NOT NULL"
NAME_REPLACED = """
    UPDATE event SET replaces = coalesce((
        SELECT t.event_id FROM replaced_state h JOIN event t ON t.id = h.event
        WHERE h.room = event.room AND h.type = event.type AND h.state_key = event.state_key
            AND h.until_event_id = event.event_id), replaces)
    WHERE id = ? AND replaces = ''
"""
SET_UNSIGNED = "UPDATE event SET unsigned = ?, changed = ? WHERE id = ?"
# Events in a range of row ids that carry what was stripped before they came, or waits to be.
LATE_COPIES = """
    SELECT t.room, t.event_id, t.redacted_by
    FROM event e JOIN event t ON t.room = e.room AND t.event_id = e.replaces
    WHERE e.id BETWEEN ? AND ? AND e.replaces > '' AND t.redacted_by IS NOT NULL
    UNION
    SELECT t.room, t.event_id, t.redacted_by
    FROM bundled_copy b JOIN event t ON t.room = b.room AND t.event_id = b.event_id
    WHERE b.event BETWEEN ? AND ? AND t.redacted_by IS NOT NULL
    UNION
    SELECT w.room, w.event_id, w.redacted_by
    FROM event e JOIN waiting_redaction w ON w.room = e.room AND w.event_id = e.replaces
    WHERE e.id BETWEEN ? AND ? AND e.replaces > ''
    UNION
    SELECT w.room, w.event_id, w.redacted_by
    FROM bundled_copy b JOIN waiting_redaction w ON w.room = b.room AND w.event_id = b.event_id
    WHERE b.event BETWEEN ? AND ?
"""


class Target(NamedTuple):
    """A stored event that is to be stripped."""

    id: int
    type: str
    state_key: str | None
    content: str
    unsigned: str | None
    extra: str | None
    redacts: str | None
    redacted_by: str | None


def name_replaced(write: Write) -> None:
    """Where prev_content came without the id of what it replaced, the pile's history tells it."""
    write.cursor.executemany(NAME_REPLACED, [(one,) for one in write.untold])


def note_bundles(write: Write) -> None:
    """Remember which events stand whole inside others, so that a redaction finds them."""
    rows = [
        (room, event_id, event)
        for room, event, unsigned in write.bundles
        for event_id in _bundled_ids(decode(unsigned))
    ]
    write.cursor.executemany(INSERT_BUNDLED, rows)


def late_copies(write: Write) -> list[Redaction]:
    """Redacted events whose content came again inside an event of this transaction."""
    ranges = [(write.first_event, write.next_event), *((one, one) for one in write.renewed)]
    return [Redaction(*row) for one in ranges for row in write.cursor.execute(LATE_COPIES, one * 4).fetchall()]


def strip_copies(write: Write, room: int, event_id: str, target: Target | None, version: str | None) -> None:
    """Strip every copy of an event that stands in another's unsigned. target: the event as stored, if it is."""
    for id_, unsigned in write.cursor.execute(BUNDLED_IN, (room, event_id)).fetchall():
        _rewrite(write, id_, unsigned, lambda notes: _strip_bundled(notes, event_id, version))
    for id_, type_, unsigned in write.cursor.execute(REPLACED_BY, (room, event_id)).fetchall():
        _rewrite(write, id_, unsigned, _prev_content_of(type_, version))
    if target is None:
        return
    _strip_untold(write, room, target, version)
    struck = redacts_of(version, target.type, target.redacts, decode(target.content))
    if is_text(struck):
        for id_, unsigned in write.cursor.execute(REDACTED_BY, (room, struck)).fetchall():
            _rewrite(write, id_, unsigned, lambda notes: strip_event(notes.get("redacted_because"), version))


def _prev_content_of(type_: str, version: str | None) -> Callable[[dict[str, Any]], bool]:
    """What strips the content of the state event before, which the next one of its key carries."""

    def strip(notes: dict[str, Any]) -> bool:
        return _replace(notes, "prev_content", redact_content(version, type_, notes.get("prev_content") or {}))

    return strip


def _strip_untold(write: Write, room: int, target: Target, version: str | None) -> None:
    """A prev_content without the id of what it replaced: its being equal tells."""
    if target.state_key is None:
        return
    old = decode(target.content)
    for id_, unsigned in write.cursor.execute(REPLACED_UNTOLD, (room, target.type, target.state_key)).fetchall():
        if decode(unsigned).get("prev_content") == old:
            _rewrite(write, id_, unsigned, _prev_content_of(target.type, version))


def _rewrite(write: Write, id_: int, unsigned: str, strip: Callable[[dict[str, Any]], bool]) -> None:
    notes = decode(unsigned)
    if isinstance(notes, dict) and strip(notes):
        write.cursor.execute(SET_UNSIGNED, (encode(notes), write.batch, id_))
        write.stripped_count += 1


def _strip_bundled(value: Any, event_id: str, version: str | None) -> bool:
    """Strip each copy of the event anywhere inside a value; True if one was found."""
    found = False
    for event in list(_events_in(value)):
        if event.get("event_id") == event_id:
            found |= strip_event(event, version)
    return found


def strip_event(event: Any, version: str | None) -> bool:
    """Strip one copy, a whole event as an object; True if that changed it."""
    if not isinstance(event, dict):
        return False
    changed = _replace(event, "content", redact_content(version, str(event.get("type")), event.get("content") or {}))
    for key in event.keys() - TOP_LEVEL_KEPT:
        del event[key]
        changed = True
    return changed


def _replace(holder: dict[str, Any], key: str, value: object) -> bool:
    if key not in holder or holder[key] == value:
        return False
    holder[key] = value
    return True


def _bundled_ids(notes: Any) -> Iterator[str]:
    relations = notes.get("m.relations") if isinstance(notes, dict) else None
    for event in _events_in(relations):
        if isinstance(event["event_id"], str) and event["event_id"].isprintable():
            yield event["event_id"]


def _events_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every object with an event_id and a content inside a value, at any depth."""
    if isinstance(value, dict):
        if "event_id" in value and "content" in value:
            yield value
        for inner in value.values():
            yield from _events_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _events_in(inner)
