"""What arrived: one /sync response or one page, in one form whatever the wire spoke.

Built by wire/, consumed by reduce/. Nothing here knows JSON text from Python beyond this rule: `content`, `unsigned`
and `extra` are the JSON text as it came, `body` is the same content decoded, for reading only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Form = Literal["2015", "v3", "state_after"]
Section = Literal["leave", "join", "invite", "knock"]
# As of which moment a state block speaks: the start of the timeline (classic), the end (state_after), or
# the end with timeline events repeated in it (2015).
StateAsOf = Literal["start", "after", "2015"]

# Bits of `odd`: why SQL must not look into this content (docs/decisions/0004).
ODD_SURROGATE = 1
ODD_NUL = 2
ODD_DUPLICATE_KEY = 4


class RoomEvent(NamedTuple):
    """One event with an id. Texts are JSON as sent; lifted columns are None where the value is of another type."""

    event_id: str
    type: str
    state_key: str | None
    sender: str
    origin_server_ts: int | None
    content: str
    unsigned: str | None
    extra: str | None  # JSON object of top-level keys that have no column
    odd: int
    redacts: str | None
    rel_type: str | None
    relates_to: str | None
    transaction_id: str | None
    replaces: str | None  # unsigned.replaces_state; "" when prev_content came without it
    in_reply_to: str | None  # not of a thread's fallback, which answers nobody
    redacted_because: str | None  # the id of the redaction that pruned this copy; "" when it is not told
    body: dict[str, Any]


def membership_of(type: str, body: Mapping[str, Any]) -> str | None:
    """What a member event says; None for other types and for values that are no membership at all."""
    value = body.get("membership") if type == "m.room.member" else None
    return value if isinstance(value, str) and value.isascii() else None


class Typed(NamedTuple):
    """An event without an id: stripped state, account data, presence, to-device, ephemeral."""

    type: str
    sender: str | None
    state_key: str | None
    content: str
    extra: str | None
    odd: int
    body: dict[str, Any]


class Bad(NamedTuple):
    """A part that could not be read, with its bytes: goes to quarantine (promise 5)."""

    room_id: str | None
    section: str
    event_id: str | None
    code: str
    reason: str
    raw: bytes


class Summary(NamedTuple):
    """A room summary; None means the server did not say, which means unchanged."""

    heroes: str | None  # JSON array of user ids
    joined: int | None
    invited: int | None


@dataclass(slots=True)
class RoomEntry:
    """One room in one section of a response."""

    room_id: str
    section: Section
    state: list[RoomEvent] = field(default_factory=list)
    state_as_of: StateAsOf = "start"
    has_timeline: bool = False
    timeline: list[RoomEvent] = field(default_factory=list)
    limited: bool = False
    prev_batch: str | None = None
    stripped: list[Typed] = field(default_factory=list)
    account_data: list[Typed] = field(default_factory=list)
    ephemeral: list[Typed] = field(default_factory=list)
    summary: Summary | None = None
    unread: tuple[int | None, int | None] | None = None  # notification_count, highlight_count
    thread_unread: dict[str, tuple[int | None, int | None]] | None = None
    unknown: list[tuple[str, str]] = field(default_factory=list)  # key, JSON text
    bad: list[Bad] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """One /sync response. `rooms` yields leave, join, invite, knock entries, each parsed when it is reached."""

    next_batch: str
    form: Form
    body_bytes: int
    rooms: Iterator[RoomEntry]
    account_data: list[Typed] = field(default_factory=list)
    presence: list[Typed] = field(default_factory=list)
    to_device: list[Typed] = field(default_factory=list)
    device_changed: list[str] = field(default_factory=list)
    device_left: list[str] = field(default_factory=list)
    one_time_keys: str | None = None  # JSON object algorithm -> count
    fallback_keys: str | None = None  # JSON array of algorithms
    unknown: list[tuple[str, str]] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """One answer of /messages, /members, /state or /context: events, and the tokens around them.

    `events` keep the order of the answer (newest first for dir=b). `start` and `end` are None where absent.
    """

    events: list[RoomEvent]
    start: str | None = None
    end: str | None = None
    bad: list[Bad] = field(default_factory=list)
