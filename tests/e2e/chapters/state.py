"""State and content in rooms that alice stays in: limited syncs, redactions, room versions, odd values."""

from __future__ import annotations

from collections.abc import Iterator

from examples.lab import Event

from ..stage import Stage
from ..trio import Trio

_VERSIONS = [str(number) for number in range(1, 13)]


def limited_syncs(stage: Stage, trio: Trio) -> Iterator[str]:
    bob, carol, dave = stage.bob, stage.carol, stage.dave
    room = stage.room(stage.alice, carol, name="limited")
    bob.send_state(room, "lab.key", {"n": 0}, "removed later")
    yield "joined"
    stage.talk(room, 12)
    yield "a gap of nothing but messages"
    bob.send_state(room, "m.room.topic", {"topic": "one"})
    bob.send_state(room, "m.room.topic", {"topic": "two"})
    bob.send_state(room, "lab.key", {}, "removed later")
    carol.leave(room)
    dave.join(room)
    carol.join(room)
    carol.send_state(room, "m.room.member", {"membership": "join", "displayname": "Caz"}, carol.user_id)
    stage.talk(room, 12)
    yield "state and members that changed in the gap"
    bob.send_state(room, "m.room.topic", {"topic": "in the gap"})
    bob.kick(room, carol.user_id)
    bob.ban(room, dave.user_id)
    stage.talk(room, 5)
    bob.send_state(room, "m.room.topic", {"topic": "in the timeline"})
    bob.unban(room, dave.user_id)
    stage.talk(room, 5)
    yield "the same keys in the gap and in the timeline"
    for number in range(12):
        bob.send_state(room, "lab.counter", {"n": number}, str(number % 3))
    yield "a timeline of state only"


def redactions(stage: Stage, trio: Trio) -> Iterator[str]:
    bob = stage.bob
    room = stage.room(stage.alice, name="redactions", topic="secret topic")
    known, in_gap = bob.send(room, "secret known"), bob.send(room, "secret in gap")
    name = next(e for e in bob.state(room) if e["type"] == "m.room.name")["event_id"]
    yield "joined"
    both = bob.send(room, "secret both")
    for target in (known, both, name):
        bob.redact(room, target)
    yield "a known message, a message of the same batch, a state event"
    topic = next(e for e in bob.state(room) if e["type"] == "m.room.topic")["event_id"]
    bob.redact(room, in_gap)
    bob.redact(room, topic)
    stage.unpruned.add((room, ("m.room.topic", "")))
    stage.talk(room, 12)
    yield "a redaction of a message and of the topic in a gap"
    unknown = bob.send(room, "secret unknown")
    stage.talk(room, 12)
    bob.redact(room, unknown)
    yield "a redaction of an event that is itself in the gap"
    profile = {"membership": "join", "displayname": "secret name"}
    bob.redact(room, bob.send_state(room, "m.room.member", profile, bob.user_id))
    yield "a member event keeps its membership and loses the name"
    for client in trio:
        for kept in ("secret known", "secret both", "secret unknown", "secret name"):
            found = client.rows("select event_id from events where content like ?", f"%{kept}%")
            assert not found, (client.name, kept)


def every_room_version(stage: Stage, trio: Trio) -> Iterator[str]:
    bob = stage.bob
    rooms = [
        stage.room(version=version, name=f"version {version}", preset="private_chat", invite=[stage.alice.user_id])
        for version in _VERSIONS
    ]
    yield "twelve invites"
    for room in rooms:
        stage.alice.join(room)
        bob.send_state(room, "lab.kept", {"a": 1}, "key")
    yield "joined"
    for room in rooms:
        for event in bob.state(room):
            if event["type"] != "m.room.create":
                bob.redact(room, event["event_id"])
    yield "every state event but the first redacted, by the rules of each version"
    for room in rooms:
        bob.send_state(room, "m.room.topic", {"topic": "after"})
        stage.alice.leave(room)
    yield "left"


def odd_values(stage: Stage, trio: Trio) -> Iterator[str]:
    bob = stage.bob
    room = stage.room(stage.alice, version="5", name="odd")
    yield "joined"
    deep: Event = {}  # Synapse refuses 150 levels
    for _ in range(100):
        deep = {"a": deep}
    contents: list[Event] = [
        {},
        {"": "empty key", "__proto__": {"x": 1}, "nul\u0000key": "nul\u0000value"},
        {"half": 1.5, "whole": 1.0, "big": 2**60, "huge": 1e308, "minus zero": -0.0},
        {"body": ["no", "string"], "msgtype": 7, "m.relates_to": {"event_id": 5, "rel_type": None}},
        {"deep": deep, "text": "\U0001f600 ́e e\u0301", "null": None},
    ]
    for content in contents:
        bob.send(room, content, type="lab.odd")
        bob.send(room, content, type="lab.odd\u0000type")
    bob.send(room, {"msgtype": "m.text", "body": "b", "format": 7, "m.relates_to": "a string"})
    for key in ("Key", "key", " ", "é", "e\u0301", "nul\u0000", "k" * 255, "$[0].x", "'; drop table event"):
        for content in contents:
            bob.send_state(room, "lab.odd", content, key)
    bob.send_state(room, "m.room.name", {"name": ""})
    bob.send_state(room, "m.room.avatar", {"url": 5})
    bob.send_state(room, "m.room.canonical_alias", {"alias": None})
    yield "values that a server lets through"
    for client in trio:
        assert client.rows("select display_name from rooms where room_id = ?", room), client.name


def nothing_changed(stage: Stage, trio: Trio) -> Iterator[str]:
    room = stage.room(stage.alice, name="quiet")
    yield "joined"
    stage.bob.read(room, stage.bob.send(room, "read this"))
    yield "a message and a receipt"
    yield "nothing at all"


CHAPTERS = [limited_syncs, redactions, every_room_version, odd_values, nothing_changed]
