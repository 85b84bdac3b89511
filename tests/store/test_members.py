"""The member list of a room: lazily known, completed on demand, never overwritten by what is older (promises 9, 10)."""

from __future__ import annotations

import json

import pytest

from syncstore.errors import NotFoundError, WireError
from tests.store.bodies import ANN, BOB, ME, ROOM, Json, create, member, message
from tests.store.conftest import Feed, Sql

MEMBERS = "SELECT user_id, membership, event_id FROM members ORDER BY user_id"
SYNCED = "SELECT members_synced, joined_member_count, invited_member_count FROM rooms"


def answer(*events: Json) -> bytes:
    return json.dumps({"chunk": list(events)}).encode()


def begin(feed: Feed) -> None:
    """A lazy room of three, of whom we were told one."""
    summary = {"m.joined_member_count": 3, "m.invited_member_count": 0, "m.heroes": [ANN]}
    feed.take(feed.next.join(ROOM, message("$m"), state=[create(), member("$me", ME, "join")], summary=summary))


EVERYBODY = (member("$me", ME, "join"), member("$ann", ANN, "join", "Ann"), member("$bob", BOB, "join"))


def test_p10_members_complete_the_list(feed: Feed, sql: Sql) -> None:
    begin(feed)
    assert sql(SYNCED) == [(0, 3, 0)]
    feed.store.apply_members(ROOM, answer(*EVERYBODY, EVERYBODY[1]), asked_at=feed.store.seq)
    assert sql(MEMBERS) == [(ANN, "join", "$ann"), (BOB, "join", "$bob"), (ME, "join", "$me")]
    assert sql(SYNCED) == [(1, 3, 0)]
    assert sql("SELECT display_name FROM rooms") == [("Ann and 1 other",)]


def test_p10_members_never_overwrite_a_later_batch(feed: Feed, sql: Sql) -> None:
    begin(feed)
    asked_at = feed.store.seq
    feed.take(feed.next.join(ROOM, member("$kick", ANN, "leave", sender=BOB), member("$cat", "@cat:x", "join")))
    feed.store.apply_members(ROOM, answer(*EVERYBODY), asked_at=asked_at)
    assert sql(MEMBERS) == [
        (ANN, "leave", "$kick"),
        (BOB, "join", "$bob"),
        ("@cat:x", "join", "$cat"),
        (ME, "join", "$me"),
    ]


def test_p10_members_drop_what_the_server_no_longer_has(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next.join(ROOM, member("$ann", ANN, "join")))
    feed.store.apply_members(ROOM, answer(EVERYBODY[0]), asked_at=feed.store.seq)
    assert sql(MEMBERS) == [(ME, "join", "$me")]
    assert sql("SELECT state_key, event_id FROM state_history") == [(ANN, "$ann")]


def test_p10_members_touch_no_other_state(feed: Feed, sql: Sql) -> None:
    begin(feed)
    other = {"type": "m.room.topic", "state_key": "", "content": {"topic": "no"}}
    feed.store.apply_members(ROOM, answer(*EVERYBODY, member("$x", ANN, "join") | other), asked_at=feed.store.seq)
    assert feed.store.room(ROOM).topic is None
    assert sql("SELECT kind FROM batch ORDER BY id DESC LIMIT 1") == [("members",)]


def test_members_are_asked_for_once(feed: Feed) -> None:
    begin(feed)
    asked: list[str] = []

    def load(room_id: str) -> bytes:
        asked.append(room_id)
        return answer(*EVERYBODY)

    for room in (feed.store.room(ROOM), feed.store.rooms()[0], feed.store.room(ROOM)):
        assert [one.user_id for one in room.members("join", load=load)] == [ANN, BOB, ME]
    assert asked == [ROOM]


def test_members_refuse_what_is_no_list(feed: Feed) -> None:
    begin(feed)
    with pytest.raises(WireError):
        feed.store.apply_members(ROOM, b"{}", asked_at=0)
    with pytest.raises(NotFoundError):
        feed.store.apply_members("!none:example.org", answer(), asked_at=0)
    assert not feed.store.room(ROOM).members_synced


def test_p09_a_restated_lazy_list_is_complete_only_if_the_count_says_so(feed: Feed, sql: Sql) -> None:
    block = [create(), member("$me", ME, "join"), member("$ann", ANN, "join")]
    feed.take(feed.next.join(ROOM, state=block, summary={"m.joined_member_count": 2}))
    assert sql(SYNCED) == [(1, 2, 0)]
    feed.take(feed.next.join(ROOM, state=block[:2], summary={"m.joined_member_count": 2}, limited=True))
    assert sql(SYNCED) == [(0, 2, 0)]


def test_an_empty_summary_means_unchanged(feed: Feed, sql: Sql) -> None:
    begin(feed)
    feed.take(feed.next.join(ROOM, message("$n"), summary={}))
    assert sql(SYNCED) == [(0, 3, 0)]


def test_a_server_that_never_counts_sends_all_members(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, state=[create(), *EVERYBODY], summary={}))
    assert sql(SYNCED) == [(1, 3, 0)]
    feed.take(feed.next.join(ROOM, member("$out", BOB, "leave"), member("$in", "@cat:x", "invite")))
    assert sql(SYNCED) == [(1, 2, 1)]


def test_members_shows_names_as_sent(feed: Feed, sql: Sql) -> None:
    odd = member("$ann", ANN, "join") | {"content": {"membership": "join", "displayname": 5, "avatar_url": "mxc://a"}}
    feed.take(feed.next.join(ROOM, member("$me", ME, "join", "  me\n"), odd))
    assert sql("SELECT user_id, display_name, avatar_url FROM members ORDER BY 1") == [
        (ANN, None, "mxc://a"),
        (ME, "  me\n", None),
    ]


def test_p09_a_server_that_counts_elsewhere_has_not_sent_all_here(feed: Feed, sql: Sql) -> None:
    """A room joined under lazy loading may come without a count: its own join is not in the timeline."""
    begin(feed)
    feed.take(feed.next.join("!new:x", message("$n"), state=[create(), member("$in", ME, "join")], summary={}))
    assert sql("SELECT room_id, members_synced FROM rooms WHERE members_synced = 1") == []


def test_p09_a_server_that_never_counts_sends_all(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$n"), state=[create(), member("$in", ME, "join")], summary={}))
    assert sql("SELECT members_synced FROM rooms") == [(1,)]
