"""What the server sent can be read back, and ids are per room (promises 6 and 15)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.store.bodies import ANN, ME, OTHER, ROOM, Json, create, event, member, message, page, redaction, state, topic
from tests.store.conftest import Feed, Sql

EVENTS: list[Json] = [
    message("$plain"),
    create(version=None),
    member("$member", ANN, "join", "Ann", unsigned={"age": 5, "prev_content": {"membership": "invite"}}),
    redaction("$redaction", "$elsewhere"),
    message("$unknown_keys", room_id=ROOM) | {"org.example": [1, {"a": None}], "msc4354_sticky": {"duration_ms": 5}},
    message("$null_key") | {"state_key": None},
    message("$unsigned_null", unsigned=None),
    event("$redacts", "m.x", {}, redacts=["no", "string"]),
    event("$numbers", "m.x", {"big": 2**70, "tiny": 1e-300, "minus": -0.0, "e": 1e3}),
    event("$text", "m.x", {"": "\0", "\u2028": "😀", "x": "\ud83d"}),
    event("$nested", "m.x", {"a": [[[{"b": [1, 2, {"c": {}}]}]]]}, state_key="K \0 \u0130"),
    message("$relation") | {"content": {"m.relates_to": {"rel_type": 5, "event_id": {}}}},
]


@pytest.mark.parametrize("sent", EVENTS, ids=lambda sent: sent["event_id"])
def test_p06_reading_gives_json_equal_to_what_arrived(feed: Feed, sent: Json) -> None:
    feed.take(feed.next.join(ROOM, sent))
    stored = feed.store.room(ROOM).event(sent["event_id"])
    assert stored is not None and stored.json() == sent


def test_p06_content_and_unknown_keys_are_the_bytes_that_came(feed: Feed, sql: Sql) -> None:
    texts = [
        '{"n":123456789012345678901234567890, "f":1e400,"z":1.0}',
        '{"a":1,"a":2}',
        '{ "spaces" : [ 1 ,2 ] , "u":"\\u00e9é\\/" }',
        '{"s":"\\ud800\\u0000"}',
    ]
    body = feed.next.join(ROOM, *(message(f"${n}") | {"content": f"C{n}", "org.x": f"X{n}"} for n in range(len(texts))))
    sent = body.done().decode()
    for n, text in enumerate(texts):
        sent = sent.replace(f'"C{n}"', text).replace(f'"X{n}"', text)
    feed.store.apply(sent)
    assert sql("SELECT content, extra FROM events ORDER BY event_id") == [(t, f'{{"org.x":{t}}}') for t in texts]


def test_p06_unknown_keys_of_response_and_room_are_kept(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, **{"org.room": {"a": 1}}).key("org.top", [1.50]))
    assert sql("SELECT name, content FROM unknown_key ORDER BY name") == [
        ("org.room", '{"a": 1}'),
        ("org.top", "[1.5]"),
    ]


def test_p06_lifted_columns_are_what_the_event_says(feed: Feed, sql: Sql) -> None:
    content = {"body": "x", "m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}}
    sent = event("$a", "m.room.message", content, unsigned={"transaction_id": "t1"}, sender=ME)
    feed.take(feed.next.join(ROOM, sent, redaction("$r", "$x"), prev_batch=None))
    columns = "type, state_key, sender, origin_server_ts, redacts, redacted_by, rel_type, relates_to, transaction_id"
    assert sql(f"SELECT {columns}, source, batch FROM events ORDER BY position") == [
        ("m.room.message", None, ME, 1000, None, None, "m.thread", "$root", "t1", "timeline", 1),
        ("m.room.redaction", None, ANN, 1000, "$x", None, None, None, None, "timeline", 1),
    ]


def test_p06_the_transaction_id_of_2015_too(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a", unsigned={"age": "5", "txn_id": "1234"})))
    assert sql("SELECT transaction_id FROM events") == [("1234",)]


def test_p06_a_duplicate_key_is_never_looked_into_by_sql(feed: Feed, sql: Sql) -> None:
    body = feed.next.join(ROOM, message("$a") | {"content": "C"}).done().decode()
    feed.store.apply(body.replace('"C"', '{"a" :1,"msgtype":"m.text","body":"first","body":"last"}'))
    assert sql("SELECT body FROM messages") == [(None,)]


def test_p05_a_duplicate_key_makes_view_columns_null(feed: Feed, sql: Sql) -> None:
    body = feed.next.join(ROOM, message("$a") | {"content": "C"}).done().decode()
    feed.store.apply(body.replace('"C"', '{"msgtype":"m.text","body":"first","body":"last"}'))
    assert sql("SELECT msgtype, body FROM messages") == [(None, None)]
    event = feed.store.room(ROOM).event("$a")
    assert event is not None and event.content["body"] == "last"


def test_p15_the_same_id_in_two_rooms_is_two_events(feed: Feed, sql: Sql) -> None:
    here, there = topic("$same", "here", unsigned={"age": 1}), topic("$same", "there")
    feed.take(feed.next.join(ROOM, here, state=[create()]).join(OTHER, there, state=[create()]))
    assert sql("SELECT room_id, content FROM timeline ORDER BY room_id DESC") == [
        (ROOM, '{"topic": "here"}'),
        (OTHER, '{"topic": "there"}'),
    ]
    assert {one.room_id for one in feed.store.events("$same")} == {ROOM, OTHER}
    feed.take(feed.next.join(ROOM, redaction("$r", "$same")))
    assert [feed.store.room(room).topic for room in (ROOM, OTHER)] == [None, "there"]


def test_p15_a_redaction_waits_in_its_own_room(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, redaction("$r", "$same"), state=[create()]).join(OTHER, state=[create()]))
    feed.take(feed.next.join(OTHER, message("$same", "stays")))
    assert sql("SELECT body FROM messages") == [("stays",)]
    feed.take(feed.next.join(ROOM, message("$same", "goes")))
    assert sql("SELECT room_id, body FROM messages") == [(OTHER, "stays")]


def test_p15_the_same_id_is_known_per_room(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$same"), prev_batch=None).join(OTHER, message("$a"), limited=True))
    gap = feed.store.room(OTHER).gaps()[0]
    walk: Any = sql("SELECT walk FROM gap WHERE id = ?", gap.id)[0][0]
    feed.store.apply_page(gap, walk, page(message("$same", "older")))
    assert (
        json.loads(sql("SELECT content FROM timeline WHERE room_id = ? AND position < 0", OTHER)[0][0])["body"]
        == "older"
    )


def test_state_and_timeline_of_one_entry_are_one_event(feed: Feed, sql: Sql) -> None:
    both = state("$a", "org.x", {})
    feed.take(feed.next.join(ROOM, both, state=[both]))
    assert sql("SELECT source, segment IS NOT NULL FROM events") == [("timeline", 1)]


def test_p15_an_event_is_found_in_its_own_room_alone(feed: Feed) -> None:
    feed.take(feed.next.join(ROOM, message("$only")).join(OTHER, message("$other")))
    found = feed.store.room(ROOM).event("$only")
    assert found is not None and found.room_id == ROOM
    assert feed.store.room(OTHER).event("$only") is None
