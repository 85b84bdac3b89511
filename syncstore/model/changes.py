"""What shall be written: the reducer's answer to a batch, in rows and named changes, room by room.

A row is complete as it stands. A named change depends on what is stored already (which place, which history, which
copies to strip): the store carries it out inside the write transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

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


@dataclass(slots=True)
class TimelineChange:
    """Events to be given places, and what the server said of the timeline's beginning."""

    events: list[RoomEvent]
    limited: bool
    prev_batch: str | None
    told: bool  # whether the entry had a timeline at all


@dataclass(slots=True)
class RoomChanges:
    """All changes of one room in one section. None means: nothing was said."""

    room_id: str
    section: Section
    membership: str | None  # None in a leave entry that does not tell leave from ban: the pile does
    timeline: TimelineChange | None = None
    state_events: list[RoomEvent] = field(default_factory=list)  # in the block and not in the timeline
    steps: list[Step] = field(default_factory=list)
    restates: bool = False  # brings m.room.create: if the pile has it, the pile becomes exactly the steps
    pile: Pile | None = None
    stripped: list[StrippedRow] = field(default_factory=list)
    inviter: str | None = None
    invited_directly: bool = False
    receipts: list[ReceiptRow] = field(default_factory=list)
    typing: list[str] | None = None
    account_data: list[ContentRow] = field(default_factory=list)
    unknown: list[ContentRow] = field(default_factory=list)
    summary: Summary | None = None
    unread: tuple[int | None, int | None] | None = None
    thread_unread: dict[str, tuple[int | None, int | None]] | None = None
    bad: list[Bad] = field(default_factory=list)


@dataclass(slots=True)
class Changes:
    """All changes of one response. `rooms` is lazy if there is much: leave, then join, then invite and knock."""

    next_batch: str
    form: Form
    body_bytes: int
    rooms: Iterator[RoomChanges]
    account_data: list[ContentRow] = field(default_factory=list)
    direct: list[tuple[str, str]] | None = None  # (room_id, user_id) of m.direct
    ignored: set[str] | None = None  # m.ignored_user_list as it is now
    presence: list[PresenceRow] = field(default_factory=list)
    to_device: list[ToDeviceRow] = field(default_factory=list)
    device_lists: list[tuple[str, str]] = field(default_factory=list)  # (user_id, changed | left)
    one_time_keys: str | None = None
    fallback_keys: str | None = None
    unknown: list[ContentRow] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
