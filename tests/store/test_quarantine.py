"""What cannot be read is set aside with its bytes, and blocks nothing (promise 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.store.bodies import ANN, ME, OTHER, ROOM, Json, create, message, state
from tests.store.conftest import Feed, Sql

ROWS = "SELECT room_id, section, event_id, reason_code, typeof(raw), raw FROM quarantine ORDER BY id"


def bad(**changes: Any) -> Json:
    """A message with keys changed; None takes the key away."""
    event = message("$bad", "kept as it came") | changes
    return {key: value for key, value in event.items() if value is not None}


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (bad(sender=5), "wrong_type"),
        (bad(sender=None), "missing_key"),
        (bad(type=None), "missing_key"),
        (bad(content=None), "missing_key"),
        (bad(content=[]), "wrong_type"),
        (bad(state_key=1), "wrong_type"),
        (bad(origin_server_ts=None), "missing_key"),
        (bad(origin_server_ts="now"), "wrong_type"),
        (bad(type="t" * 256), "too_long"),
        (bad(state_key="ü" * 128), "too_long"),
        (bad(sender="@\ud800:example.org"), "bad_text"),
    ],
)
def test_p05_that_event_alone_is_set_aside(feed: Feed, sql: Sql, event: Json, code: str) -> None:
    applied = feed.take(feed.next.join(ROOM, message("$a"), event, message("$b"), state=[create()]))
    assert applied.quarantined == 1
    assert sql("SELECT event_id FROM timeline ORDER BY position") == [("$a",), ("$b",)]
    assert sql(ROWS) == [(ROOM, "timeline", "$bad", code, "text", json.dumps(event))]
    assert sql("SELECT batch, reason <> '' FROM quarantine") == [(applied.batch, 1)]


def test_p05_bytes_that_are_no_text_are_kept_as_a_blob(feed: Feed, sql: Sql) -> None:
    body = feed.next.join(ROOM, message("$a"), message("$bad", "MARK"), message("$b"))
    raw = json.dumps(message("$bad", "MARK")).encode().replace(b"MARK", b"\xff\xfe")
    feed.store.apply(body.done().replace(b"MARK", b"\xff\xfe"))
    assert sql(ROWS) == [(ROOM, "timeline", "$bad", "bad_utf8", "blob", raw)]
    assert sql("SELECT event_id FROM timeline ORDER BY position") == [("$a",), ("$b",)]


def test_p05_nesting_that_a_sqlite_refuses_is_set_aside(feed: Feed, sql: Sql) -> None:
    deep: Any = {}
    for _ in range(500):
        deep = {"a": deep}
    just: Any = deep["a"]
    feed.take(feed.next.join(ROOM, message("$bad") | {"content": deep}, message("$a") | {"content": just}))
    assert [row[2:4] for row in sql(ROWS)] == [("$bad", "too_deep")]
    assert json.loads(sql("SELECT content FROM events WHERE event_id = '$a'")[0][0]) == just


def test_p05_one_lone_surrogate_never_refuses_the_body(feed: Feed, sql: Sql) -> None:
    body = feed.next.data("org.example", {"a": "\ud800"}).join(ROOM, message("$a", "x\udfff"), message("$b"))
    feed.take(body)
    assert sql("SELECT count(*) FROM quarantine") == [(0,)]
    assert sql("SELECT content FROM account_data") == [('{"a": "\\ud800"}',)]
    assert feed.store.account_data("org.example") == {"a": "\ud800"}
    assert sql("SELECT event_id, body FROM messages ORDER BY position") == [("$a", None), ("$b", "hello")]


@pytest.mark.parametrize(
    "event",
    [
        message("$a", unsigned={"age": "124524"}),
        message("$a", origin_server_ts=-5),
        message("$a", "NUL \0 inside"),
        message("$a") | {"content": {}},
        message("$a") | {"content": {"n": 1e3, "m.relates_to": "a string", "": 1.5, "__proto__": {}}},
        state("$a", "m.room.topic", {"topic": 5}, " "),
    ],
)
def test_p05_strange_but_legal_is_kept(feed: Feed, sql: Sql, event: Json) -> None:
    feed.take(feed.next.join(ROOM, event))
    assert sql("SELECT count(*) FROM quarantine") == [(0,)]
    stored = feed.store.room(ROOM).event("$a")
    assert stored is not None and stored.json() == event


def test_p05_a_number_that_no_column_holds_is_null_there(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a", origin_server_ts=2**63), message("$b", origin_server_ts=1.5)))
    assert sql("SELECT origin_server_ts, extra FROM events ORDER BY event_id") == [
        (None, '{"origin_server_ts":9223372036854775808}'),
        (None, '{"origin_server_ts":1.5}'),
    ]


def test_p05_every_section_has_its_own_quarantine(feed: Feed, sql: Sql) -> None:
    body = feed.next.data("m.x", 5).to_device([]).presence(ANN, "x")
    body.join(ROOM, state=[message("$no_key")], ephemeral={"events": [7]}, account_data=5)
    body.invite(OTHER, {"type": "m.room.name", "content": {}, "sender": ANN}).key("device_lists", {"changed": "all"})
    feed.take(body.join(f"!{'r' * 300}", message("$a")))
    assert sorted(row[1] for row in sql(ROWS)) == [
        "account_data",
        "account_data",
        "device_lists",
        "ephemeral",
        "invite_state",
        "presence",
        "rooms.join",
        "state",
        "to_device",
    ]
    assert sql("SELECT room_id FROM rooms ORDER BY 1") == [(OTHER,), (ROOM,)]


@pytest.mark.parametrize("entry", [5, {"timeline": "x"}, {"timeline": {"events": 5}}])
def test_p05_a_timeline_that_cannot_be_read_is_a_gap(feed: Feed, sql: Sql, entry: object) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), prev_batch=None))
    body = feed.next
    body.json["rooms"] = {"join": {ROOM: entry}}
    feed.take(body)
    assert sql("SELECT kind, newest_before FROM gaps") == [("limited", "$a")]
    assert sql("SELECT count(*) FROM quarantine") == [(1,)]


def test_p05_an_id_that_event_map_lacks_loses_nothing_else(feed: Feed, sql: Sql) -> None:
    body = feed.next
    event = {key: value for key, value in message("$a").items() if key != "event_id"}
    timeline = {"events": ["$gone", "$a", 5], "limited": False}
    body.json["rooms"] = {"joined": {ROOM: {"event_map": {"$a": event}, "timeline": timeline}}}
    feed.take(body)
    assert [row[3] for row in sql(ROWS)] == ["not_in_event_map", "wrong_type"]
    assert sql("SELECT event_id FROM timeline") == [("$a",)]


def huge(body: bytes) -> bytes:
    """The number 77 made longer than Python reads by itself."""
    return body.replace(b"77", b"9" * 5000)


def test_p05_a_number_of_5000_digits_never_blocks_the_ignore_list(feed: Feed) -> None:
    feed.store.apply(huge(feed.next.data("m.ignored_user_list", {"ignored_users": {}, "n": 77}).done()))
    feed.take(feed.next.data("m.ignored_user_list", {"ignored_users": {ME: {}}}))
    assert feed.store.token == "s2"


@pytest.mark.parametrize("what", ["content", "account_data", "invite"])
def test_p06_a_number_of_5000_digits_can_be_read(feed: Feed, what: str) -> None:
    if what == "content":
        feed.store.apply(huge(feed.next.join(ROOM, message("$a") | {"content": {"n": 77}}).done()))
        event = feed.store.room(ROOM).event("$a")
        assert event is not None and "n" in event.content
    elif what == "account_data":
        feed.store.apply(huge(feed.next.data("m.x", {"n": 77}).done()))
        assert "n" in (feed.store.account_data("m.x") or {})
    else:
        name = {"type": "m.room.name", "state_key": "", "sender": ANN, "content": {"n": 77}}
        feed.store.apply(huge(feed.next.invite(ROOM, name).done()))
        assert any("n" in one.content for one in feed.store.room(ROOM).invite_state())
