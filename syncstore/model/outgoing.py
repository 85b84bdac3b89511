"""What is on its way to the server: a row of the outbox, which is a local echo too."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from msgspec import Struct

from syncstore.model.json_text import decode


class Outgoing(Struct, frozen=True):
    """Something that was queued and has not come back by a sync yet.

    kind: event, state, redaction or receipt. state: `queued`; `sending` (asked, and nobody knows yet whether it
    arrived); `sent` (the server took it and gave it `event_id`); `parked` (it waits for `retry` or `cancel`; `reason`
    says why). target: the event that it edits, answers, reacts to, redacts or marks as read: a transaction id while
    that one is on its way itself. created_ts: milliseconds since 1970.
    """

    transaction_id: str
    room_id: str
    kind: str
    type: str
    state_key: str | None
    content_json: str
    target: str | None
    state: str
    reason: str | None
    attempts: int
    event_id: str | None
    created_ts: int

    @property
    def content(self) -> dict[str, Any]:
        """The content, decoded anew at each call."""
        value: dict[str, Any] = decode(self.content_json)
        return value


class Attempt(NamedTuple):
    """The next thing to be sent in a room.

    doubtful: an earlier attempt may have arrived, and the server may no longer know its transaction id: not marked, and
    not to be sent before `prove`. first: no earlier attempt may have arrived.
    """

    id: int
    room: int
    room_id: str
    transaction_id: str
    kind: str
    type: str
    state_key: str | None
    content: str
    target: str | None
    after_segment: int | None
    after_position: int | None
    doubtful: bool
    first: bool


Proof = Literal["absent", "found", "hole", "lost"]
