"""Responses with something of everything, for tests that must not care what is in a batch."""

from __future__ import annotations

from pathlib import Path

from syncstore import SyncStore
from tests.account.readback import read
from tests.store.bodies import (
    ANN,
    BOB,
    ME,
    OTHER,
    ROOM,
    Body,
    Json,
    create,
    member,
    message,
    name,
    redaction,
    stripped,
    topic,
    wrapped,
)
from tests.store.conftest import Feed


def first(body: Body) -> Body:
    """Two joined rooms with state, account data and a message each."""
    members = [member("$me", ME, "join"), member("$ann", ANN, "join", "Ann")]
    body.join(ROOM, message("$m1"), name("$n1", "One"), state=[create(), *members], limited=True, prev_batch="p1")
    return body.join(OTHER, message("$m1"), state=[create(), *members]).data("m.push_rules", {"global": {}})


def second(body: Body) -> Body:
    """Events, a redaction, a kick with a new invite, ephemera, unread counts, a to-device message, a bad event."""
    ephemeral = [
        {"type": "m.typing", "content": {"user_ids": [ANN]}},
        {"type": "m.receipt", "content": {"$m1": {"m.read": {BOB: {"ts": 5}}}}},
    ]
    timeline = [
        message("$m2"),
        topic("$t1", "Fish"),
        redaction("$r1", "$m1"),
        message("$bad", sender=7),
        member("$bob", BOB, "join", "Bob"),
    ]
    body.join(
        ROOM,
        *timeline,
        limited=True,
        prev_batch="p2",
        ephemeral=wrapped(ephemeral),
        account_data=wrapped([{"type": "m.tag", "content": {"tags": {"u.work": {}}}}]),
        unread_notifications={"notification_count": 3, "highlight_count": 1},
        unread_thread_notifications={"$m1": {"notification_count": 1, "highlight_count": 0}},
        summary={"m.joined_member_count": 3},
    )
    body.leave(OTHER, member("$kick", ME, "leave", sender=ANN)).invite(
        OTHER, stripped("m.room.name", {"name": "Again"})
    )
    body.data("m.direct", {ANN: [ROOM]}).to_device({"key": 1}).presence(ANN, {"presence": "online"})
    body.key("device_lists", {"changed": [ANN], "left": [BOB]}).key("device_one_time_keys_count", {"a": 1})
    return body.key("org.example.new", {"kept": True})


def fill(store: SyncStore) -> Feed:
    """A store after both."""
    feed = Feed(store)
    feed.take(first(feed.next))
    feed.take(second(feed.next))
    store.room(ROOM).send_text("on its way")
    store.room(ROOM).set_draft({"body": "not yet"})
    return feed


def contents(path: Path) -> Json:
    """All that the views show, as plain dicts."""
    return read(path)
