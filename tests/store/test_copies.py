"""Copies of an event that come later, or stand inside another one (promises 11 and 16)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.store.bodies import ANN, ROOM, Json, create, message, page, redaction, topic
from tests.store.conftest import Feed, Sql, bytes_of

SECRET = "SECRET-TEXT"


def begin(feed: Feed, *timeline: Json, state: tuple[Json, ...] = ()) -> None:
    feed.take(feed.next.join(ROOM, *timeline, state=[create(), *state], limited=True))


def back_fill(feed: Feed, sql: Sql, *events: Json) -> None:
    gap = feed.store.gaps()[-1]
    walk = sql("SELECT walk FROM gap WHERE id = ?", gap.id)[0][0]
    feed.store.apply_page(gap, walk, page(*events, end=f"{walk}+"))


def gone(path: Path) -> bool:
    return SECRET.encode() not in bytes_of(path)


@pytest.mark.parametrize("by", ["$r", None])
def test_p11_a_pruned_copy_strips_the_stored_event(feed: Feed, sql: Sql, path: Path, by: str | None) -> None:
    begin(feed, message("$x", SECRET))
    because = redaction("$r", "$x") if by else {"type": "m.room.redaction"}
    pruned = message("$x") | {"content": {}, "unsigned": {"redacted_because": because}}
    feed.take(feed.next.join(ROOM, pruned, message("$y")))
    assert sql("SELECT event_id FROM messages") == [("$y",)]
    assert sql("SELECT content, redacted_by FROM events WHERE event_id = '$x'") == [("{}", by or "")]
    assert gone(path)


def test_p11_a_copy_that_says_redacted_but_is_not_pruned_is_stripped(feed: Feed, sql: Sql, path: Path) -> None:
    begin(feed, message("$x", SECRET, unsigned={"redacted_because": redaction("$r", "$x")}))
    assert sql("SELECT content, redacted_by FROM events WHERE event_id = '$x'") == [("{}", "$r")]
    assert gone(path)


@pytest.mark.parametrize("where", ["timeline", "state", "page"])
def test_p11_an_unpruned_copy_never_restores_a_stripped_event(feed: Feed, sql: Sql, path: Path, where: str) -> None:
    begin(feed, redaction("$r", "$t"), state=(topic("$t", SECRET),))
    copy = topic("$t", SECRET, unsigned={"prev_content": {"topic": SECRET}})
    if where == "timeline":
        feed.take(feed.next.join(ROOM, copy))
    elif where == "state":
        feed.take(feed.next.join(ROOM, state=[create(), copy]))
    else:
        back_fill(feed, sql, copy)
    assert sql("SELECT content, redacted_by FROM events WHERE event_id = '$t'") == [("{}", "$r")]
    assert feed.store.room(ROOM).topic is None
    assert gone(path)


def bundle(inner: Json, kind: str = "m.thread") -> Json:
    relations = {"m.thread": {"latest_event": inner, "count": 1}} if kind == "m.thread" else {"m.replace": inner}
    return {"m.relations": relations}


INNER = message("$in", SECRET, **{"org.example": SECRET})


@pytest.mark.parametrize("kind", ["m.thread", "m.replace"])
@pytest.mark.parametrize("order", ["before", "same batch", "after", "never seen"])
def test_p16_copies_bundled_with_another_event(feed: Feed, sql: Sql, path: Path, order: str, kind: str) -> None:
    root, strike = message("$root", unsigned=bundle(INNER, kind)), redaction("$r", "$in")
    if order == "same batch":
        begin(feed, INNER, root, strike)
    elif order == "before":
        begin(feed, INNER, root)
        feed.take(feed.next.join(ROOM, strike))
    elif order == "after":
        begin(feed, INNER, strike)
        feed.take(feed.next.join(ROOM, root))
    else:
        begin(feed, strike)
        feed.take(feed.next.join(ROOM, root))
    left = json.loads(sql("SELECT unsigned FROM events WHERE event_id = '$root'")[0][0])["m.relations"]
    assert (left[kind]["latest_event"] if kind == "m.thread" else left[kind])["content"] == {}
    assert sql("SELECT body FROM messages") == [("hello",)]
    assert gone(path)


def test_p16_a_bundle_whose_key_is_escaped(feed: Feed, path: Path) -> None:
    body = feed.next.join(ROOM, message("$root", unsigned=bundle(INNER)), state=[create()]).done()
    feed.store.apply(body.replace(b'"m.relations"', b'"m\\u002erelations"'))
    feed.take(feed.next.join(ROOM, redaction("$r", "$in")))
    assert gone(path)


def test_p16_a_bundle_that_an_unplaced_event_gets_later(feed: Feed, sql: Sql, path: Path) -> None:
    begin(feed, INNER, redaction("$r", "$in"), state=(topic("$t", "T"),))
    back_fill(feed, sql, topic("$t", "T", unsigned=bundle(INNER)))
    assert gone(path)


TOLD = {"prev_content": {"topic": SECRET}, "replaces_state": "$t1"}


@pytest.mark.parametrize("order", ["strike last", "strike first", "strike waits"])
@pytest.mark.parametrize("known", [False, True])
def test_p16_prev_content_in_any_order(feed: Feed, sql: Sql, path: Path, order: str, known: bool) -> None:
    """`known`: $t2 stood in a state block before a timeline brought it with its prev_content."""
    first, second, strike = topic("$t1", SECRET), topic("$t2", "T", unsigned=TOLD), redaction("$r", "$t1")
    begin(feed, message("$m"), state=(topic("$t2", "T"),) if known else ())
    steps = {
        "strike last": [first, second, strike],
        "strike first": [first, strike, second],
        "strike waits": [strike, second],
    }[order]
    for one in steps:
        feed.take(feed.next.join(ROOM, one))
    notes = json.loads(sql("SELECT unsigned FROM events WHERE event_id = '$t2'")[0][0])
    assert notes == {"prev_content": {}, "replaces_state": "$t1"}
    assert gone(path)


def test_p16_prev_content_of_an_event_never_stored(feed: Feed, path: Path) -> None:
    begin(feed, topic("$t2", "T", unsigned=TOLD))
    feed.take(feed.next.join(ROOM, redaction("$r", "$t1")))
    assert gone(path)


def test_p16_prev_content_that_names_no_event(feed: Feed, path: Path) -> None:
    begin(feed, topic("$t1", SECRET), topic("$t2", "T", unsigned={"prev_content": {"topic": SECRET}}))
    feed.take(feed.next.join(ROOM, redaction("$r", "$t1")))
    assert gone(path)


def test_p16_prev_content_of_another_event_stays(feed: Feed, sql: Sql) -> None:
    begin(
        feed, topic("$t1", "one"), topic("$t2", "two"), topic("$t3", "x", unsigned={"prev_content": {"topic": "two"}})
    )
    feed.take(feed.next.join(ROOM, redaction("$r", "$t1")))
    assert sql("SELECT unsigned FROM events WHERE event_id = '$t3'") == [('{"prev_content": {"topic": "two"}}',)]


def test_p16_a_late_copy_of_a_stripped_redaction(feed: Feed, sql: Sql, path: Path) -> None:
    struck = redaction("$r", "$x") | {"content": {"redacts": "$x", "reason": SECRET}}
    begin(feed, struck, redaction("$r2", "$r"))
    feed.take(feed.next.join(ROOM, message("$x", "gone", unsigned={"redacted_because": struck, "redacted_by": "$r"})))
    assert gone(path)


def test_a_stripped_event_keeps_what_the_server_says_of_it(feed: Feed, sql: Sql) -> None:
    begin(
        feed,
        message("$x", unsigned={"age": 5, "transaction_id": "t", "org.x": SECRET, "membership": "join"}, sender=ANN),
    )
    feed.take(feed.next.join(ROOM, redaction("$r", "$x")))
    notes = json.loads(sql("SELECT unsigned FROM events WHERE event_id = '$x'")[0][0])
    assert notes == {"age": 5, "transaction_id": "t", "membership": "join"}


def test_p16_prev_content_that_names_no_event_and_comes_late(feed: Feed, path: Path) -> None:
    begin(feed, topic("$t1", SECRET), redaction("$r", "$t1"))
    feed.take(feed.next.join(ROOM, topic("$t2", "b", unsigned={"prev_content": {"topic": SECRET}})))
    assert gone(path)
