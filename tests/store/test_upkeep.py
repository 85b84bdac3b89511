"""What an owner does to a store: forget a room, take the file to a new login (promises 4, 9 and 12)."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import OtherAccountError
from tests.store import rich
from tests.store.bodies import (
    ANN,
    ME,
    OTHER,
    ROOM,
    Json,
    create,
    member,
    message,
    page,
    redaction,
    stripped,
    topic,
    wrapped,
)
from tests.store.conftest import Feed, Sql, bytes_of

SECRET = "SECRET-TEXT"


def talkative(room: str) -> Json:
    """Everything that may hang on a room, each with the secret in it."""
    told = {"prev_content": {"topic": SECRET}, "m.relations": {"m.replace": message("$in", SECRET)}}
    receipt = {"$m": {"m.read": {f"@{SECRET}:x": {"ts": 5}}}}
    ephemeral = [
        {"type": "m.typing", "content": {"user_ids": [f"@{SECRET}:x"]}},
        {"type": "m.receipt", "content": receipt},
        {"type": "org.x", "content": {"a": SECRET}},
    ]
    return {
        "timeline": [
            message("$m", SECRET, **{"org.x": SECRET}),
            topic("$t1", SECRET),
            topic("$t2", SECRET, unsigned=told),
            member("$b", f"@{SECRET}:x", "join", SECRET),
            message("$bad", SECRET, sender=5),
            redaction("$r", f"${SECRET}"),
        ],
        "ephemeral": wrapped(ephemeral),
        "account_data": wrapped([{"type": "m.tag", "content": {"tags": {SECRET: {}}}}]),
        "unread_thread_notifications": {f"${SECRET}": {"notification_count": 1}},
        "unread_notifications": {"notification_count": 1},
        "summary": {"m.heroes": [f"@{SECRET}:x"]},
        "org.unknown": SECRET,
        "room_id_for_the_reader": room,
    }


def test_p09_forget_leaves_no_row_and_no_byte(feed: Feed, sql: Sql, path: Path) -> None:
    entry = talkative(ROOM)
    timeline = entry.pop("timeline")
    feed.take(
        feed.next.join(ROOM, *timeline, state=[create()], limited=True, **entry).join(OTHER, message("$m", "stays"))
    )
    feed.take(feed.next.leave(ROOM, member("$l", ME, "leave")).invite(ROOM, stripped("m.room.name", {"name": SECRET})))
    feed.store.apply_page(feed.store.room(ROOM).gaps()[-1], "s1", page(message("$old", SECRET), end="q"))
    assert bytes_of(path).count(SECRET.encode()) > 10
    feed.store.forget(ROOM)
    assert SECRET.encode() not in bytes_of(path)
    assert ROOM.encode() not in bytes_of(path)
    assert [room.room_id for room in feed.store.rooms()] == [OTHER]
    assert sql("SELECT body FROM messages") == [("stays",)]
    assert feed.store.check() == []


def test_p09_only_forget_deletes_what_is_archived(feed: Feed, sql: Sql) -> None:
    rich.fill(feed.store)
    events = sql("SELECT room_id, event_id FROM events ORDER BY 1, 2")
    feed.store.apply(b'{"next_batch": "s3"}', since=None, held="s2")
    assert sql("SELECT room_id, event_id FROM events ORDER BY 1, 2") == events
    assert sql("SELECT count(*) FROM archived_state WHERE room_id = ?", ROOM)[0][0] > 3


def test_a_forgotten_room_that_comes_again_is_new(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), state=[create(), topic("$t", "old")], prev_batch=None))
    feed.store.forget(ROOM)
    feed.take(feed.next.join(ROOM, message("$b"), prev_batch="p2"))
    assert sql("SELECT kind, since FROM gaps") == [("start", None)]
    assert feed.store.room(ROOM).topic is None


def test_rebind_takes_the_file_to_a_new_login(feed: Feed, sql: Sql, path: Path) -> None:
    rich.fill(feed.store)
    feed.store.keep_filter("{}", "7")
    events, state = sql("SELECT event_id FROM events"), sql("SELECT * FROM state")
    feed.store.rebind("NEW")
    assert (feed.store.token, feed.store.device_id, feed.store.filter_id("{}")) == (None, "NEW", None)
    assert sql("SELECT device_id, next_batch FROM account") == [("NEW", None)]
    assert (sql("SELECT event_id FROM events"), sql("SELECT * FROM state")) == (events, state)
    assert sql("SELECT * FROM to_device") == []
    assert sql("SELECT one_time_keys, fallback_keys FROM own_account") == [(None, None)]
    assert ("*", "changed") in sql("SELECT user_id, change FROM device_lists")
    with pytest.raises(OtherAccountError):
        SyncStore.open(path, user_id=ME, device_id="DEV")


def test_p12_after_rebind_the_old_coverage_is_kept_per_room(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.join(ROOM, message("$a"), prev_batch=None).join(OTHER, message("$a"), prev_batch=None))
    feed.store.rebind("NEW")
    feed.take(feed.next.join(ROOM, message("$a"), message("$b"), prev_batch="p2"))
    gaps = "SELECT room_id, kind, prev_batch, since FROM gaps ORDER BY id"
    assert sql(gaps) == [(ROOM, "absence", "p2", "s1")]
    assert sql("SELECT membership FROM rooms WHERE room_id = ?", OTHER) == [("leave",)]
    feed.take(feed.next.join(OTHER, message("$c"), prev_batch="p3"))
    assert sql(gaps)[1:] == [(OTHER, "absence", "p3", "s1")]


def test_p04_a_batch_of_the_old_login_is_stale_after_rebind(feed: Feed) -> None:
    from syncstore.errors import StaleBatchError

    feed.take(feed.next.join(ROOM, message("$a")))
    late = feed.next.to_device({"old": 1})
    feed.store.rebind("NEW")
    with pytest.raises(StaleBatchError):
        feed.store.apply(late.done(), since="s1", held="s1")


def test_bind_notes_the_server_and_never_another_device(path: Path, sql: Sql) -> None:
    with SyncStore.open(path, user_id=ME) as store:
        store.bind("https://example.org", "ONE")
        store.bind("https://example.com", "TWO")
        assert (store.homeserver, store.device_id) == ("https://example.com", "ONE")
    assert sql("SELECT homeserver, device_id FROM account") == [("https://example.com", "ONE")]


def test_filters_are_kept_by_their_text(store: SyncStore) -> None:
    store.keep_filter("a", "1")
    store.keep_filter("a", "2")
    store.keep_filter("b", "1")
    assert (store.filter_id("a"), store.filter_id("b"), store.filter_id("c")) == ("2", "1", None)
    store.drop_filter("1")
    assert (store.filter_id("a"), store.filter_id("b")) == ("2", None)


def test_info_at_a_glance(feed: Feed) -> None:
    rich.fill(feed.store)
    info = feed.store.info()
    assert (info.user_id, info.device_id, info.next_batch, info.quarantined) == (ME, "DEV", "s2", 1)
    assert info.rooms == {"invite": 1, "join": 1}
    assert (info.gaps, info.unreachable_gaps, info.suspect_rooms) == (3, 0, 0)
    assert info.file_bytes > 10_000
    assert ANN not in repr(info)


def test_a_room_known_from_an_invite_alone_can_be_forgotten(feed: Feed, sql: Sql, path: Path) -> None:
    feed.take(feed.next.invite(ROOM, stripped("m.room.name", {"name": "ashamed-of-it"})))
    feed.store.forget(ROOM)
    assert (sql("SELECT * FROM rooms"), sql("SELECT * FROM invite_state")) == ([], [])
    feed.store.close()
    assert b"ashamed-of-it" not in bytes_of(path)
