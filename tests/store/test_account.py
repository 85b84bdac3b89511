"""What belongs to the account, and holes that no token shows (promise 19)."""

from __future__ import annotations

import pytest

from tests.store.bodies import ANN, BOB, ME, OTHER, ROOM, Body, create, member, message
from tests.store.conftest import Feed, Sql

SUSPECTS = "SELECT room_id, batch FROM suspects ORDER BY room_id DESC"


def ignoring(body: Body, *users: str) -> Body:
    return body.data("m.ignored_user_list", {"ignored_users": {user: {} for user in users}})


def begin(feed: Feed) -> None:
    body = feed.next.join(ROOM, message("$a")).leave(OTHER, member("$l", ME, "leave")).invite("!i:x")
    feed.take(ignoring(body, ANN, BOB))


def test_p19_a_list_of_ignored_users_that_shrinks_makes_rooms_suspect(feed: Feed, sql: Sql) -> None:
    begin(feed)
    assert sql(SUSPECTS) == []
    applied = feed.take(ignoring(feed.next, ANN))
    assert sql(SUSPECTS) == [(ROOM, applied.batch)]
    assert "ignored" in (feed.store.room(ROOM).suspect or "")
    assert feed.store.info().suspect_rooms == 1


@pytest.mark.parametrize("users", [(ANN, BOB), (ANN, BOB, "@c:x")])
def test_p19_one_that_grows_or_stays_does_not(feed: Feed, sql: Sql, users: tuple[str, ...]) -> None:
    begin(feed)
    feed.take(ignoring(feed.next, *users))
    feed.take(feed.next.data("m.other", {}))
    assert sql(SUSPECTS) == []


@pytest.mark.parametrize("content", [{}, {"ignored_users": []}, {"ignored_users": None}])
def test_p19_one_that_is_emptied_or_broken_does(feed: Feed, sql: Sql, content: object) -> None:
    begin(feed)
    feed.take(feed.next.data("m.ignored_user_list", content))
    assert len(sql(SUSPECTS)) == 1


@pytest.mark.parametrize(
    ("since", "next_batch", "suspect"),
    [("s72_5_1", "s71_9_9", 1), ("s9_1", "s10_0", 0), ("s9", "s9", 0), ("m54~1.55", "m53~1.60", 1), ("opaque", "x", 0)],
)
def test_p19_tokens_that_go_backwards_make_rooms_suspect(
    feed: Feed, sql: Sql, since: str, next_batch: str, suspect: int
) -> None:
    store = feed.store
    store.apply(Body(since).join(ROOM, message("$a")).done(), since=None)
    store.apply(Body(next_batch).done(), since=since, held=since)
    assert len(sql(SUSPECTS)) == suspect
    assert store.token == next_batch


def test_direct_rooms_are_those_of_the_newest_list(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, state=[create()]).join(OTHER, state=[create()]).data("m.direct", {ANN: [ROOM]}))
    direct = "SELECT room_id FROM rooms WHERE is_direct"
    assert sql(direct) == [(ROOM,)]
    feed.take(feed.next.data("m.direct", {BOB: [OTHER, OTHER], ANN: "no list"}))
    assert sql(direct) == [(OTHER,)]
    feed.take(feed.next.data("m.direct", {}))
    assert sql(direct) == []


def test_account_data_is_the_newest_of_its_type(feed: Feed, sql: Sql) -> None:
    room = {"events": [{"type": "m.tag", "content": {"tags": {}}}]}
    feed.take(feed.next.data("m.x", {"n": 1}).data("m.x", {"n": 2}).join(ROOM, account_data=room))
    assert feed.store.account_data("m.x") == {"n": 2}
    assert feed.store.room(ROOM).account_data("m.tag") == {"tags": {}}
    assert (feed.store.account_data("m.tag"), feed.store.room(ROOM).account_data("m.x")) == (None, None)
    feed.take(feed.next.data("m.x", {}))
    assert sql("SELECT room_id, type, content, batch FROM account_data ORDER BY type") == [
        (ROOM, "m.tag", '{"tags": {}}', 1),
        (None, "m.x", "{}", 2),
    ]


def test_key_counts_are_kept_and_only_a_change_is_a_batch(feed: Feed, sql: Sql) -> None:
    counts = {"signed_curve25519": 50}
    feed.take(feed.next.key("device_one_time_keys_count", counts).key("device_unused_fallback_key_types", ["a"]))
    assert sql("SELECT one_time_keys, fallback_keys FROM own_account") == [('{"signed_curve25519": 50}', '["a"]')]
    seq = feed.store.seq
    feed.take(feed.next.key("device_one_time_keys_count", counts))
    assert feed.store.seq == seq


def test_recency_is_without_state_noise(feed: Feed, sql: Sql) -> None:
    feed.take(
        feed.next.join(ROOM, member("$j", ANN, "join", origin_server_ts=5)).join(
            OTHER, message("$m", origin_server_ts=9)
        )
    )
    assert sql("SELECT recency_ts FROM rooms ORDER BY room_id DESC") == [(5,), (9,)]
    feed.take(feed.next.join(ROOM, message("$m", origin_server_ts=7), member("$k", BOB, "join", origin_server_ts=99)))
    feed.take(feed.next.join(OTHER, member("$k", BOB, "join", origin_server_ts=99)))
    assert sql("SELECT recency_ts FROM rooms ORDER BY room_id DESC") == [(7,), (9,)]
    assert [room.room_id for room in feed.store.rooms()] == [OTHER, ROOM]


def test_unread_counts_are_what_the_server_said_last(feed: Feed, sql: Sql) -> None:
    unread = {"notification_count": 3, "highlight_count": 1}
    threads = {"$t": {"notification_count": 2, "highlight_count": 1}}
    feed.take(feed.next.join(ROOM, unread_notifications=unread, unread_thread_notifications=threads))
    feed.take(feed.next.join(ROOM, message("$a")))
    assert sql("SELECT notification_count, highlight_count FROM rooms") == [(3, 1)]
    assert sql("SELECT thread_id, notification_count, highlight_count FROM thread_unread") == [("$t", 2, 1)]
    feed.take(feed.next.join(ROOM, unread_notifications={"notification_count": 0, "highlight_count": 0}))
    assert sql("SELECT notification_count, highlight_count FROM rooms") == [(0, 0)]
    assert sql("SELECT * FROM thread_unread") == []


def test_threads_are_counted_without_the_room_s_count_too(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, unread_thread_notifications={"$t": {"notification_count": 2, "highlight_count": 1}}))
    assert sql("SELECT * FROM thread_unread") == [(ROOM, "$t", 2, 1)]


def test_rooms_are_found_by_id_alias_or_name(feed: Feed) -> None:
    from syncstore.errors import NotFoundError
    from tests.store.bodies import name, state

    alias = state("$c", "m.room.canonical_alias", {"alias": "#one:x"})
    feed.take(feed.next.join(ROOM, name("$n", "Same"), alias).join(OTHER, name("$n", "Same")))
    assert feed.store.room_named("#one:x").room_id == feed.store.room_named(ROOM).room_id == ROOM
    for unknown in ("Same", "None"):
        with pytest.raises(NotFoundError, match=unknown):
            feed.store.room_named(unknown)


def test_presence_is_kept_for_each_user(feed: Feed, sql: Sql) -> None:
    """News of some users leave the others; nobody else has a row."""
    feed.take(feed.next.presence(ANN, {"presence": "online"}).presence(BOB, {"presence": "offline"}))
    feed.take(feed.next.presence("@cat:x", {"presence": "online"}))
    feed.take(feed.next.presence(ANN, {"presence": "unavailable"}))
    assert sql("SELECT user_id, presence FROM presence ORDER BY user_id") == [
        (ANN, "unavailable"),
        (BOB, "offline"),
        ("@cat:x", "online"),
    ]
