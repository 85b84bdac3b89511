"""A join or leave entry in one go, where it holds nothing but what servers send.

The decoder checks every name, type and length against the shapes below while it splits. Whatever does not fit, and all
that is rare, is left to `room.py`, which reads part by part and tells what is wrong: both ways give the same entry.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from syncstore.model.batch import RoomEntry, Section, StateAsOf, Summary
from syncstore.wire.content import BadPart, Source
from syncstore.wire.event import CutEvent, CutTyped, Int64, lift_cut, lift_typed

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


_ENTRY = msgspec.json.Decoder(_Entry)


def quick_entry(
    source: Source, room_id: str, section: Section, raw: msgspec.Raw, state_as_of: StateAsOf
) -> RoomEntry | None:
    """The entry, or None where it must be read part by part."""
    try:
        cut = _ENTRY.decode(raw)
        entry = RoomEntry(room_id, section, state_as_of=state_as_of)
        _state(entry, cut)
        _timeline(entry, cut)
        if cut.account_data is not _UNSET:
            entry.account_data = [lift_typed(source, one) for one in cut.account_data.events]
        if cut.ephemeral is not _UNSET:
            entry.ephemeral = [lift_typed(source, one) for one in cut.ephemeral.events]
    except (msgspec.MsgspecError, UnicodeError, RecursionError, BadPart):
        return None
    if cut.summary is not _UNSET:
        entry.summary = summary(cut.summary)
    if cut.unread_notifications is not _UNSET:
        entry.unread = (cut.unread_notifications.notification_count, cut.unread_notifications.highlight_count)
    if cut.unread_thread_notifications is not _UNSET:
        entry.thread_unread = threads(cut.unread_thread_notifications)
    return entry


def summary(cut: Heroes) -> Summary:
    """A room summary with its heroes as JSON text."""
    heroes = None if cut.heroes is None else msgspec.json.encode(cut.heroes).decode()
    return Summary(heroes, cut.joined, cut.invited)


def threads(cut: Mapping[str, Unread]) -> dict[str, tuple[int | None, int | None]]:
    """Unread counts by thread."""
    return {thread: (one.notification_count, one.highlight_count) for thread, one in cut.items()}


def _state(entry: RoomEntry, cut: _Entry) -> None:
    for block in (cut.state, cut.state_after, cut.unstable):
        if block is not _UNSET:
            if entry.state:
                raise BadPart("two_blocks", "which of them stands first only the slow way sees")
            entry.state = [lift_cut(one) for one in block.events]
            if any(one.state_key is None for one in entry.state):
                raise BadPart("missing_key", "a state block holds an event without state_key")
    if cut.state_after is not _UNSET or cut.unstable is not _UNSET:
        entry.state_as_of = "after"


def _timeline(entry: RoomEntry, cut: _Entry) -> None:
    if (block := cut.timeline) is not _UNSET:
        entry.has_timeline = True
        entry.limited = bool(block.limited)
        entry.prev_batch = block.prev_batch or None
        entry.timeline = [lift_cut(one) for one in block.events]
