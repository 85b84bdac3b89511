"""One room of a response: its state block, its timeline and everything beside them.

The three forms differ here and nowhere else: where the events lie (inline, or ids into event_map), and as of which
moment the state block speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from syncstore.model.batch import Bad, Form, RoomEntry, RoomEvent, Section, StateAsOf
from syncstore.wire.content import BadPart, Source
from syncstore.wire.entry import Heroes, Unread, quick_entry, summary, threads
from syncstore.wire.event import checked_id, room_event, split_object
from syncstore.wire.parts import quarantine, split_list, typed_events

STATE_AFTER = frozenset({"state_after", "org.matrix.msc4222.state_after"})
_AS_OF: dict[Form, StateAsOf] = {"v3": "start", "state_after": "after", "2015": "2015"}
_STRIPPED = {"invite_state", "knock_state"}
_STRING = msgspec.json.Decoder(str)
_BOOL = msgspec.json.Decoder(bool)
_T = TypeVar("_T")


_UNREAD = msgspec.json.Decoder(Unread)
_THREADS = msgspec.json.Decoder(dict[str, Unread])
_SUMMARY = msgspec.json.Decoder(Heroes)


def parse_room(source: Source, room_id: str, section: Section, raw: msgspec.Raw, form: Form) -> RoomEntry:
    """One entry of rooms.join, leave, invite or knock (or the names of 2015)."""
    if form != "2015" and not source.masked:
        quick = quick_entry(source, room_id, section, raw, _AS_OF[form])
        if quick is not None:
            return quick
    entry = RoomEntry(room_id, section, state_as_of=_AS_OF[form])
    # Until it is read: an entry or a timeline that cannot be is a hole that must be seen (promise 12).
    entry.limited = section in ("join", "leave")
    with quarantine(entry.bad, source, raw, f"rooms.{section}", room_id):
        keys = split_object(raw)
        entry.limited = False
        event_map = _event_map(entry, source, keys)
        for key, part in keys.items():
            with quarantine(entry.bad, source, part, key, room_id):
                _part(entry, source, key, part, event_map)
    return entry


def _event_map(entry: RoomEntry, source: Source, keys: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw] | None:
    """The events of the 2015 form by id, each to be parsed when a list names it; None in today's forms."""
    raw = keys.pop("event_map", None)
    if raw is None:
        return {} if entry.state_as_of == "2015" and _lists_ids(keys) else None
    with quarantine(entry.bad, source, raw, "event_map", entry.room_id):
        return split_object(raw)
    return {}


def _lists_ids(keys: dict[str, msgspec.Raw]) -> bool:
    return "state" in keys or "timeline" in keys


def _part(
    entry: RoomEntry, source: Source, key: str, raw: msgspec.Raw, event_map: dict[str, msgspec.Raw] | None
) -> None:
    if key == "timeline":
        _timeline(entry, source, raw, event_map)
    elif key == "state" or key in STATE_AFTER:
        if key in STATE_AFTER:
            entry.state_as_of = "after"
        entry.state += _events(entry, source, split_object(raw).get("events"), "state", event_map)
    elif key in _STRIPPED:
        entry.stripped = typed_events(entry.bad, source, raw, key, entry.room_id)
    elif key == "account_data":
        entry.account_data = typed_events(entry.bad, source, raw, key, entry.room_id)
    elif key == "ephemeral":
        entry.ephemeral = typed_events(entry.bad, source, raw, key, entry.room_id)
    elif key in _COUNTS:
        if source.covered(raw):
            raise BadPart("bad_text", f"{key} holds text that is not valid")
        _COUNTS[key](entry, raw)
    else:
        entry.unknown.append((checked_id(source, "key", key), source.text(raw)))


def _timeline(entry: RoomEntry, source: Source, raw: msgspec.Raw, event_map: dict[str, msgspec.Raw] | None) -> None:
    entry.has_timeline = entry.limited = True
    keys = split_object(raw)
    entry.prev_batch = _plain(entry, source, keys, "prev_batch", _STRING, None) or None
    limited = _plain(entry, source, keys, "limited", _BOOL, True)
    listed = [] if (events := keys.get("events")) is None else split_list(events)
    entry.limited = bool(limited)
    entry.timeline = _read(entry, source, listed, "timeline", event_map)


def _plain(
    entry: RoomEntry,
    source: Source,
    keys: dict[str, msgspec.Raw],
    name: str,
    decoder: msgspec.json.Decoder[_T],
    unreadable: _T | None,
) -> _T | None:
    raw = keys.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    with quarantine(entry.bad, source, raw, f"timeline.{name}", entry.room_id):
        try:
            value = decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeError):
            raise BadPart("wrong_type", f"timeline.{name} is not of its type") from None
        if source.covered(raw):
            raise BadPart("bad_text", f"timeline.{name} is not valid text")
        return value
    return unreadable


def _events(
    entry: RoomEntry,
    source: Source,
    raw: msgspec.Raw | None,
    section: str,
    event_map: dict[str, msgspec.Raw] | None,
) -> list[RoomEvent]:
    if raw is None:
        return []
    with quarantine(entry.bad, source, raw, section, entry.room_id):
        return _read(entry, source, split_list(raw), section, event_map)
    return []


def _read(
    entry: RoomEntry,
    source: Source,
    items: Iterable[msgspec.Raw],
    section: str,
    event_map: dict[str, msgspec.Raw] | None,
) -> list[RoomEvent]:
    if event_map is None:
        return room_events(entry.bad, source, items, section, entry.room_id)
    return _mapped_events(entry, source, items, section, event_map)


def room_events(
    bad: list[Bad], source: Source, items: Iterable[msgspec.Raw], section: str, room_id: str | None
) -> list[RoomEvent]:
    """Events with their ids inline; each that cannot be read goes to `bad` alone."""
    found: list[RoomEvent] = []
    for raw in items:
        try:
            found.append(_of_section(room_event(source, raw), section))
        except BadPart as error:
            bad.append(Bad(room_id, section, _told_id(source, raw), error.code, str(error), source.raw(raw)))
    return found


def _of_section(event: RoomEvent, section: str) -> RoomEvent:
    if event.state_key is None and section == "state":
        raise BadPart("missing_key", "a state block holds an event without state_key")
    return event


def _told_id(source: Source, raw: msgspec.Raw) -> str | None:
    """The id of a bad event, if that much of it can be read."""
    try:
        return checked_id(source, "event_id", _STRING.decode(split_object(raw)["event_id"]))
    except (BadPart, KeyError, msgspec.MsgspecError, UnicodeError):
        return None


def _mapped_events(
    entry: RoomEntry,
    source: Source,
    items: Iterable[msgspec.Raw],
    section: str,
    event_map: dict[str, msgspec.Raw],
) -> list[RoomEvent]:
    found: list[RoomEvent] = []
    for raw in items:
        with quarantine(entry.bad, source, raw, section, entry.room_id):
            try:
                event_id = checked_id(source, "event_id", _STRING.decode(raw))
            except (msgspec.MsgspecError, UnicodeError):
                raise BadPart("wrong_type", "an id in the list is not a string") from None
            if event_id not in event_map:
                raise BadPart("not_in_event_map", f"{event_id} is listed but not in event_map")
            with quarantine(entry.bad, source, event_map[event_id], section, entry.room_id, event_id):
                found.append(_of_section(room_event(source, event_map[event_id], event_id), section))
    return found


def _summary(entry: RoomEntry, raw: msgspec.Raw) -> None:
    try:
        cut = _SUMMARY.decode(raw)
    except (msgspec.MsgspecError, UnicodeError):
        raise BadPart("wrong_type", "summary is not of its type") from None
    entry.summary = summary(cut)


def _unread(entry: RoomEntry, raw: msgspec.Raw) -> None:
    try:
        cut = _UNREAD.decode(raw)
    except (msgspec.MsgspecError, UnicodeError):
        raise BadPart("wrong_type", "unread_notifications is not of its type") from None
    entry.unread = (cut.notification_count, cut.highlight_count)


def _thread_unread(entry: RoomEntry, raw: msgspec.Raw) -> None:
    try:
        cut = _THREADS.decode(raw)
    except (msgspec.MsgspecError, UnicodeError):
        raise BadPart("wrong_type", "unread_thread_notifications is not of its type") from None
    entry.thread_unread = threads(cut)


_COUNTS: dict[str, Callable[[RoomEntry, msgspec.Raw], None]] = {
    "summary": _summary,
    "unread_notifications": _unread,
    "unread_thread_notifications": _thread_unread,
}
