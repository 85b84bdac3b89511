"""What a commit changed, for those who follow, and what a durable consumer is given."""

from __future__ import annotations

from msgspec import Struct

from syncstore.model.records import Event


class Change(Struct, frozen=True):
    """One thing that a commit changed: a row of `changes`.

    Changes that share a `seq` belong together. kind: event, state, invite_state, knock_state, membership, room,
    members, gap, account_data, receipts, typing, unread, outbox, draft, and of the account presence, to_device,
    device_lists, device_keys, quarantine, suspects, device. op: add, change or remove. key: the state key, the gap's
    id, the transaction id. A kind without the key and event that it could have means all of that kind: read it anew.
    `dropped`: what was noted up to here is gone (`prune`, `recover`), and anything may have changed: read all anew.
    origin: of new events, as in Arrival.
    """

    seq: int
    batch: int
    kind: str
    room_id: str | None
    type: str | None
    key: str | None
    event_id: str | None
    op: str | None
    origin: str | None


class Consumer(Struct, frozen=True):
    """A durable consumer, by name and by what it reads: how far it is, and how much waits for it.

    stream: `events` of `consume`, `to_device`, or `device_lists`. seq: the place in the feed up to which its events are
    done, or the batch up to which its device lists are; None for to-device messages, which are done one by one.
    updated_ts: when it last acknowledged something, or first asked, in milliseconds. waiting: events, messages, or
    users whose devices changed. Where much has waited for long, nobody uses it any more.
    """

    name: str
    stream: str
    seq: int | None
    updated_ts: int
    waiting: int


class Arrival(Struct, frozen=True):
    """An event of a timeline, and why it came.

    origin: `live` happened while we watched; `initial` stood there before, in a snapshot or before we joined;
    `backfill` came out of a gap; `context` was jumped to. A bot answers what is live.
    """

    event: Event
    origin: str
