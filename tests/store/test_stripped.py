"""Invite and knock piles beside the state that we hold (promise 7)."""

from __future__ import annotations

from tests.store.bodies import ANN, BOB, ME, OTHER, ROOM, create, member, message, name, stripped, topic
from tests.store.conftest import Feed, Sql

INVITE = "SELECT type, state_key, content FROM invite_state WHERE room_id = ? ORDER BY type, state_key"
KNOCK = "SELECT type, state_key, content FROM knock_state WHERE room_id = ? ORDER BY type, state_key"
MINE = ("m.room.member", ME, '{"membership": "invite"}')
SHOWN = "SELECT membership, display_name, name, topic, avatar_url, room_type FROM rooms"


def named(text: str) -> dict[str, object]:
    return stripped("m.room.name", {"name": text})


def test_p07_an_invite_never_touches_the_archived_state(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, name("$n", "Old"), topic("$t", "Talk"), state=[create()]))
    feed.take(feed.next.leave(ROOM, member("$l", ME, "leave")))
    archived = sql("SELECT * FROM archived_state ORDER BY type")
    feed.take(feed.next.invite(ROOM, named("New"), stripped("m.room.create", {"type": "m.space"})))
    now = sql("SELECT * FROM archived_state ORDER BY type")
    assert [row[2:] for row in now] == [row[2:] for row in archived]
    assert {row[1] for row in now} == {"invite"}
    assert sql(SHOWN) == [("invite", "New", "New", None, None, "m.space")]
    assert [row[0] for row in sql(INVITE, ROOM)] == ["m.room.create", "m.room.member", "m.room.name"]


def test_p07_a_newer_invite_replaces_the_older_pile_as_a_whole(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.invite(ROOM, named("A"), stripped("m.room.topic", {"topic": "T"})))
    feed.take(feed.next.invite(ROOM, named("B")))
    assert sql(INVITE, ROOM) == [MINE, ("m.room.name", "", '{"name": "B"}')]
    assert sql(SHOWN) == [("invite", "B", "B", None, None, None)]


def test_p07_invite_and_knock_clear_each_other(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.knock(ROOM, named("K")))
    assert (sql(INVITE, ROOM), len(sql(KNOCK, ROOM))) == ([], 2)
    assert sql(SHOWN)[0][:2] == ("knock", "K")
    feed.take(feed.next.invite(ROOM, named("I")))
    assert (len(sql(INVITE, ROOM)), sql(KNOCK, ROOM)) == (2, [])
    feed.take(feed.next.knock(ROOM))
    assert (sql(INVITE, ROOM), len(sql(KNOCK, ROOM))) == ([], 1)


def test_p07_the_three_piles_share_no_rows(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, name("$n", "One"), state=[create()]).invite(OTHER, named("Two")))
    assert {row[0] for row in sql("SELECT room_id FROM state")} == {ROOM}
    assert {row[0] for row in sql("SELECT room_id FROM invite_state")} == {OTHER}
    assert sql("SELECT count(*) FROM events WHERE room_id = ?", OTHER) == [(0,)]


def test_p07_while_knocking_the_knock_is_shown(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, name("$n", "Old"), state=[create()]))
    avatar, alias = (
        stripped("m.room.avatar", {"url": "mxc://a/b"}),
        stripped("m.room.canonical_alias", {"alias": "#a:b"}),
    )
    feed.take(feed.next.leave(ROOM, member("$l", ME, "leave")).knock(ROOM, avatar, alias))
    assert sql(SHOWN) == [("knock", "#a:b", None, None, "mxc://a/b", None)]


def test_p07_invites_that_say_little_have_a_name_all_the_same(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.invite(ROOM, member("$x", ANN, "join", "Ann")))
    assert sql(SHOWN)[0][:2] == ("invite", "Ann")
    feed.take(feed.next.invite(ROOM))
    assert sql(SHOWN)[0][:2] == ("invite", "Empty room")


def test_inviter_and_is_direct_come_from_our_own_member_event(feed: Feed, sql: Sql) -> None:
    body = feed.next
    mine = stripped("m.room.member", {"membership": "invite", "is_direct": True}, ME, BOB)
    body.json["rooms"] = {"invite": {ROOM: {"invite_state": {"events": [mine]}}}}
    feed.take(body)
    assert sql("SELECT inviter, is_direct FROM rooms") == [(BOB, 1)]
    assert sql("SELECT sender FROM invite_state") == [(BOB,)]
    feed.take(feed.next.join(ROOM, message("$a")))
    assert sql("SELECT inviter, is_direct FROM rooms") == [(None, 0)]
