"""Redactions: by the room's version, wherever the content stands, down to the bytes (promise 16)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.store.bodies import (
    ANN,
    BOB,
    ME,
    OTHER,
    ROOM,
    Json,
    create,
    event,
    member,
    message,
    name,
    page,
    redaction,
    topic,
)
from tests.store.conftest import Feed, Sql, bytes_of

SECRET = "SECRET-TEXT"


def begin(feed: Feed, *timeline: Json, version: str | None = "10") -> None:
    feed.take(feed.next.join(ROOM, *timeline, state=[create(version=version)], prev_batch=None))


def content(sql: Sql, id: str, column: str = "content") -> Any:
    text = sql(f"SELECT {column} FROM events WHERE event_id = ?", id)[0][0]
    return None if text is None else json.loads(text)


def gone(path: Path, sql: Sql) -> bool:
    """No view and no byte of the file or its WAL holds the secret."""
    return SECRET.encode() not in bytes_of(path)


@pytest.mark.parametrize(
    ("version", "type", "sent", "left"),
    [
        ("10", "m.room.message", {"body": SECRET}, {}),
        ("10", "m.room.member", {"membership": "join", "displayname": SECRET}, {"membership": "join"}),
        (
            "1",
            "m.room.member",
            {"membership": "join", "join_authorised_via_users_server": SECRET},
            {"membership": "join"},
        ),
        ("11", "m.room.power_levels", {"invite": 5, "notifications": {"room": SECRET}}, {"invite": 5}),
        ("10", "m.room.power_levels", {"ban": 5, "invite": 7}, {"ban": 5}),
        ("5", "m.room.aliases", {"aliases": ["#a:b"]}, {"aliases": ["#a:b"]}),
        ("6", "m.room.aliases", {"aliases": [SECRET]}, {}),
        ("7", "m.room.join_rules", {"join_rule": "x", "allow": [SECRET]}, {"join_rule": "x"}),
        ("8", "m.room.join_rules", {"join_rule": "x", "allow": []}, {"join_rule": "x", "allow": []}),
        ("org.example.unknown", "m.room.power_levels", {"invite": 5, "x": SECRET}, {"invite": 5}),
        (None, "m.room.member", {"membership": "join", "displayname": SECRET}, {"membership": "join"}),
    ],
)
def test_p16_what_is_left_depends_on_the_version(
    feed: Feed, sql: Sql, path: Path, version: str | None, type: str, sent: Json, left: Json
) -> None:
    begin(feed, event("$x", type, sent, state_key="@x:y", **{"org.x": SECRET}), version=version)
    feed.take(feed.next.join(ROOM, redaction("$r", "$x")))
    assert content(sql, "$x") == left
    assert sql("SELECT redacted_by, extra FROM events WHERE event_id = '$x'") == [("$r", None)]
    assert gone(path, sql)


def test_p16_the_create_event_of_version_11_keeps_all(feed: Feed, sql: Sql) -> None:
    begin(feed, version="11")
    feed.take(feed.next.join(ROOM, redaction("$r", "$create")))
    assert content(sql, "$create") == {"creator": ANN, "room_version": "11"}


@pytest.mark.parametrize(("version", "place"), [("10", "content"), ("11", "top")])
def test_p16_only_the_version_s_own_place_names_the_target(feed: Feed, sql: Sql, version: str, place: str) -> None:
    begin(feed, message("$x"), version=version)
    forged = redaction("$r", "$x")
    if place == "content":
        del forged["redacts"]
    else:
        forged["content"] = {}
    feed.take(feed.next.join(ROOM, forged))
    assert sql("SELECT event_id FROM messages") == [("$x",)]


def test_p16_one_batch_may_hold_both(feed: Feed, sql: Sql, path: Path) -> None:
    begin(feed, message("$x", SECRET), redaction("$r", "$x"))
    assert sql("SELECT * FROM messages") == []
    assert gone(path, sql)


def test_p16_a_redaction_waits_for_its_event(feed: Feed, sql: Sql, path: Path) -> None:
    begin(feed, redaction("$r", "$x"))
    feed.take(feed.next.join(ROOM, message("$y")))
    feed.take(feed.next.join(ROOM, message("$x", SECRET)))
    assert sql("SELECT event_id FROM messages") == [("$y",)]
    assert sql("SELECT redacted_by FROM events WHERE event_id = '$x'") == [("$r",)]
    assert gone(path, sql)


@pytest.mark.parametrize("where", ["page", "state", "members"])
def test_p16_it_waits_wherever_the_event_comes_from(feed: Feed, sql: Sql, path: Path, where: str) -> None:
    feed.take(feed.next.join(ROOM, redaction("$r", "$x"), state=[create()], limited=True))
    late = member("$x", BOB, "join", SECRET)
    if where == "page":
        walk = sql("SELECT walk FROM gap")[0][0]
        feed.store.apply_page(feed.store.gaps()[0], walk, page(late, end="q"))
    elif where == "state":
        feed.take(feed.next.join(ROOM, state=[late]))
    else:
        feed.store.apply_members(ROOM, json.dumps({"chunk": [late]}).encode(), asked_at=feed.store.seq)
        assert sql("SELECT display_name FROM rooms") == [(f"Empty room (was {BOB})",)]
    assert content(sql, "$x") == {"membership": "join"}
    assert gone(path, sql)


def test_p16_state_in_the_pile_and_what_is_derived_from_it(feed: Feed, sql: Sql, path: Path) -> None:
    begin(feed, name("$n", SECRET), topic("$t", SECRET), member("$me", ME, "join"))
    assert feed.store.room(ROOM).display_name == SECRET
    feed.take(feed.next.join(ROOM, redaction("$r1", "$n"), redaction("$r2", "$t")))
    room = feed.store.room(ROOM)
    assert (room.name, room.topic, room.display_name) == (None, None, "Empty room")
    assert content(sql, "$n") == {}
    assert (gone(path, sql), feed.store.check()) == (True, [])


def test_p16_archived_state_too(feed: Feed, sql: Sql, path: Path) -> None:
    begin(feed, name("$n", SECRET))
    feed.take(feed.next.leave(ROOM, redaction("$r", "$n"), member("$l", ME, "leave")))
    assert sql("SELECT name, display_name FROM rooms") == [(None, "Empty room")]
    assert sql("SELECT content FROM archived_state WHERE type = 'm.room.name'") == [("{}",)]
    assert gone(path, sql)


def test_p16_history_and_prev_content_of_the_next_event(feed: Feed, sql: Sql, path: Path) -> None:
    told = {"prev_content": {"topic": SECRET}, "replaces_state": "$t1", "prev_sender": ANN}
    begin(feed, topic("$t1", SECRET), topic("$t2", "after", unsigned=told))
    feed.take(feed.next.join(ROOM, redaction("$r", "$t1")))
    assert sql("SELECT event_id, content FROM state_history") == [("$t1", "{}")]
    assert content(sql, "$t2", "unsigned")["prev_content"] == {}
    assert content(sql, "$t2") == {"topic": "after"}
    assert gone(path, sql)


def test_p16_a_member_s_name_goes_from_the_room_s_name(feed: Feed, sql: Sql, path: Path) -> None:
    begin(feed, member("$ann", ANN, "join", SECRET), member("$me", ME, "join"))
    assert feed.store.room(ROOM).display_name == SECRET
    feed.take(feed.next.join(ROOM, redaction("$r", "$ann")))
    assert feed.store.room(ROOM).display_name == ANN
    assert sql("SELECT membership, display_name FROM members WHERE user_id = ?", ANN) == [("join", None)]
    assert gone(path, sql)


def test_p16_derived_columns_of_the_event(feed: Feed, sql: Sql, path: Path) -> None:
    related = {"body": SECRET, "m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}}
    begin(feed, message("$x") | {"content": related})
    feed.take(feed.next.join(ROOM, redaction("$r", "$x")))
    assert sql("SELECT rel_type, relates_to FROM events WHERE event_id = '$x'") == [(None, None)]
    assert (gone(path, sql), feed.store.check()) == (True, [])


def test_p16_raw_bytes_in_quarantine(feed: Feed, sql: Sql, path: Path) -> None:
    begin(feed, message("$x", SECRET, sender=5))
    feed.take(feed.next.join(ROOM, redaction("$r", "$x")))
    assert sql("SELECT event_id, raw FROM quarantine") == [("$x", None)]
    assert gone(path, sql)


@pytest.mark.parametrize("seen", [False, True])
def test_p16_a_broken_copy_that_comes_after_its_redaction(feed: Feed, sql: Sql, path: Path, seen: bool) -> None:
    begin(feed, *([message("$x", SECRET)] if seen else []), redaction("$r", "$x"))
    feed.take(feed.next.join(ROOM, message("$x", SECRET, sender=5)))
    assert sql("SELECT event_id, raw FROM quarantine") == [("$x", None)]
    assert gone(path, sql)


def test_p16_a_redaction_of_a_redaction(feed: Feed, sql: Sql, path: Path) -> None:
    """The first target stays stripped; the reason goes, also from the copy inside the target's unsigned."""
    because = redaction("$r", "$x") | {"content": {"redacts": "$x", "reason": SECRET}}
    begin(feed, message("$x", "old", unsigned={"redacted_because": because}), because)
    feed.take(feed.next.join(ROOM, redaction("$r2", "$r")))
    assert sql("SELECT event_id, redacts, redacted_by FROM events WHERE event_id IN ('$r', '$x') ORDER BY 1") == [
        ("$r", None, "$r2"),
        ("$x", None, "$r"),
    ]
    assert gone(path, sql)


def test_p16_a_pruned_redaction_names_nothing(feed: Feed, sql: Sql) -> None:
    pruned = event("$r", "m.room.redaction", {}, unsigned={"redacted_because": redaction("$r2", "$r")})
    begin(feed, message("$x"), pruned)
    assert sql("SELECT event_id FROM messages") == [("$x",)]
    assert sql("SELECT redacts, redacted_by FROM events WHERE event_id = '$r'") == [(None, "$r2")]


def test_p16_a_stripped_event_keeps_its_place(feed: Feed, sql: Sql) -> None:
    begin(feed, message("$a"), message("$x"), message("$b"))
    places = sql("SELECT event_id, segment, position FROM timeline ORDER BY position")
    feed.take(feed.next.join(ROOM, redaction("$r", "$x")))
    assert sql("SELECT event_id, segment, position FROM timeline ORDER BY position")[:3] == places


def test_p16_bytes_that_a_reader_kept_go_at_the_next_chance(feed: Feed, sql: Sql, path: Path) -> None:
    begin(feed, message("$x", SECRET))
    with feed.store.read() as snap:
        assert snap.rooms()
        feed.take(feed.next.join(ROOM, redaction("$r", "$x")))
        assert sql("SELECT * FROM messages") == []  # for SQL it is gone at the commit
    feed.take(feed.next)
    assert gone(path, sql)


def test_p16_bytes_are_gone_at_close(feed: Feed, sql: Sql, path: Path) -> None:
    begin(feed, message("$x", SECRET * 1000))
    with feed.store.read() as snap:
        assert snap.rooms()
        feed.take(feed.next.join(ROOM, redaction("$r", "$x")))
    feed.store.close()
    assert gone(path, sql)


def test_p16_only_the_room_of_the_redaction(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(OTHER, message("$x"), state=[create()]))
    begin(feed, redaction("$r", "$x"))
    assert sql("SELECT room_id, event_id FROM messages") == [(OTHER, "$x")]


VERSIONS = [str(number) for number in range(1, 13)]


def of_version(id: str, target: str, version: str) -> Json:
    """A redaction that names its target where this version looks, and nowhere else."""
    bare = redaction(id, target)
    if int(version) >= 11:
        del bare["redacts"]
    else:
        del bare["content"]["redacts"]
    return bare


@pytest.mark.parametrize("version", VERSIONS)
def test_p16_every_version_strips_in_every_place(feed: Feed, sql: Sql, path: Path, version: str) -> None:
    """In the timeline, in the pile, in history, in a gap, before the event comes and after; and an edit's text."""
    new = {"msgtype": "m.text", "body": SECRET}
    relation = {"rel_type": "m.replace", "event_id": "$kept"}
    edited = event("$edit", "m.room.message", {**new, "m.new_content": new, "m.relates_to": relation})
    answer = event(
        "$answer", "m.room.message", {"body": SECRET, "m.relates_to": {"m.in_reply_to": {"event_id": "$kept"}}}
    )
    before = [topic("$old", SECRET), topic("$now", SECRET), name("$name", SECRET), message("$said", SECRET)]
    begin(feed, *before, message("$kept", "kept"), edited, answer, version=version)
    strikes = {"$old": "$r1", "$said": "$r2", "$edit": "$r3", "$answer": "$r4", "$early": "$r5"}
    feed.take(feed.next.join(ROOM, *(of_version(by, target, version) for target, by in strikes.items())))
    feed.take(feed.next.join(ROOM, message("$early", SECRET)))
    # The topic of today, and an old name, are redacted inside a gap: no sync tells.
    feed.take(feed.next.join(ROOM, message("$z"), limited=True, prev_batch="p"))
    assert (feed.store.room(ROOM).topic, feed.store.room(ROOM).name) == (SECRET, SECRET)
    unseen = [of_version("$r6", "$now", version), of_version("$r7", "$name", version)]
    feed.store.apply_page(feed.store.gaps()[0], "p", page(*unseen))
    struck = [*strikes, "$now", "$name"]
    assert [content(sql, one) for one in struck] == [{}] * len(struck)
    room = feed.store.room(ROOM)
    assert (room.topic, room.name) == (None, None)
    assert sql("SELECT event_id, body FROM messages ORDER BY segment, position") == [("$kept", "kept"), ("$z", "hello")]
    assert (room.replies("$kept"), room.relations("$kept")) == ([], [])
    assert gone(path, sql)
    assert feed.store.check() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_p16_every_version_strips_a_redaction_too(feed: Feed, sql: Sql, path: Path, version: str) -> None:
    """What it struck stays struck; its own reason goes, also where it stands inside the other."""
    begin(feed, message("$x", SECRET), version=version)
    first = of_version("$r1", "$x", version)
    first["content"]["reason"] = SECRET + "-reason"
    feed.take(feed.next.join(ROOM, first))
    feed.take(feed.next.join(ROOM, of_version("$r2", "$r1", version)))
    assert sql("SELECT redacted_by FROM events WHERE event_id IN ('$x', '$r1') ORDER BY event_id") == [
        ("$r2",),
        ("$r1",),
    ]
    assert content(sql, "$x") == {}
    assert gone(path, sql)
