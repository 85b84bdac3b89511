"""What shall be written: the reducer's answer to a batch, in rows and named changes, room by room.

A row is complete as it stands. A named change depends on what is stored already (which place, which history, which
copies to strip): the store carries it out inside the write transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from syncstore.model.batch import Bad, Form, RoomEvent, Section, Summary

Pile = Literal["invite", "knock"]

# `at` of a step whose event has no place in this timeline: it holds since before the timeline's first event.
BEFORE_TIMELINE = -1


class Step(NamedTuple):
    """One change of a state pile, in the order of application."""

    type: str
    state_key: str
    event_id: str
    membership: str | None  # of m.room.member, for the pile's index
    at: int  # index into the room's timeline, or BEFORE_TIMELINE


class StrippedRow(NamedTuple):
    """A row of an invite or knock pile."""

    type: str
    state_key: str
    sender: str | None
    content: str
    extra: str | None
    odd: int


class ReceiptRow(NamedTuple):
    """A receipt; thread_id is "" for one that is not threaded, ts in milliseconds."""

    user_id: str
    receipt_type: str
    thread_id: str
    event_id: str
    ts: int | None


class ContentRow(NamedTuple):
    """Account data, or a key we do not know: name or type, JSON text, odd bits."""

    name: str
    content: str
    odd: int


class ToDeviceRow(NamedTuple):
    """A to-device message. It has no id: three equal fields are the same message (promise 4)."""

    sender: str
    type: str
    content: str
    extra: str | None
    odd: int


class PresenceRow(NamedTuple):
    """Presence of one user; last_active_ago in milliseconds before the answer."""

    user_id: str
    presence: str | None
    last_active_ago: int | None
    status_msg: str | None
    content: str


class TimelineChange(msgspec.Struct):
    """Events to be given places, and what the server said of the timeline's beginning."""

    events: list[RoomEvent]
    limited: bool
    prev_batch: str | None
    told: bool  # whether the entry had a timeline at all


class RoomChanges(msgspec.Struct):
    """All changes of one room in one section. None means: nothing was said."""

    room_id: str
    section: Section
    membership: str | None  # None in a leave entry that does not tell leave from ban: the pile does
    timeline: TimelineChange | None = None
    state_events: list[RoomEvent] = []  # in the block and not in the timeline
    steps: list[Step] = []
    restates: bool = False  # brings m.room.create: if the pile has it, the pile becomes exactly the steps
    pile: Pile | None = None
    stripped: list[StrippedRow] = []
    inviter: str | None = None
    invited_directly: bool = False
    receipts: list[ReceiptRow] = []
    typing: list[str] | None = None
    account_data: list[ContentRow] = []
    unknown: list[ContentRow] = []
    summary: Summary | None = None
    unread: tuple[int | None, int | None] | None = None
    thread_unread: dict[str, tuple[int | None, int | None]] | None = None
    bad: list[Bad] = []


class Changes(msgspec.Struct):
    """All changes of one response. `rooms` is lazy if there is much: leave, then join, then invite and knock."""

    next_batch: str
    form: Form
    body_bytes: int
    rooms: Iterator[RoomChanges]
    account_data: list[ContentRow] = []
    direct: list[tuple[str, str]] | None = None  # (room_id, user_id) of m.direct
    ignored: set[str] | None = None  # m.ignored_user_list as it is now
    presence: list[PresenceRow] = []
    to_device: list[ToDeviceRow] = []
    device_lists: list[tuple[str, str]] = []  # (user_id, changed | left)
    one_time_keys: str | None = None
    fallback_keys: str | None = None
    unknown: list[ContentRow] = []
    bad: list[Bad] = []
