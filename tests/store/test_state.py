"""The state pile: deltas, restatements, history, in each of the three forms (promises 8 and 9)."""

from __future__ import annotations

import pytest

from tests.store.bodies import ANN, BOB, ME, ROOM, create, member, message, name, state, topic
from tests.store.conftest import Feed, Sql

PILE = "SELECT type, state_key, event_id FROM state WHERE room_id = ? ORDER BY type, state_key"
CREATE = ("m.room.create", "", "$create")


def test_classic_lays_the_timeline_over_the_block(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, topic("$t2", "b"), name("$n", "N"), state=[create(), topic("$t1", "a")]))
    assert sql(PILE, ROOM) == [CREATE, ("m.room.name", "", "$n"), ("m.room.topic", "", "$t2")]


def test_state_after_is_the_end_even_when_it_is_empty(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, topic("$t1", "a"), state=[create(), topic("$t0", "won")], after=True))
    feed.take(feed.next.join(ROOM, topic("$t2", "lost"), state=[], after=True))
    assert sql(PILE, ROOM) == [CREATE, ("m.room.topic", "", "$t0")]
    assert feed.store.room(ROOM).topic == "won"


def test_2015_block_events_of_the_timeline_have_the_last_word(feed: Feed, sql: Sql) -> None:
    events = {one["event_id"]: one for one in (topic("$t1", "a"), topic("$t2", "b"), name("$n", "N"), create())}
    body = feed.next
    entry = {
        "event_map": {id: {k: v for k, v in one.items() if k != "event_id"} for id, one in events.items()},
        "state": {"events": ["$create", "$t1"]},
        "timeline": {"events": ["$t1", "$t2", "$n"], "limited": False},
    }
    body.json["rooms"] = {"joined": {ROOM: entry}}
    feed.take(body)
    assert sql(PILE, ROOM) == [CREATE, ("m.room.name", "", "$n"), ("m.room.topic", "", "$t1")]


def test_current_and_archived_never_share_a_room(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, topic("$t", "a"), state=[create()]))
    assert (len(sql("SELECT * FROM current_state")), sql("SELECT * FROM archived_state")) == (2, [])
    feed.take(feed.next.leave(ROOM, member("$l", ME, "leave")))
    assert (sql("SELECT * FROM current_state"), len(sql("SELECT * FROM archived_state"))) == ([], 3)


def test_p08_joining_applies_the_delta_over_the_archived_pile(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, topic("$t", "a"), name("$n", "N"), state=[create()]))
    feed.take(feed.next.leave(ROOM, member("$l", ME, "leave")))
    feed.take(feed.next.join(ROOM, member("$j", ME, "join"), state=[name("$n2", "M")], limited=True))
    assert sql(PILE, ROOM) == [
        CREATE,
        ("m.room.member", ME, "$j"),
        ("m.room.name", "", "$n2"),
        ("m.room.topic", "", "$t"),
    ]


@pytest.mark.parametrize("after", [False, True])
def test_p09_a_block_with_create_restates_the_room(feed: Feed, sql: Sql, after: bool) -> None:
    feed.take(feed.next.join(ROOM, topic("$t", "a"), state=[create(), member("$m", BOB, "join")]))
    feed.take(feed.next.join(ROOM, state=[create(), name("$n", "N")], after=after, limited=True))
    assert sql(PILE, ROOM) == [CREATE, ("m.room.name", "", "$n")]
    columns = "type, state_key, event_id, batch, until_batch, until_event_id"
    assert sql(f"SELECT {columns} FROM state_history ORDER BY type") == [
        ("m.room.member", BOB, "$m", 1, 2, None),
        ("m.room.topic", "", "$t", 1, 2, None),
    ]
    assert sql("SELECT count(*) FROM events") == [(4,)]  # nothing archived is deleted


def test_p09_a_classic_timeline_with_create_restates_too(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, topic("$t", "a"), state=[create()]))
    feed.take(feed.next.join(ROOM, create(), name("$n", "N"), limited=True))
    assert sql(PILE, ROOM) == [CREATE, ("m.room.name", "", "$n")]


def test_p09_a_block_without_create_is_a_delta(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, state=[create(), topic("$t", "a")]))
    feed.take(feed.next.join(ROOM, state=[name("$n", "N")], limited=True))
    assert sql(PILE, ROOM) == [CREATE, ("m.room.name", "", "$n"), ("m.room.topic", "", "$t")]


def test_p09_create_over_a_pile_without_it_is_a_delta(feed: Feed, sql: Sql) -> None:
    """The first we heard of the room was its end: what we know of it is not taken away."""
    feed.take(feed.next.leave(ROOM, member("$l", ME, "leave")))
    feed.take(feed.next.join(ROOM, state=[create()], limited=True))
    assert sql(PILE, ROOM) == [CREATE, ("m.room.member", ME, "$l")]


def test_p09_full_state_restates(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, topic("$t", "a"), state=[create()]))
    feed.take(feed.next.join(ROOM, state=[create()]), full_state=True)
    assert sql(PILE, ROOM) == [CREATE]


def test_history_says_from_when_until_when(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$m"), topic("$t1", "a"), message("$n"), prev_batch=None))
    feed.take(feed.next.join(ROOM, message("$o"), topic("$t2", "b"), topic("$t3", "c")))
    columns = "event_id, batch, until_batch, until_position, until_event_id"
    assert sql(f"SELECT {columns} FROM state_history ORDER BY until_position") == [
        ("$t1", 1, 2, 4, "$t2"),
        ("$t2", 2, 2, 5, "$t3"),
    ]
    assert sql("SELECT event_id, batch FROM state") == [("$t3", 2)]


def test_the_same_event_again_is_no_change(feed: Feed, sql: Sql) -> None:
    block = [create(), topic("$t", "a"), member("$m", ANN, "join")]
    feed.take(feed.next.join(ROOM, state=block))
    feed.take(feed.next.join(ROOM, topic("$t", "a"), state=block, limited=True))
    assert sql("SELECT * FROM state_history") == []
    assert sql("SELECT DISTINCT batch FROM state") == [(1,)]


def test_state_keys_are_not_folded(feed: Feed, sql: Sql) -> None:
    keys = ["", " ", "a", "A", "é", "e\u0301", "a\0b", "%", "_"]
    feed.take(feed.next.join(ROOM, *(state(f"${n}", "org.x", {}, key) for n, key in enumerate(keys))))
    assert {row[1] for row in sql(PILE, ROOM)} == set(keys)


def test_a_key_never_points_to_another_key_s_event(feed: Feed, sql: Sql) -> None:
    """A server that sends one id as two events is believed the first time; the second content is set aside."""
    feed.take(feed.next.join(ROOM, state=[create(), topic("$x", "first")]))
    feed.take(feed.next.join(ROOM, name("$x", "second"), member("$m", ANN, "join"), state=[member("$m", BOB, "join")]))
    assert sql(PILE, ROOM) == [CREATE, ("m.room.member", ANN, "$m"), ("m.room.topic", "", "$x")]
    assert sql("SELECT event_id, reason_code, raw FROM quarantine") == [("$x", "other_event", '{"name": "second"}')]
    assert feed.store.check() == []
