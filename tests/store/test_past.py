"""What a state key held when an event was sent, and how its sender was called then (promise 23)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import CorruptStoreError, NotFoundError
from syncstore.model.records import Event, Profile
from tests.store.bodies import ANN, BOB, ME, ROOM, create, member, message, name, page, topic
from tests.store.conftest import Feed, plant

HERE = [create(), member("$me", ME, "join")]


def topic_at(store: SyncStore, event_id: str) -> str | None:
    """The topic's event, "?" for unknown."""
    answer = store.room(ROOM).state_at(event_id, "m.room.topic")
    if not answer.known:
        return "?"
    return answer.event.event_id if answer.event else None


def test_p23_a_live_timeline_knows_every_change(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), topic("$t1", "1"), message("$b"), state=HERE, prev_batch=None))
    feed.take(feed.next.join(ROOM, message("$c"), topic("$t2", "2"), topic("$t3", "3"), message("$d")))
    said = {one: topic_at(store, one) for one in ("$a", "$t1", "$b", "$c", "$t2", "$t3", "$d")}
    assert said == {"$a": None, "$t1": "$t1", "$b": "$t1", "$c": "$t1", "$t2": "$t2", "$t3": "$t3", "$d": "$t3"}


def test_p23_what_lost_a_resolution_never_counts(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, topic("$t1", "1"), state=[*HERE, topic("$t1", "1")], after=True, prev_batch=None))
    feed.take(feed.next.join(ROOM, message("$a"), topic("$lost", "?"), message("$b"), after=True))
    assert topic_at(store, "$b") == topic_at(store, "$lost") == "$t1"


def test_p23_in_a_gap_it_is_unknown_until_the_gap_is_filled(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, topic("$t1", "1"), message("$a"), state=HERE, prev_batch=None))
    feed.take(feed.next.join(ROOM, message("$z"), state=[topic("$t2", "2")], limited=True, prev_batch="p"))
    gap = store.gaps()[0]
    assert topic_at(store, "$z") == "$t2"
    store.apply_page(gap, "p", page(message("$y"), end="q"))
    answer = store.room(ROOM).state_at("$y", "m.room.topic")
    assert (answer.known, answer.event, answer.gap) == (False, None, store.gaps()[0])
    assert answer.reason == f"gap {gap.id} lies between"
    store.apply_page(gap, "q", page(topic("$t2", "2"), message("$x"), end="r"))
    assert (topic_at(store, "$y"), topic_at(store, "$x")) == ("$t2", "?")
    store.apply_page(gap, "r", page())
    store.apply_page(gap, "q", page(topic("$t2", "2"), message("$x"), end="r"), again=True)
    assert topic_at(store, "$x") == "$t1"


def test_p23_what_is_the_same_on_both_sides_of_a_gap_is_known_inside(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, topic("$t1", "1"), state=HERE, prev_batch=None))
    feed.take(feed.next.join(ROOM, message("$z"), limited=True, prev_batch="p"))
    store.apply_page(store.gaps()[0], "p", page(message("$y"), end="q"))
    assert topic_at(store, "$y") == "$t1"
    never = store.room(ROOM).state_at("$y", "m.room.avatar")
    assert (never.known, never.event) == (True, None)


def test_p23_an_end_block_does_not_tell_the_start(feed: Feed, store: SyncStore) -> None:
    """The key changed inside the timeline; what it held before that may have been set in the gap."""
    feed.take(feed.next.join(ROOM, topic("$t1", "1"), state=[*HERE, topic("$t1", "1")], after=True, prev_batch=None))
    block = [topic("$t3", "3")]
    feed.take(feed.next.join(ROOM, message("$y"), *block, state=block, after=True, limited=True, prev_batch="p"))
    assert (topic_at(store, "$y"), topic_at(store, "$t3")) == ("?", "$t3")
    store.apply_page(store.gaps()[0], "p", page(topic("$t2", "2")))
    assert topic_at(store, "$y") == "$t2"


def test_p23_on_an_island_only_its_own_events_tell(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, topic("$t1", "1"), state=HERE, prev_batch=None))
    feed.take(feed.next.join(ROOM, message("$z"), state=[topic("$t9", "9")], limited=True, prev_batch="p"))
    run = {"event": topic("$t5", "5"), "events_before": [message("$m")], "events_after": [message("$n")], "start": "c"}
    store.apply_context(ROOM, json.dumps(run).encode())
    assert (topic_at(store, "$n"), topic_at(store, "$m")) == ("$t5", "?")


def test_p23_history_on_top_of_a_segment_counts(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, topic("$t1", "1"), state=HERE, prev_batch=None))
    feed.take(feed.next.join(ROOM, message("$z"), state=[topic("$t2", "2")], limited=True, prev_batch="p"))
    run = {"event": topic("$t2", "2"), "events_before": [topic("$t1", "1")], "events_after": [message("$n")]}
    store.apply_context(ROOM, json.dumps(run).encode())
    assert (topic_at(store, "$t1"), topic_at(store, "$n")) == ("$t1", "$t2")


def test_p23_a_restated_room_forgets_what_was_not_restated(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, topic("$t1", "1"), message("$a"), state=HERE, prev_batch=None))
    feed.snapshot(feed.next.join(ROOM, message("$b"), state=[*HERE, name("$n", "N")]))
    assert (topic_at(store, "$a"), topic_at(store, "$b")) == ("$t1", None)


def test_p23_a_member_nobody_loaded_is_unknown(feed: Feed, store: SyncStore) -> None:
    lazy = {"summary": {"m.joined_member_count": 9}}
    feed.take(feed.next.join(ROOM, message("$a"), state=HERE, **lazy))
    answer = store.room(ROOM).state_at("$a", "m.room.member", BOB)
    assert (answer.known, answer.gap) == (False, None) and "lazily" in (answer.reason or "")


def test_p23_an_event_without_a_place_has_no_moment(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), state=HERE))
    for event_id in ("$create", "$nowhere"):
        with pytest.raises(NotFoundError, match="no place"):
            store.room(ROOM).state_at(event_id, "m.room.topic")


def test_p23_all_keys_of_a_moment(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, topic("$t", "T"), message("$a"), name("$n", "N"), state=HERE, prev_batch=None))
    room = store.room(ROOM)
    found = {key: one.event.event_id if one.event else None for key, one in room.state_map_at("$a").items()}
    assert found.pop(("m.room.member", ME)) == "$me"
    assert found == {("m.room.create", ""): "$create", ("m.room.name", ""): None, ("m.room.topic", ""): "$t"}
    assert list(room.state_map_at("$a", "m.room.name")) == [("m.room.name", "")]


def test_p23_messages_carry_the_name_of_their_moment(feed: Feed, store: SyncStore) -> None:
    said = [member("$1", ANN, "join", "Ann"), message("$a"), member("$2", ANN, "join", "Anna\0"), message("$b")]
    feed.take(feed.next.join(ROOM, *said, message("$c", sender=BOB), state=HERE, prev_batch=None))
    shown = store.room(ROOM).timeline()
    profiles = {item.event_id: shown.profile(item) for item in shown.items if isinstance(item, Event)}
    assert profiles["$a"] == profiles["$1"] == Profile(ANN, "Ann", None, True)
    assert profiles["$b"] == Profile(ANN, "Anna\ufffd", None, True)
    assert profiles["$c"] == Profile(BOB, None, None, False)


def test_p23_in_a_gap_messages_carry_the_name_of_today(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, message("$z"), state=[*HERE, member("$1", ANN, "join", "Ann")], limited=True))
    gap = store.gaps()[0]
    with store.lease_gap(gap, 9) as row:
        assert row is not None and row.walk is not None
        store.apply_page(gap, row.walk, page(message("$y"), end="q"))
    shown = store.room(ROOM).timeline()
    old = shown.items[1]
    assert isinstance(old, Event) and shown.profile(old) == Profile(ANN, "Ann", None, False)


def test_p23_to_those_who_are_outside_a_server_tells_nothing(feed: Feed, store: SyncStore) -> None:
    """Banned, the topic changes, the ban ends: nobody told us of the topic."""
    feed.take(feed.next.join(ROOM, topic("$t1", "1"), state=HERE, prev_batch=None))
    feed.take(feed.next.leave(ROOM, member("$ban", ME, "ban", sender=ANN), prev_batch="o"))
    feed.take(feed.next.leave(ROOM, member("$end", ME, "leave", sender=ANN), prev_batch="p"))
    assert (topic_at(store, "$ban"), topic_at(store, "$end")) == ("$t1", "?")


def test_p23_a_lost_event_is_damage_and_no_accident(feed: Feed, store: SyncStore, path: Path) -> None:
    feed.take(feed.next.join(ROOM, member("$ann2", ANN, "join", "Ann"), message("$a"), state=HERE, prev_batch=None))
    plant(path, "DELETE FROM event WHERE event_id = '$ann2'")
    for read in (lambda: store.room(ROOM).timeline(), lambda: store.room(ROOM).state_at("$a", "m.room.member", ANN)):
        with pytest.raises(CorruptStoreError, match="not in the file"):
            read()
