"""Rooms as people see them: tags, marks, direct chats, names told apart, receipts by thread."""

from __future__ import annotations

import pytest

from syncstore import SyncStore
from syncstore.room import Room
from tests.store.bodies import ANN, BOB, ME, OTHER, ROOM, Json, create, member, message, wrapped
from tests.store.conftest import Feed


@pytest.fixture
def room(feed: Feed, store: SyncStore) -> Room:
    feed.take(feed.next.join(ROOM, message("$a"), message("$b"), message("$c"), state=[create()], prev_batch=None))
    return store.room(ROOM)


def tagged(feed: Feed, content: object) -> Room:
    feed.take(feed.next.join(ROOM, account_data=wrapped([{"type": "m.tag", "content": content}])))
    return feed.store.room(ROOM)


def test_tags_with_their_order(feed: Feed, room: Room) -> None:
    assert room.tags == {}
    tags = {
        "m.favourite": {"order": 0.25},
        "u.work": {},
        "u.text": {"order": "0.5"},
        "u.odd": {"order": [1]},
        "u.no": 5,
    }
    assert tagged(feed, {"tags": tags}).tags == {
        "m.favourite": 0.25,
        "u.work": None,
        "u.text": 0.5,
        "u.odd": None,
        "u.no": None,
    }
    assert tagged(feed, {"tags": {}}).tags == {}
    assert tagged(feed, {"tags": "none"}).tags == {}


def test_a_room_may_be_marked_unread(feed: Feed, room: Room) -> None:
    assert room.marked_unread is False
    for content, said in (({"unread": True}, True), ({"unread": "yes"}, False), ({}, False)):
        feed.take(feed.next.join(ROOM, account_data=wrapped([{"type": "m.marked_unread", "content": content}])))
        assert feed.store.room(ROOM).marked_unread is said


def test_a_direct_chat_names_its_people(feed: Feed, room: Room) -> None:
    feed.take(feed.next.data("m.direct", {BOB: [ROOM, OTHER], ANN: [ROOM]}))
    assert (feed.store.room(ROOM).is_direct, room.direct_users()) == (True, [ANN, BOB])
    feed.take(feed.next.data("m.direct", {}))
    assert (feed.store.room(ROOM).is_direct, room.direct_users()) == (False, [])


def test_the_fully_read_marker(feed: Feed, room: Room) -> None:
    assert room.fully_read() is None
    feed.take(feed.next.join(ROOM, account_data=wrapped([{"type": "m.fully_read", "content": {"event_id": "$b"}}])))
    assert room.fully_read() == "$b"
    feed.take(feed.next.join(ROOM, account_data=wrapped([{"type": "m.fully_read", "content": {"event_id": 5}}])))
    assert room.fully_read() is None


def names(room: Room) -> dict[str, str]:
    return {one.user_id: one.name for one in room.members()}


def test_members_of_one_name_are_told_apart(feed: Feed, room: Room) -> None:
    """Among those who are here or invited; a blank name is none; somebody's id is a name too."""
    people = [
        member("$1", "@a:x", "join", "Sam"),
        member("$2", "@b:x", "invite", "Sam"),
        member("$3", "@c:x", "leave", "Kim"),
        member("$4", "@d:x", "join", "Kim"),
        member("$5", "@e:x", "join", " "),
        member("$6", "@f:x", "join", "@e:x"),
        member("$7", "@g:x", "join"),
    ]
    feed.take(feed.next.join(ROOM, *people))
    assert names(room) == {
        "@a:x": "Sam (@a:x)",
        "@b:x": "Sam (@b:x)",
        "@c:x": "Kim (@c:x)",
        "@d:x": "Kim",
        "@e:x": "@e:x",
        "@f:x": "@e:x (@f:x)",
        "@g:x": "@g:x",
    }
    alone = room.member("@d:x")
    assert alone is not None and alone.name == "Kim"
    assert [one.name for one in room.members("invite")] == ["Sam (@b:x)"]
    assert room.member("@nobody:x") is None
    feed.take(feed.next.join(ROOM, member("$8", "@b:x", "leave")))
    assert names(room)["@a:x"] == "Sam"


def test_members_by_membership_and_by_their_newest_event(feed: Feed, room: Room) -> None:
    people = [
        member("$1", ANN, "join", "Ann"),
        member("$2", BOB, "invite", "Bob"),
        member("$3", "@c:x", "leave", "Cat"),
    ]
    feed.take(feed.next.join(ROOM, *people))
    assert [one.user_id for one in room.members()] == [ANN, BOB, "@c:x"]
    assert [one.user_id for one in room.members("join")] == [ANN]
    assert [one.user_id for one in room.members("invite")] == [BOB]
    changed = member("$4", ANN, "join") | {
        "content": {"membership": "join", "displayname": "Bob", "avatar_url": "mxc://a"}
    }
    feed.take(feed.next.join(ROOM, changed))
    ann = room.member(ANN)
    assert ann is not None and (ann.display_name, ann.avatar_url, ann.event_id) == ("Bob", "mxc://a", "$4")
    assert [one.user_id for one in room.members() if one.display_name == "Bob"] == [ANN, BOB]


def receipt(event_id: str, user: str = BOB, kind: str = "m.read", thread: str | None = None, ts: int = 1) -> Json:
    content = {event_id: {kind: {user: {"ts": ts} | ({} if thread is None else {"thread_id": thread})}}}
    return {"type": "m.receipt", "content": content}


def test_how_far_somebody_has_read_by_thread(feed: Feed, room: Room) -> None:
    """The place of what was read decides, not the clock; a receipt without a thread counts in all of them."""
    receipts = [receipt("$b", ts=9), receipt("$c", thread="main", ts=1), receipt("$a", thread="$t", ts=99)]
    feed.take(feed.next.join(ROOM, ephemeral=wrapped(receipts)))
    far = {thread: room.read_up_to(BOB, thread) for thread in ("main", "$t", "$u")}
    assert {thread: one.event_id if one else None for thread, one in far.items()} == {
        "main": "$c",
        "$t": "$b",
        "$u": "$b",
    }
    assert room.read_up_to(ANN) is None


def test_our_private_receipt_counts_too(feed: Feed, room: Room) -> None:
    feed.take(feed.next.join(ROOM, ephemeral=wrapped([receipt("$a", ME), receipt("$c", ME, "m.read.private")])))
    mine = room.read_up_to(ME)
    assert mine is not None and (mine.event_id, mine.receipt_type) == ("$c", "m.read.private")


def test_a_receipt_may_come_before_its_event(feed: Feed, room: Room) -> None:
    feed.take(feed.next.join(ROOM, ephemeral=wrapped([receipt("$later")])))
    before = room.receipts()
    assert [one.event_id for one in before] == ["$later"]
    feed.take(feed.next.join(ROOM, message("$later")))
    assert room.receipts() == before


def test_the_room_list_is_sorted_by_what_was_said(feed: Feed, store: SyncStore) -> None:
    feed.take(feed.next.join(ROOM, message("$a", origin_server_ts=5)).join(OTHER, message("$b", origin_server_ts=7)))
    feed.take(feed.next.join(ROOM, member("$m", ANN, "join", origin_server_ts=50)))
    assert [one.room_id for one in store.rooms()] == [OTHER, ROOM]
    feed.take(feed.next.join(ROOM, message("$c", origin_server_ts=9), unread_notifications={"notification_count": 2}))
    assert [(one.room_id, one.notification_count) for one in store.rooms()] == [(ROOM, 2), (OTHER, 0)]
