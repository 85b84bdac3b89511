"""The example of the 2015 draft, applied: what one reads in it is what the store shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.model.records import Gap

EXAMPLE = Path(__file__).parent / "seed" / "example-2015.json"
ALICE, BOB = "@alice:example.com", "@bob:example.com"
JOINED, INVITED = "!726s6s6q:example.com", "!696r7674:example.com"
ALICE_JOINS, BOB_JOINS, FISH = (
    "$66697273743031:example.com",
    "$7365636s6r6432:example.com",
    "$74686972643033:example.com",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SyncStore]:
    with SyncStore.open(tmp_path / "bob.db", user_id=BOB) as store:
        applied = store.apply(EXAMPLE.read_bytes(), since=None)
        assert (applied.initial, applied.rooms, applied.events, applied.quarantined) == (True, 2, 3, 0)
        yield store


def test_the_account_and_its_rooms(store: SyncStore) -> None:
    assert store.token == "s72595_4483_1934"
    assert {room.room_id: room.membership for room in store.rooms()} == {JOINED: "join", INVITED: "invite"}
    assert [room.room_id for room in store.rooms("leave")] == []
    assert store.room(JOINED).display_name == ALICE
    assert store.room(INVITED).display_name == "My Room Name"


def test_the_state_is_both_members(store: SyncStore) -> None:
    """One stands in the state alone, the other in state and timeline: each is there once."""
    room = store.room(JOINED)
    assert {key: event.event_id for key, event in room.state_map().items()} == {
        ("m.room.member", ALICE): ALICE_JOINS,
        ("m.room.member", BOB): BOB_JOINS,
    }
    assert [(member.user_id, member.membership) for member in room.members()] == [(ALICE, "join"), (BOB, "join")]
    alone = room.event(ALICE_JOINS)
    assert alone is not None and (alone.source, alone.segment) == ("state", None)


def test_the_timeline_has_its_gap_before_it(store: SyncStore) -> None:
    fish, bob, gap = store.room(JOINED).timeline().items
    assert not isinstance(fish, Gap) and not isinstance(bob, Gap) and isinstance(gap, Gap)
    assert (fish.event_id, fish.content) == (FISH, {"body": "I am a fish", "msgtype": "m.text"})
    assert (fish.unsigned, fish.transaction_id) == ({"age": "124524", "txn_id": "1234"}, "1234")
    assert bob.event_id == BOB_JOINS
    assert (gap.kind, gap.prev_batch, gap.since, gap.newest_before, gap.oldest_after) == (
        "start",
        "t34-23535_0_0",
        None,
        None,
        BOB_JOINS,
    )


def test_every_event_is_what_event_map_says(store: SyncStore) -> None:
    event_map = json.loads(EXAMPLE.read_bytes())["rooms"]["joined"][JOINED]["event_map"]
    for event_id, sent in event_map.items():
        event = store.room(JOINED).event(event_id)
        assert event is not None and event.json() == sent | {"event_id": event_id}


def test_the_invite_has_a_pile_of_its_own(store: SyncStore) -> None:
    room = store.room(INVITED)
    assert [(one.type, one.state_key, one.sender, one.content) for one in room.invite_state()] == [
        ("m.room.member", BOB, ALICE, {"membership": "invite"}),
        ("m.room.name", "", ALICE, {"name": "My Room Name"}),
    ]
    assert (room.state_map(), room.timeline().items, room.inviter) == ({}, [], ALICE)


def test_presence_and_typing(store: SyncStore) -> None:
    assert store.room(JOINED).typing() == [ALICE]
    with store._connections.read() as cursor:
        assert cursor.execute("SELECT user_id, presence FROM presence").fetchall() == [(ALICE, "online")]


def test_the_form_is_told_from_the_body(store: SyncStore) -> None:
    with store._connections.read() as cursor:
        assert cursor.execute("SELECT form, initial, event_count FROM batches").fetchall() == [("2015", 1, 3)]
    assert store.check() == []
    again = store.apply(EXAMPLE.read_bytes())
    assert again.repeated
