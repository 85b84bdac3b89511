"""Room graphs with two branches, as federation makes them, and syncs from nothing over an old store."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..stage import Stage
from ..trio import Trio

_TEXT = {"msgtype": "m.text", "body": "late"}


def late_arrival(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.alice)
    base = stage.bob.send(room, "the branch starts here")
    stage.talk(room, 3)
    yield "joined"
    long_ago = int(time.time() * 1000) - 3_600_000
    stage.forked.add(room)
    late = stage.bob.fork(room, "m.room.message", _TEXT, prev_event_ids=[base], origin_server_ts=long_ago)
    yield "a message arrives late, with an old time"
    for client in trio:
        newest = client.rows(
            "select event_id from timeline where room_id = ? order by segment desc, position desc", room
        )
        assert newest[0][0] == late, client.name  # arrival order while the coverage runs on
    stage.bob.send(room, "joins both branches")
    yield "the branches meet"


def initial_sync_over_an_old_store(stage: Stage, trio: Trio) -> Iterator[str]:
    alice, bob = stage.alice, stage.bob
    room = stage.room(alice, stage.carol, name="old")
    left = stage.room(alice, name="left while offline")
    kicked = stage.room(alice, name="kicked while offline")
    invited = stage.room(name="invite withdrawn while offline", preset="private_chat", invite=[alice.user_id])
    base = bob.send(room, "the branch starts here")
    stage.talk(room, 3)
    yield "an old store"
    stage.forked.add(room)
    late = bob.fork(room, "m.room.message", _TEXT, prev_event_ids=[base], origin_server_ts=1)
    bob.send_state(room, "m.room.topic", {"topic": "while offline"})
    stage.carol.leave(room)
    stage.talk(room, 15)
    alice.leave(left)
    bob.kick(kicked, alice.user_id)
    bob.kick(invited, alice.user_id)
    before = [client.rows("select count(*) from timeline where room_id = ?", room)[0][0] for client in trio]
    for client in trio:
        client.snapshot()
    yield "a sync from nothing"
    for client, count in zip(trio, before, strict=True):
        assert client.rows("select count(*) from timeline where room_id = ?", room)[0][0] > count, client.name
        known = client.rows("select 1 from timeline where event_id = ?", late)
        assert known or client.rows("select 1 from gaps where room_id = ?", room), client.name


def both_branches_change_state(stage: Stage, trio: Trio) -> Iterator[str]:
    bob, dave = stage.bob, stage.dave
    levels = {"users": {bob.user_id: 100, dave.user_id: 50}}
    room = stage.room(stage.alice, dave, version="10", power_level_content_override=levels)
    base = bob.send(room, "the branches start here")
    yield "joined"
    stage.forked.add(room)
    for key in ("m.room.topic", "m.room.name"):
        stage.excused.add((room, (key, "")))
    bob.send_state(room, "m.room.topic", {"topic": "bob's branch"})
    banned = {"membership": "ban"}
    bob.send_state(room, "m.room.member", banned, dave.user_id)
    for type, content in (("m.room.topic", {"topic": "dave's branch"}), ("m.room.name", {"name": "dave's"})):
        dave.fork(room, type, content, prev_event_ids=[base], state_key="")
    yield "a ban on one branch, what the banned user did on the other"
    bob.send(room, "the branches meet")
    yield "the branches meet"
    bob.send_state(room, "m.room.topic", {"topic": "settled"})
    stage.excused.discard((room, ("m.room.topic", "")))
    yield "and a new topic"


CHAPTERS = [late_arrival, initial_sync_over_an_old_store, both_branches_change_state]
