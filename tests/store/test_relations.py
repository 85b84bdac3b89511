"""Edits, reactions, replies and threads, out of what is stored now (promise 20)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.model.records import Event, Reaction
from syncstore.store.query import account as account_query
from syncstore.store.query import history as history_query
from syncstore.store.query import relations as relations_query
from syncstore.store.query import timeline as timeline_query
from tests.store.bodies import ANN, BOB, ME, OTHER, ROOM, Body, Json, create, event, message, page, redaction, topic
from tests.store.conftest import Feed, Sql

_NEW = {"msgtype": "m.text", "body": "new"}


def edit(id: str, target: str, body: object = "new", *, ts: int = 2000, **more: Any) -> Json:
    content = {
        "msgtype": "m.text",
        "body": "* new",
        "m.new_content": {"msgtype": "m.text", "body": body},
        "m.relates_to": {"rel_type": "m.replace", "event_id": target},
    }
    return event(id, "m.room.message", content, origin_server_ts=ts) | more


def reaction(id: str, target: str, key: object, sender: str = ANN) -> Json:
    relation = {"rel_type": "m.annotation", "event_id": target, "key": key}
    return event(id, "m.reaction", {"m.relates_to": relation}, sender=sender)


def in_thread(id: str, root: str, *, fallback: bool = True, sender: str = ANN) -> Json:
    relation: Json = {"rel_type": "m.thread", "event_id": root, "m.in_reply_to": {"event_id": root}}
    relation |= {"is_falling_back": True} if fallback else {}
    return event(id, "m.room.message", {"msgtype": "m.text", "body": id, "m.relates_to": relation}, sender=sender)


def reply(id: str, target: str) -> Json:
    return event(id, "m.room.message", {"body": id, "m.relates_to": {"m.in_reply_to": {"event_id": target}}})


def the(store: SyncStore, id: str) -> Event:
    found = store.room(ROOM).event(id)
    assert found is not None
    return found


def bodies(sql: Sql) -> list[tuple[object, ...]]:
    return sql("SELECT event_id, body, edited_by FROM messages ORDER BY segment, position")


def test_p20_the_newest_edit_of_the_sender_counts(feed: Feed, store: SyncStore, sql: Sql) -> None:
    edits = [edit("$e2", "$m", "second", ts=3000), edit("$e1", "$m", "first", ts=2000)]
    feed.take(feed.next.join(ROOM, message("$m", "old"), message("$other"), *edits, state=[create()]))
    one = the(store, "$m")
    assert (one.edited, one.edited_by) == ({"msgtype": "m.text", "body": "second"}, "$e2")
    assert one.content["body"] == "old"
    assert bodies(sql) == [("$m", "second", "$e2"), ("$other", "hello", None)]
    assert [item.edited_by for item in store.room(ROOM).timeline().items if isinstance(item, Event)][-1] == "$e2"


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_p20_edits_of_one_moment_are_told_apart_by_id(feed: Feed, store: SyncStore, order: tuple[int, ...]) -> None:
    """Whatever the order of arrival, also of edits that came before what they edit."""
    events = [message("$m", "old"), edit("$ea", "$m", "a"), edit("$eb", "$m", "b")]
    for at in order:
        feed.take(feed.next.join(ROOM, events[at], prev_batch=None))
    assert the(store, "$m").edited_by == "$eb"


@pytest.mark.parametrize(
    "wrong",
    [
        edit("$e", "$m", sender=BOB),
        edit("$e", "$m", type="m.sticker"),
        edit("$e", "$m", state_key=""),
        event("$e", "m.room.message", {"m.relates_to": {"rel_type": "m.replace", "event_id": "$m"}}),
        event(
            "$e", "m.room.message", {"m.new_content": 5, "m.relates_to": {"rel_type": "m.replace", "event_id": "$m"}}
        ),
        edit("$e", "$elsewhere"),
    ],
    ids=["sender", "type", "state", "no content", "odd content", "target"],
)
def test_p20_an_edit_that_is_not_valid_changes_nothing(feed: Feed, store: SyncStore, wrong: Json) -> None:
    feed.take(feed.next.join(ROOM, message("$m", "old"), wrong))
    assert (the(store, "$m").edited, the(store, "$m").edited_by) == (None, None)


def test_p20_an_edit_of_an_edit_or_of_a_state_event_counts_for_nothing(feed: Feed, store: SyncStore) -> None:
    state_edit = event(
        "$se", "m.room.topic", {"m.new_content": {}, "m.relates_to": {"rel_type": "m.replace", "event_id": "$t"}}
    )
    feed.take(
        feed.next.join(ROOM, message("$m"), edit("$e1", "$m"), edit("$e2", "$e1"), topic("$t", "Fish"), state_edit)
    )
    assert (the(store, "$m").edited_by, the(store, "$e1").edited_by, the(store, "$t").edited) == ("$e1", None, None)


def test_p20_a_redacted_edit_gives_way_to_the_one_before(feed: Feed, store: SyncStore, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$m"), edit("$e1", "$m", "one", ts=1), edit("$e2", "$m", "two", ts=2)))
    feed.take(feed.next.join(ROOM, redaction("$r", "$e2")))
    assert bodies(sql) == [("$m", "one", "$e1")]
    feed.take(feed.next.join(ROOM, redaction("$r2", "$m")))
    assert (the(store, "$m").edited, bodies(sql)) == (None, [])


def test_p20_an_edit_found_by_back_fill_counts(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, message("$m"), prev_batch=None))
    feed.take(feed.next.join(ROOM, message("$z"), limited=True, prev_batch="p"))
    store.apply_page(store.gaps()[0], "p", page(edit("$e", "$m")))
    assert the(store, "$m").edited == _NEW


def test_p20_an_edit_whose_keys_stand_twice_is_not_looked_into(store: SyncStore) -> None:
    """SQL and Python read such a content differently (decision 0004): neither shows it."""
    text = Body("s1").join(ROOM, message("$m"), edit("$e", "$m")).done()
    store.apply(text.replace(b'"m.new_content":', b'"m.new_content": {}, "m.new_content":'))
    assert the(store, "$m").edited is None


def test_p20_a_reaction_counts_once_for_sender_and_key(feed: Feed, store: SyncStore, sql: Sql) -> None:
    reactions = [
        reaction("$r1", "$m", "👍"),
        reaction("$r2", "$m", "🎉", BOB),
        reaction("$r3", "$m", "👍", BOB),
        reaction("$r4", "$m", "👍"),
    ]
    odd = [reaction("$o1", "$m", 5), reaction("$o2", "$m", None)]
    feed.take(feed.next.join(ROOM, message("$m"), *reactions, *odd))
    found = store.room(ROOM).reactions("$m")
    assert found == [Reaction("👍", {ANN: "$r1", BOB: "$r3"}), Reaction("🎉", {BOB: "$r2"})]
    assert [one.count for one in found] == [2, 1]
    rows = sql("SELECT key, sender, reaction_id FROM reactions WHERE event_id = '$m' ORDER BY key, sender")
    assert rows == [("🎉", BOB, "$r2"), ("👍", ANN, "$r1"), ("👍", BOB, "$r3")]


def test_p20_a_redaction_undoes_a_reaction(feed: Feed, store: SyncStore, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$m"), reaction("$r1", "$m", "a"), reaction("$r2", "$m", "a")))
    feed.take(feed.next.join(ROOM, redaction("$x", "$r1")))
    assert store.room(ROOM).reactions("$m") == [Reaction("a", {ANN: "$r2"})]
    feed.take(feed.next.join(ROOM, redaction("$y", "$r2")))
    assert store.room(ROOM).reactions("$m") == []
    assert sql("SELECT * FROM reactions") == []


def test_p20_replies_are_found_and_thread_fallbacks_are_none(feed: Feed, store: SyncStore, sql: Sql) -> None:
    said = [in_thread("$f", "$m"), in_thread("$t", "$m", fallback=False)]
    feed.take(feed.next.join(ROOM, message("$m"), reply("$a", "$m"), *said))
    assert [one.event_id for one in store.room(ROOM).replies("$m")] == ["$a", "$t"]
    assert (the(store, "$a").in_reply_to, the(store, "$f").in_reply_to) == ("$m", None)
    assert sql("SELECT event_id, in_reply_to, thread_id FROM messages WHERE event_id <> '$m' ORDER BY 1") == [
        ("$a", "$m", None),
        ("$f", None, "$m"),
        ("$t", "$m", "$m"),
    ]
    feed.take(feed.next.join(ROOM, redaction("$x", "$a")))
    assert [one.event_id for one in store.room(ROOM).replies("$m")] == ["$t"]


def test_p20_relations_of_one_kind_and_of_all(feed: Feed, store: SyncStore) -> None:
    reference = event("$ref", "org.example", {"m.relates_to": {"rel_type": "m.reference", "event_id": "$m"}})
    feed.take(feed.next.join(ROOM, message("$m"), edit("$e", "$m"), reference, in_thread("$t", "$m")))
    room = store.room(ROOM)
    assert [one.event_id for one in room.relations("$m")] == ["$e", "$ref", "$t"]
    assert [one.event_id for one in room.relations("$m", "m.reference")] == ["$ref"]
    assert room.relations("$nothing") == []


def test_p20_threads_the_newest_first(feed: Feed, store: SyncStore) -> None:
    said = [
        message("$m1"),
        message("$m2", sender=ME),
        in_thread("$a1", "$m1", sender=BOB),
        in_thread("$b1", "$m2"),
        in_thread("$a2", "$m1"),
        in_thread("$b2", "$m2"),
        in_thread("$x", "$unseen", sender=ME),
        in_thread("$y", "$a1"),
        redaction("$r", "$b2"),
    ]
    unread = {"$m1": {"notification_count": 2, "highlight_count": 1}}
    feed.take(feed.next.join(ROOM, *said, unread_thread_notifications=unread))
    found = store.room(ROOM).threads()
    assert [(one.thread_id, one.latest.event_id, one.count, one.participated) for one in found] == [
        ("$unseen", "$x", 1, True),
        ("$m1", "$a2", 2, False),
        ("$m2", "$b1", 1, True),
    ]
    assert [one.root.event_id if one.root else None for one in found] == [None, "$m1", "$m2"]
    assert [(one.notification_count, one.highlight_count) for one in found] == [(0, 0), (2, 1), (0, 0)]
    assert the(store, "$a1").thread_id == "$m1"


def test_p20_relations_stay_in_their_room_and_tell_their_place(feed: Feed, store: SyncStore) -> None:
    """Also those of a state block, which have no place and come last."""
    unplaced = reaction("$block", "$m", "a") | {"state_key": "x"}
    body = feed.next.join(ROOM, message("$m"), edit("$e", "$m"), state=[create(), unplaced])
    feed.take(body.join(OTHER, message("$m"), edit("$e2", "$m")))
    found = store.room(ROOM).relations("$m")
    assert [(one.event_id, one.segment is not None) for one in found] == [("$e", True), ("$block", False)]
    assert [one.event_id for one in store.room(OTHER).relations("$m")] == ["$e2"]
    assert store.room(OTHER).event("$e") is None


def test_p20_relations_are_in_the_order_of_the_timeline_also_after_back_fill(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, message("$m"), edit("$e1", "$m"), prev_batch=None))
    feed.take(feed.next.join(ROOM, edit("$e4", "$m"), limited=True, prev_batch="p"))
    store.apply_page(store.gaps()[0], "p", page(edit("$e3", "$m"), edit("$e2", "$m")))
    assert [one.event_id for one in store.room(ROOM).relations("$m", "m.replace")] == ["$e1", "$e2", "$e3", "$e4"]


def test_p20_a_reply_of_a_thread_stands_in_the_room_too_and_counts_once(feed: Feed, store: SyncStore) -> None:
    """Also when a sync or a page repeats it."""
    feed.take(feed.next.join(ROOM, message("$m"), in_thread("$t", "$m"), limited=True, prev_batch="p"))
    feed.take(feed.next.join(ROOM, in_thread("$t", "$m"), message("$z")))
    gap = store.gaps()[0]
    with store.lease_gap(gap, 9) as row:
        assert row is not None and row.walk is not None
        store.apply_page(gap, row.walk, page(message("$z"), in_thread("$t", "$m"), message("$m"), end="q"))
    room = store.room(ROOM)
    assert [item.event_id for item in room.timeline().items if isinstance(item, Event)] == ["$z", "$t", "$m"]
    assert [(one.thread_id, one.count) for one in room.threads()] == [("$m", 1)]


def test_p20_what_is_redacted_leaves_its_thread_and_the_last_one_ends_it(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, message("$m"), in_thread("$t1", "$m"), in_thread("$t2", "$m")))
    feed.take(feed.next.join(ROOM, redaction("$x", "$t2")))
    assert [(one.latest.event_id, one.count) for one in store.room(ROOM).threads()] == [("$t1", 1)]
    feed.take(feed.next.join(ROOM, redaction("$y", "$t1")))
    assert store.room(ROOM).threads() == []


def test_p20_an_edit_shows_in_the_thread_and_does_not_change_which_is_latest(feed: Feed, store: SyncStore) -> None:
    said = [message("$m"), in_thread("$t1", "$m"), in_thread("$t2", "$m"), edit("$e2", "$t2"), edit("$e1", "$t1")]
    feed.take(feed.next.join(ROOM, *said))
    (thread,) = store.room(ROOM).threads()
    assert (thread.latest.event_id, thread.latest.edited_by, thread.count) == ("$t2", "$e2", 2)


# Reads of one event or one page must not walk through the room: each plan may only search.
LOOKUPS = {
    "edits": timeline_query.ONE,
    "relations": relations_query.RELATIONS_OF,
    "replies": relations_query.REPLIES,
    "reactions": relations_query.REACTIONS,
    "the view": "SELECT * FROM reactions WHERE room_id = ? AND event_id = ?",
    "one key's past": history_query.SENT,
    "receipts": account_query.READ_UP_TO,
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_lookup_walks_through_no_table(store: SyncStore, sql: Sql, name: str) -> None:
    statement = LOOKUPS[name]
    plan = [row[3] for row in sql("EXPLAIN QUERY PLAN " + statement, *[""] * statement.count("?"))]
    walked = [
        line for line in plan if line.startswith("SCAN ") and "json_each" not in line and line != "SCAN reactions"
    ]
    assert not walked, plan
    assert not [line for line in plan if "event_by_place" in line], plan
