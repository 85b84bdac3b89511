"""Join and leave entries in one go, where they hold nothing but what servers send.

The decoder checks every name, type and length against the shapes below while it splits. Whatever does not fit, and all
that is rare, is left to `room.py`, which reads part by part and tells what is wrong: both ways give the same entry.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from syncstore.model.batch import Form, RoomEntry, RoomEvent, Section, StateAsOf, Summary
from syncstore.wire.content import BadPart, Source
from syncstore.wire.event import CutEvent, CutTyped, Int64, checked_id, lift_cut, lift_typed

_UNSET = msgspec.UNSET


class _Timeline(msgspec.Struct, forbid_unknown_fields=True):
    events: list[CutEvent] = []
    prev_batch: str | None = None
    limited: bool | None = None


class _State(msgspec.Struct, forbid_unknown_fields=True):
    events: list[CutEvent] = []


class _Typed(msgspec.Struct, forbid_unknown_fields=True):
    events: list[CutTyped] = []


class Unread(msgspec.Struct):
    """Counts of what is unread."""

    notification_count: Int64 | None = None
    highlight_count: Int64 | None = None


class Heroes(
    msgspec.Struct,
    rename={"heroes": "m.heroes", "joined": "m.joined_member_count", "invited": "m.invited_member_count"},
):
    """A room summary."""

    heroes: list[str] | None = None
    joined: Int64 | None = None
    invited: Int64 | None = None


class _Entry(msgspec.Struct, forbid_unknown_fields=True, rename={"unstable": "org.matrix.msc4222.state_after"}):
    timeline: _Timeline | msgspec.UnsetType = _UNSET
    state: _State | msgspec.UnsetType = _UNSET
    state_after: _State | msgspec.UnsetType = _UNSET
    unstable: _State | msgspec.UnsetType = _UNSET
    account_data: _Typed | msgspec.UnsetType = _UNSET
    ephemeral: _Typed | msgspec.UnsetType = _UNSET
    summary: Heroes | msgspec.UnsetType = _UNSET
    unread_notifications: Unread | msgspec.UnsetType = _UNSET
    unread_thread_notifications: dict[str, Unread] | msgspec.UnsetType = _UNSET


class _Rooms(msgspec.Struct, forbid_unknown_fields=True):
    leave: dict[str, _Entry] = {}
    join: dict[str, _Entry] = {}


_ENTRY = msgspec.json.Decoder(_Entry)
_ROOMS = msgspec.json.Decoder(_Rooms)
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, BadPart)


def quick_entry(
    source: Source, room_id: str, section: Section, raw: msgspec.Raw, state_as_of: StateAsOf
) -> RoomEntry | None:
    """The entry, or None where it must be read part by part."""
    try:
        return _entry(source, room_id, section, _ENTRY.decode(raw), state_as_of)
    except _UNREADABLE:
        return None


def quick_rooms(source: Source, raw: msgspec.Raw) -> tuple[Form, list[RoomEntry]] | None:
    """All rooms of a response and its form, or None where they must be read one by one."""
    try:
        cut = _ROOMS.decode(raw)
        joined, left = cut.join, cut.leave
        after = any(map(_tells_the_end, joined.values())) or any(map(_tells_the_end, left.values()))
        as_of: StateAsOf = "after" if after else "start"
        rooms = [_entry(source, checked_id(source, "room_id", id), "leave", one, as_of) for id, one in left.items()]
        rooms += [_entry(source, checked_id(source, "room_id", id), "join", one, as_of) for id, one in joined.items()]
    except _UNREADABLE:
        return None
    return "state_after" if after else "v3", rooms


def _tells_the_end(cut: _Entry) -> bool:
    return cut.state_after is not _UNSET or cut.unstable is not _UNSET


def _entry(source: Source, room_id: str, section: Section, cut: _Entry, state_as_of: StateAsOf) -> RoomEntry:
    """Raises BadPart, or an error of the decoder, where the entry must be read part by part."""
    entry = RoomEntry(room_id, section)
    entry.state_as_of = "after" if _tells_the_end(cut) else state_as_of
    entry.state = _state(cut)
    if (block := cut.timeline) is not _UNSET:
        entry.has_timeline = True
        entry.limited = bool(block.limited)
        entry.prev_batch = block.prev_batch or None
        entry.timeline = [lift_cut(one) for one in block.events]
    if cut.account_data is not _UNSET and cut.account_data.events:
        entry.account_data = [lift_typed(source, one) for one in cut.account_data.events]
    if cut.ephemeral is not _UNSET and cut.ephemeral.events:
        entry.ephemeral = [lift_typed(source, one) for one in cut.ephemeral.events]
    if cut.summary is not _UNSET:
        entry.summary = summary(cut.summary)
    if cut.unread_notifications is not _UNSET:
        entry.unread = (cut.unread_notifications.notification_count, cut.unread_notifications.highlight_count)
    if cut.unread_thread_notifications is not _UNSET:
        entry.thread_unread = threads(cut.unread_thread_notifications)
    return entry


def _state(cut: _Entry) -> list[RoomEvent]:
    blocks = [one.events for one in (cut.state, cut.state_after, cut.unstable) if one is not _UNSET and one.events]
    if not blocks:
        return []
    if len(blocks) > 1:
        raise BadPart("two_blocks", "which of them stands first only the slow way sees")
    state = [lift_cut(one) for one in blocks[0]]
    if [None for one in state if one.state_key is None]:
        raise BadPart("missing_key", "a state block holds an event without state_key")
    return state


def summary(cut: Heroes) -> Summary | None:
    """A room summary with its heroes as JSON text; None for one that says nothing."""
    if cut.heroes is None and cut.joined is None and cut.invited is None:
        return None
    heroes = None if cut.heroes is None else msgspec.json.encode(cut.heroes).decode()
    return Summary(heroes, cut.joined, cut.invited)


def threads(cut: Mapping[str, Unread]) -> dict[str, tuple[int | None, int | None]]:
    """Unread counts by thread."""
    return {thread: (one.notification_count, one.highlight_count) for thread, one in cut.items()}
