"""What is read: plain values out of a store, none of which touches the file again.

Columns are those of the documented views (docs/schema.md). Timestamps are integer milliseconds since 1970; JSON is kept
as the text that came and decoded when asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from syncstore.model.json_text import decode

if TYPE_CHECKING:
    from syncstore.model.content import EventContent


class Event(Struct, frozen=True, gc=False):
    """A stored event; `segment` and `position` are None when it has no place in the timeline."""

    room_id: str
    event_id: str
    type: str
    state_key: str | None
    sender: str
    origin_server_ts: int | None
    content_json: str
    unsigned_json: str | None
    extra_json: str | None
    redacts: str | None
    redacted_by: str | None
    rel_type: str | None
    relates_to: str | None
    transaction_id: str | None
    source: str
    segment: int | None
    position: int | None
    batch: int
    in_reply_to: str | None
    edited_by: str | None
    edit_json: str | None
    decrypted_type: str | None
    decrypted_json: str | None

    @property
    def decrypted(self) -> dict[str, Any] | None:
        """The content of `decrypted_type` that was attached to an encrypted event, None if none was."""
        return None if self.decrypted_json is None else decode(self.decrypted_json)

    @property
    def content(self) -> dict[str, Any]:
        """The content as it was sent first, decoded anew at each call."""
        value: dict[str, Any] = decode(self.content_json)
        return value

    @property
    def edited(self) -> dict[str, Any] | None:
        """The content as its sender last edited it, None if it never was: the `m.new_content` of `edited_by`.

        That is the newest valid edit of the same sender, also one that is stored without this event's neighbours.
        """
        return None if self.edit_json is None else decode(self.edit_json)["m.new_content"]

    @property
    def thread_id(self) -> str | None:
        """The root of the thread that this event was sent into."""
        return self.relates_to if self.rel_type == "m.thread" else None

    @property
    def unsigned(self) -> dict[str, Any]:
        """What the server noted beside the event; {} if nothing."""
        value = decode(self.unsigned_json) if self.unsigned_json else None
        return value if isinstance(value, dict) else {}

    def json(self) -> dict[str, Any]:
        """The event as it arrived: JSON equal to what the server sent (promise 6), with its event_id."""
        event: dict[str, Any] = {
            "event_id": self.event_id,
            "type": self.type,
            "sender": self.sender,
            "content": self.content,
        }
        if self.origin_server_ts is not None:
            event["origin_server_ts"] = self.origin_server_ts
        if self.state_key is not None:
            event["state_key"] = self.state_key
        if self.redacts is not None:
            event["redacts"] = self.redacts
        if self.unsigned_json is not None:
            event["unsigned"] = decode(self.unsigned_json)
        if self.extra_json is not None:
            event.update(decode(self.extra_json))
        return event

    def parsed(self) -> EventContent:
        """The content as a typed model of the spec; of an encrypted event, what was attached to it.

        Raises ContentError, naming the field, if it is not what the spec says for this type. The stored event is
        unharmed. A redacted event as a rule no longer fits its type: look at `redacted_by` first.
        """
        from syncstore.model.content import parse_content

        where = f"event {self.event_id} in {self.room_id}"
        if self.decrypted_type is not None:
            return parse_content(self.decrypted_type, self.decrypted or {}, where=where)
        return parse_content(self.type, self.content, where=where)


class Reaction(Struct, frozen=True):
    """One key that people reacted with to one event: each sender once, with the reaction that counts, oldest first."""

    key: str
    senders: dict[str, str]

    @property
    def count(self) -> int:
        """How many people."""
        return len(self.senders)


class Thread(Struct, frozen=True):
    """A thread as far as it is stored; `root` is None where the first event is not.

    count: replies that are stored and not redacted. participated: whether we sent one of them, or the root. The unread
    counts are the server's.
    """

    thread_id: str
    root: Event | None
    latest: Event
    count: int
    participated: bool
    notification_count: int
    highlight_count: int


class StrippedEvent(Struct, frozen=True):
    """An event of an invite or knock pile: no id, no time."""

    room_id: str
    type: str
    state_key: str
    sender: str | None
    content_json: str
    batch: int

    @property
    def content(self) -> dict[str, Any]:
        """The content, decoded anew at each call."""
        value: dict[str, Any] = decode(self.content_json)
        return value


class Gap(Struct, frozen=True):
    """A hole in a room's timeline. `prev_batch` is its newer end, `since` its older one (None: the beginning)."""

    id: int
    room_id: str
    kind: str
    segment: int
    prev_batch: str | None
    since: str | None
    newest_before: str | None
    oldest_after: str | None
    status: str
    reason: str | None
    attempts: int
    opened_by: int


class StateAt(Struct, frozen=True):
    """What a state key held when an event was sent.

    known false: `reason` says why nobody can tell, and `gap` is the hole that would have to be filled. known true:
    `event` is what the key held, None if it was not set.
    """

    known: bool
    event: Event | None
    reason: str | None = None
    gap: Gap | None = None


class Profile(Struct, frozen=True):
    """The name and the avatar of a sender when an event was sent; known false: as they are now, as far as is stored."""

    user_id: str
    display_name: str | None
    avatar_url: str | None
    known: bool


class Page(Struct, frozen=True):
    """A page of a timeline: events and, in their true place, the gaps between them. Newest first.

    Before the newest stands what is on its way to the server, as events whose `source` is `outbox`: their event_id is
    the transaction_id until the server gives one. `Room.outbox` tells how each of them fares.

    older, newer: the ids for `timeline(before=…)` and `timeline(after=…)`; None where nothing is stored beyond.
    """

    items: list[Event | Gap]
    older: str | None
    newer: str | None
    profiles: dict[str, Profile] = {}

    def profile(self, event: Event) -> Profile:
        """The sender's name and avatar as they were when an event of this page was sent; of an echo, as they are."""
        return self.profiles[event.event_id]


class Applied(Struct, frozen=True):
    """What a commit did.

    batch: its number, None if it brought nothing but a token. repeated: the response was stored already, nothing was
    written. rooms, events: touched and delivered; new_events: of those, never seen before.
    """

    batch: int | None
    initial: bool
    rooms: int
    events: int
    new_events: int
    quarantined: int
    redacted: int
    repeated: bool = False


class Filled(Struct, frozen=True):
    """What one page of a back-fill did; `gap` is the gap as it is now, None once it is closed."""

    events_added: int
    closed: bool
    gap: Gap | None


class Drift(Struct, frozen=True):
    """Something in which the store and the server disagree.

    kind: membership, state, redaction, missing, suspect. detail: for people. repaired: whether it has been mended; what
    was missing is then stored, or lies in a gap.
    """

    room_id: str
    kind: str
    detail: str
    repaired: bool = False


class Info(Struct, frozen=True):
    """A store at a glance: counts, bytes of the file with its WAL, times in milliseconds."""

    path: str
    user_id: str
    device_id: str | None
    homeserver: str | None
    next_batch: str | None
    last_sync_ts: int | None
    format: int
    rooms: dict[str, int]
    events: int
    gaps: int
    unreachable_gaps: int
    quarantined: int
    suspect_rooms: int
    file_bytes: int
