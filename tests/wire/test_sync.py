"""A response in each of the three forms becomes one Batch; what cannot be read is set aside alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncstore.errors import WireError
from syncstore.model.batch import Batch, RoomEntry
from syncstore.wire import parse

Json = dict[str, Any]
EVENT: Json = {
    "event_id": "$e",
    "type": "m.room.message",
    "sender": "@ann:hs",
    "origin_server_ts": 1,
    "content": {"body": "x"},
}
TOPIC: Json = {**EVENT, "event_id": "$t", "type": "m.room.topic", "state_key": "", "content": {"topic": "x"}}


def read(body: Json | bytes) -> tuple[Batch, list[RoomEntry]]:
    batch = parse(body if isinstance(body, bytes) else json.dumps(body).encode())
    return batch, list(batch.rooms)


def joined(entry: Json, **top: Any) -> Json:
    return {"next_batch": "s1", "rooms": {"join": {"!r:hs": entry}}, **top}


@pytest.mark.parametrize("name", ["state_after", "org.matrix.msc4222.state_after"])
@pytest.mark.parametrize("events", [[TOPIC], []])
def test_state_after_is_told_by_its_key_also_when_it_is_empty(name: str, events: list[Json]) -> None:
    batch, (room,) = read(joined({name: {"events": events}, "timeline": {"events": [TOPIC]}}))
    assert (batch.form, room.state_as_of, len(room.state)) == ("state_after", "after", len(events))


def test_a_word_in_a_message_is_no_form() -> None:
    said = {**EVENT, "content": {"state_after": {"events": []}}}
    batch, (room,) = read(joined({"timeline": {"events": [said]}}))
    assert (batch.form, room.state_as_of) == ("v3", "start")


def test_the_2015_form_refers_by_id() -> None:
    stored = {key: value for key, value in EVENT.items() if key != "event_id"}
    entry = {
        "event_map": {"$e": stored},
        "timeline": {"events": ["$e", "$nowhere", 5], "limited": True, "prev_batch": "p"},
        "state": {"events": []},
    }
    batch, (room,) = read({"next_batch": "s1", "rooms": {"joined": {"!r:hs": entry}}})
    assert (batch.form, room.section, room.limited, room.prev_batch) == ("2015", "join", True, "p")
    assert [event.event_id for event in room.timeline] == ["$e"]
    assert [bad.code for bad in room.bad] == ["not_in_event_map", "wrong_type"]


def test_sections_come_in_the_order_of_application() -> None:
    rooms: Json = {"knock": {"!k": {}}, "invite": {"!r": {}}, "join": {"!j": {}}, "leave": {"!r": {}}}
    _, entries = read({"next_batch": "s1", "rooms": rooms})
    assert [entry.section for entry in entries] == ["leave", "join", "invite", "knock"]


def test_rooms_are_read_one_by_one() -> None:
    body = {"next_batch": "s1", "rooms": {"join": {"!a": {}, "!b": {}}}}
    batch = parse(json.dumps(body).encode())
    assert next(iter(batch.rooms)).room_id == "!a"
    assert next(batch.rooms).room_id == "!b"


def test_unknown_keys_are_kept_as_they_came() -> None:
    batch, (room,) = read(b'{"next_batch":"s","new":[1e400],"rooms":{"join":{"!r":{"msc":{"a": 1}}},"peek":{}}}')
    assert batch.unknown == [("rooms.peek", "{}"), ("new", "[1e400]")]
    assert room.unknown == [("msc", '{"a": 1}')]


def test_an_empty_summary_says_nothing() -> None:
    _, (room,) = read(joined({"summary": {}}))
    assert room.summary is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"next_batch":"s"} x',
        b'{"a":1}',
        b'{"next_batch":""}',
        b'{"next_batch":7}',
        b"<html>",
    ],
)
def test_a_body_that_is_no_response_is_refused_whole(body: bytes) -> None:
    with pytest.raises(WireError):
        parse(body)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"event_id": "$" + "x" * 255}, "too_long"),
        ({"type": "é" * 128}, "too_long"),
        ({"type": 5}, "wrong_type"),
        ({"sender": None}, "missing_key"),
        ({"event_id": ""}, "missing_key"),
        ({"content": []}, "wrong_type"),
        ({"content": "text"}, "wrong_type"),
        ({"origin_server_ts": "now"}, "wrong_type"),
        ({"state_key": 1}, "wrong_type"),
        ({"unsigned": []}, "wrong_type"),
    ],
)
def test_that_event_alone_is_bad(change: Json, code: str) -> None:
    _, (room,) = read(joined({"timeline": {"events": [EVENT, {**EVENT, "event_id": "$bad", **change}]}}))
    assert [event.event_id for event in room.timeline] == ["$e"]
    assert [bad.code for bad in room.bad] == [code]
    assert json.loads(room.bad[0].raw)["type"] == {**EVENT, **change}["type"]


@pytest.mark.parametrize("key", ["event_id", "type", "sender", "content", "origin_server_ts"])
def test_an_event_without_a_needed_key_is_bad(key: str) -> None:
    _, (room,) = read(joined({"timeline": {"events": [{k: v for k, v in EVENT.items() if k != key}]}}))
    assert [bad.code for bad in room.bad] == ["missing_key"]


@pytest.mark.parametrize(
    "change",
    [
        {"origin_server_ts": -5},
        {"origin_server_ts": 1e3},
        {"origin_server_ts": 2**70},
        {"content": {}},
        {"content": {"m.relates_to": "text"}},
        {"content": {"": 1.5, "__proto__": "\0"}},
        {"unsigned": {"age": "124524"}},
        {"unsigned": None},
        {"state_key": None},
        {"extra": {"deep": [1]}},
    ],
)
def test_strange_but_legal_is_kept(change: Json) -> None:
    _, (room,) = read(joined({"timeline": {"events": [{**EVENT, **change}]}}))
    assert not room.bad
    assert room.timeline[0].event_id == "$e"


def test_nesting_has_a_limit_and_never_takes_others_along() -> None:
    def deep(levels: int) -> bytes:
        content = b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
        return json.dumps(EVENT).encode().replace(b'{"body": "x"}', content)

    timeline = b",".join([deep(500), deep(501), deep(100_000), json.dumps(EVENT).encode()])
    _, (room,) = read(b'{"next_batch":"s","rooms":{"join":{"!r":{"timeline":{"events":[' + timeline + b"]}}}}}")
    assert [len(event.content) for event in room.timeline] == [1004, 13]
    assert [bad.code for bad in room.bad] == ["too_deep", "too_deep"]
    assert len(room.bad[1].raw) > 200_000


def test_a_lone_surrogate_is_read_and_kept_as_its_text() -> None:
    batch, _ = read(b'{"next_batch":"s","account_data":{"events":[{"type":"a","content":{"x":"\\\\ud800 \\ud800"}}]}}')
    assert [(one.content, one.odd) for one in batch.account_data] == [('{"x":"\\\\ud800 \\ud800"}', 1)]


def test_bytes_that_are_no_text_are_bad_alone() -> None:
    good = json.dumps(EVENT).encode()
    timeline = b",".join([good, good.replace(b'"x"', b'"\xff"'), good.replace(b"m.room", b"m\xff")])
    _, (room,) = read(b'{"next_batch":"s","rooms":{"join":{"!r":{"timeline":{"events":[' + timeline + b"]}}}}}")
    assert len(room.timeline) == 1
    assert [b"\xff" in bad.raw for bad in room.bad] == [True, True]


def test_a_timeline_that_cannot_be_read_is_limited() -> None:
    for timeline in (5, {"events": 5}, {"events": [], "limited": "yes"}):
        _, (room,) = read(joined({"timeline": timeline}))
        assert room.limited, timeline
        assert room.bad
    _, (whole,) = read({"next_batch": "s", "rooms": {"join": {"!r:hs": []}}})
    assert whole.limited


def test_a_redacts_that_no_column_can_hold_stays_among_the_unknown_keys() -> None:
    sent = json.dumps(joined({"timeline": {"events": [{**EVENT, "redacts": "$x\ud800"}]}})).encode()
    _, (room,) = read(sent)
    (event,) = room.timeline
    assert (event.redacts, event.extra) == (None, '{"redacts":"$x\\ud800"}')


def test_keys_of_unsigned_are_told_also_when_they_are_escaped() -> None:
    """Few events are looked into for what their `unsigned` tells: none that may tell something is passed over."""
    told = {
        b'{"redacted_because":{"event_id":"$r"}}': (True, "$r", None),
        b'{"redacted\\u005fbecause":{"event\\u005fid":"$r"}}': (True, "$r", None),
        b'{"prev\\u005fcontent":{}}': (True, None, ""),
        b'{"m.relations":{"m.replace":{"event\\u005fid":"$x","content":{}}}}': (True, None, None),
        b'{"age":5}': (False, None, None),
    }
    for unsigned, found in told.items():
        body = json.dumps(joined({"timeline": {"events": [EVENT | {"unsigned": "U"}]}})).encode()
        _, (room,) = read(body.replace(b'"U"', unsigned))
        (event,) = room.timeline
        assert (event.special, event.redacted_because, event.replaces) == found
