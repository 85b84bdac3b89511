"""The inbox of our device: what stays, for whom, and what is left of what is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncstore import Consumer, SyncStore
from syncstore.errors import NotFoundError
from tests.store.bodies import ANN, BOB, Body
from tests.store.conftest import Feed, Sql, bytes_of, plant


def keys(store: SyncStore, consumer: str = "default") -> list[object]:
    return [message.content["key"] for message in store.to_device(consumer)]


def ack(store: SyncStore, count: int, consumer: str = "default") -> None:
    store.ack([message.id for message in store.to_device(consumer, limit=count)], consumer)


def inbox(body: Body, *keys: int) -> Body:
    for key in keys:
        body.to_device({"key": key})
    return body


def test_p35_messages_stay_in_order_until_they_are_acknowledged(feed: Feed, path: Path) -> None:
    feed.take(inbox(feed.next, 1, 2))
    feed.take(inbox(feed.next, 3))
    assert keys(feed.store) == [1, 2, 3]
    ack(feed.store, 2)
    assert keys(feed.store) == [3]
    feed.store.close()
    with SyncStore.open(path) as again:
        assert keys(again) == [3]
        ack(again, 1)
        assert keys(again) == []


def test_p35_each_consumer_gets_each_message_once(feed: Feed) -> None:
    assert keys(feed.store, "keys") == keys(feed.store, "dialogue") == []
    feed.take(inbox(feed.next, 1, 2))
    ack(feed.store, 2, "keys")
    assert (keys(feed.store, "keys"), keys(feed.store, "dialogue")) == ([], [1, 2])
    ack(feed.store, 1, "dialogue")
    feed.take(inbox(feed.next, 3))
    assert (keys(feed.store, "keys"), keys(feed.store, "dialogue")) == ([3], [2, 3])


def test_p35_a_message_may_be_acknowledged_out_of_order_and_twice(feed: Feed) -> None:
    feed.take(inbox(feed.next, 1, 2, 3))
    second = feed.store.to_device()[1].id
    feed.store.ack([second])
    feed.store.ack([second, second, 4711])
    assert keys(feed.store) == [1, 3]
    with pytest.raises(NotFoundError, match="no consumer nobody"):
        feed.store.ack([second], "nobody")


def test_p35_what_is_done_may_be_acknowledged_again_and_the_next_batch_is_taken(feed: Feed) -> None:
    feed.take(inbox(feed.next, 1))
    ids = [message.id for message in feed.store.to_device()]
    feed.store.ack(ids)
    feed.store.ack(ids)
    feed.take(inbox(feed.next, 2))
    assert keys(feed.store) == [2]


def test_p35_a_store_in_which_messages_are_done_is_sound(feed: Feed) -> None:
    feed.take(inbox(feed.next, 1, 2))
    ack(feed.store, 1)
    assert feed.store.check() == []


def test_p35_a_snapshot_that_repeats_what_is_done_delivers_nothing(feed: Feed) -> None:
    feed.take(inbox(feed.next, 1, 2))
    ack(feed.store, 1)
    feed.snapshot(inbox(feed.next, 1, 2, 3))
    assert keys(feed.store) == [2, 3]
    ack(feed.store, 2)
    feed.snapshot(inbox(feed.next, 1, 2, 3))
    assert keys(feed.store) == []
    # Not repeated but sent once more: after a request that acknowledged the first.
    feed.take(inbox(feed.next, 1))
    assert keys(feed.store) == [1]


def test_p35_what_was_delivered_before_a_repair_is_not_delivered_again(feed: Feed, path: Path) -> None:
    """The repaired store has no token, and yet messages that the server repeats."""
    feed.take(inbox(feed.next.data("m.lost", {}), 1, 2))
    ack(feed.store, 1)
    feed.store.device_lists()
    feed.store.close()
    plant(path, "UPDATE account_datum SET content = x'ff'")
    new = path.with_name("new.db")
    SyncStore.recover(path, new)
    with SyncStore.open(new) as again:
        assert again.token is None
        feed.store = again
        feed.take(inbox(feed.next, 1, 2, 3))
        assert keys(again) == [2, 3]
        assert again.device_lists().changed == {"*"}
        assert again.check() == []


def test_p35_nothing_of_a_message_that_is_done_is_left_in_the_file(feed: Feed, path: Path, sql: Sql) -> None:
    feed.take(feed.next.to_device({"key": "a secret key"}))
    feed.store.ack([message.id for message in feed.store.to_device()])
    assert sql("SELECT * FROM to_device") == []
    feed.store.close()
    assert b"a secret key" not in bytes_of(path)


def test_p35_old_messages_that_are_done_go_with_the_next_batch_of_them(feed: Feed, sql: Sql) -> None:
    feed.take(inbox(feed.next, 1))
    ack(feed.store, 1)
    assert sql("SELECT count(*) FROM to_device_message") == [(1,)]
    feed.take(inbox(feed.next, 2))
    assert keys(feed.store) == [2]
    assert sql("SELECT count(*) FROM to_device_message") == [(1,)]


def test_p35_device_lists_that_change_while_a_consumer_works_are_told_again(feed: Feed) -> None:
    feed.take(feed.next.key("device_lists", {"changed": [ANN], "left": [BOB]}))
    seen = feed.store.device_lists()
    assert (seen.changed, seen.left) == (frozenset({ANN}), frozenset({BOB}))
    feed.take(feed.next.key("device_lists", {"changed": [ANN]}))
    feed.store.ack_device_lists(seen)
    again = feed.store.device_lists()
    assert (again.changed, again.left) == (frozenset({ANN}), frozenset())
    feed.store.ack_device_lists(again)
    assert feed.store.device_lists().changed == frozenset()
    assert feed.store.device_lists("another").changed == {ANN}
    with pytest.raises(NotFoundError, match="no consumer nobody"):
        feed.store.ack_device_lists(again, "nobody")
    feed.snapshot(feed.next)
    assert "*" in feed.store.device_lists().changed


def test_p35_key_counts_are_what_the_server_said_last(feed: Feed) -> None:
    assert feed.store.device_keys().one_time_key_counts == {}
    assert feed.store.device_keys().unused_fallback_key_types is None
    feed.take(
        feed.next.key("device_one_time_keys_count", {"signed_curve25519": 7}).key(
            "device_unused_fallback_key_types", ["signed_curve25519"]
        )
    )
    found = feed.store.device_keys()
    assert found.one_time_key_counts == {"signed_curve25519": 7}
    assert found.unused_fallback_key_types == ["signed_curve25519"]


def test_p35_a_consumer_that_is_forgotten_holds_nothing_up(feed: Feed, sql: Sql) -> None:
    assert keys(feed.store, "keys") == keys(feed.store, "gone") == []
    feed.take(inbox(feed.next, 1, 2, 3))
    ack(feed.store, 2, "keys")
    assert sql("SELECT count(*) FROM to_device") == [(3,)]
    feed.store.forget_consumer("gone")
    assert [one.content["key"] for one in feed.store.to_device("keys")] == [3]
    assert sql("SELECT count(*) FROM to_device") == [(1,)]
    assert sql("SELECT count(*) FROM to_device_done") == [(0,)]
    assert feed.store.check() == []
    feed.snapshot(inbox(feed.next, 1, 2, 3))
    assert keys(feed.store, "keys") == [3]
    with pytest.raises(NotFoundError, match="no consumer gone"):
        feed.store.forget_consumer("gone")


def test_p35_what_nobody_has_acknowledged_waits_also_when_no_consumer_is_left(feed: Feed) -> None:
    assert keys(feed.store, "keys") == keys(feed.store, "gone") == []
    feed.take(inbox(feed.next, 1, 2))
    ack(feed.store, 1, "gone")
    feed.store.forget_consumer("gone")
    feed.store.forget_consumer("keys")
    assert feed.store.consumers() == []
    assert keys(feed.store, "new") == [1, 2]


def test_p35_nothing_of_what_waited_for_a_forgotten_consumer_is_left_in_the_file(feed: Feed, path: Path) -> None:
    assert keys(feed.store, "keys") == keys(feed.store, "gone") == []
    feed.take(feed.next.to_device({"key": "a secret key"}))
    ack(feed.store, 1, "keys")
    feed.store.forget_consumer("gone")
    feed.store.close()
    assert b"a secret key" not in path.read_bytes()


def test_p35_consumers_tell_what_waits_for_them_and_since_when(feed: Feed, sql: Sql) -> None:
    assert keys(feed.store, "keys") == []
    feed.store.device_lists("keys")
    with feed.store._connections.write() as cursor:
        cursor.execute("UPDATE consumer SET updated_at = 1000")
    feed.take(inbox(feed.next, 1, 2).key("device_lists", {"changed": [ANN], "left": [BOB]}))
    assert feed.store.consumers() == [
        Consumer("keys", "device_lists", 0, 1000, 2),
        Consumer("keys", "to_device", None, 1000, 2),
    ]
    ack(feed.store, 1, "keys")
    feed.store.ack_device_lists(feed.store.device_lists("keys"), "keys")
    lists, messages = feed.store.consumers()
    assert (lists.seq, lists.waiting, messages.waiting) == (feed.store.seq, 0, 1)
    assert min(lists.updated_ts, messages.updated_ts) > 1000
