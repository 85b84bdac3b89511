"""What arrived: one /sync response or one page, in one form whatever the wire spoke.

Built by wire/, consumed by reduce/. Nothing here knows JSON text from Python beyond this rule: `content`, `unsigned`
and `extra` are the JSON text as it came, `body` is the same content decoded, for reading only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

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
    """One event with an id. Texts are JSON as sent; lifted columns are None where the value is of another type.

    The order is that of how often they are there: the first seven always, an eighth with state, the others seldom.
    """

    event_id: str
    type: str
    sender: str
    origin_server_ts: int | None
    content: str
    unsigned: str | None
    odd: int
    state_key: str | None
    extra: str | None  # JSON object of top-level keys that have no column
    redacts: str | None
    rel_type: str | None
    relates_to: str | None
    transaction_id: str | None
    replaces: str | None  # unsigned.replaces_state; "" when prev_content came without it
    in_reply_to: str | None  # not of a thread's fallback, which answers nobody
    redacted_because: str | None  # the id of the redaction that pruned this copy; "" when it is not told
    special: bool  # a redaction, an encrypted event, or one whose `unsigned` may tell of other events
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


class RoomEntry(msgspec.Struct):
    """One room in one section of a response."""

    room_id: str
    section: Section
    state: list[RoomEvent] = []
    state_as_of: StateAsOf = "start"
    has_timeline: bool = False
    timeline: list[RoomEvent] = []
    limited: bool = False
    prev_batch: str | None = None
    stripped: list[Typed] = []
    account_data: list[Typed] = []
    ephemeral: list[Typed] = []
    summary: Summary | None = None
    unread: tuple[int | None, int | None] | None = None  # notification_count, highlight_count
    thread_unread: dict[str, tuple[int | None, int | None]] | None = None
    unknown: list[tuple[str, str]] = []  # key, JSON text
    bad: list[Bad] = []


class Batch(msgspec.Struct):
    """One /sync response. `rooms` yields leave, join, invite, knock entries, each parsed when it is reached."""

    next_batch: str
    form: Form
    body_bytes: int
    rooms: Iterator[RoomEntry]
    account_data: list[Typed] = []
    presence: list[Typed] = []
    to_device: list[Typed] = []
    device_changed: list[str] = []
    device_left: list[str] = []
    one_time_keys: str | None = None  # JSON object algorithm -> count
    fallback_keys: str | None = None  # JSON array of algorithms
    unknown: list[tuple[str, str]] = []
    bad: list[Bad] = []


class Page(msgspec.Struct):
    """One answer of /messages, /members, /state or /context: events, and the tokens around them.

    `events` keep the order of the answer (newest first for dir=b). `start` and `end` are None where absent.
    """

    events: list[RoomEvent]
    start: str | None = None
    end: str | None = None
    bad: list[Bad] = []
