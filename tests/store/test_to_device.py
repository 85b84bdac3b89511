"""To-device messages: on the disk before they are acknowledged, and each once (promise 4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncstore import SyncStore
from tests.store.bodies import ANN, BOB, ME, ROOM, message
from tests.store.conftest import Feed, Sql
from tests.store.faults import Watch, watched

NORMAL, FULL = 1, 2
CONTENTS = "SELECT content FROM to_device ORDER BY id"


@pytest.fixture
def watch() -> Iterator[Watch]:
    with watched() as watch:
        yield watch


def test_p04_a_batch_with_to_device_messages_is_synced_to_the_disk(watch: Watch, path: Path) -> None:
    with SyncStore.open(path, user_id=ME) as store:
        feed = Feed(store)
        watch.commits.clear()
        feed.take(feed.next.join(ROOM, message("$a")))
        feed.take(feed.next.to_device({"key": 1}))
        feed.take(feed.next.join(ROOM, message("$b")))
        assert watch.commits == [NORMAL, FULL, NORMAL]


@pytest.mark.parametrize("bad", [{"type": "m.x", "content": {}}, {"type": "m.x", "sender": ANN, "content": 5}])
def test_p04_a_to_device_message_that_cannot_be_read_is_synced_too(watch: Watch, path: Path, bad: object) -> None:
    with SyncStore.open(path, user_id=ME) as store:
        feed = Feed(store)
        watch.commits.clear()
        feed.take(feed.next.key("to_device", {"events": [bad]}))
        assert watch.commits == [FULL]


def test_p04_a_snapshot_repeats_what_is_not_acknowledged(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.to_device({"n": 1}))
    feed.take(feed.next.to_device({"n": 2}).to_device({"n": 3}))
    feed.snapshot(feed.next.to_device({"n": 2}).to_device({"n": 3}).to_device({"n": 4}))
    feed.snapshot(feed.next.to_device({"n": 2}).to_device({"n": 3}).to_device({"n": 4}))
    assert sql(CONTENTS) == [(f'{{"n": {n}}}',) for n in (1, 2, 3, 4)]


def test_p04_equal_is_sender_type_and_content(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.to_device({"n": 1}))
    feed.snapshot(feed.next.to_device({"n": 1}, sender=BOB).to_device({"n": 1}, type="m.other").to_device({"n": 1}))
    assert sql("SELECT sender, type FROM to_device ORDER BY id") == [
        (ANN, "m.room_key"),
        (BOB, "m.room_key"),
        (ANN, "m.other"),
    ]


def test_p04_equal_messages_of_ordinary_batches_are_two(feed: Feed, sql: Sql) -> None:
    """Only a snapshot repeats; and twice in one snapshot is twice."""
    feed.take(feed.next.to_device({}).to_device({}))
    feed.take(feed.next.to_device({}))
    assert len(sql(CONTENTS)) == 3
    feed.snapshot(feed.next.to_device({}).to_device({}))
    assert len(sql(CONTENTS)) == 4


def test_p04_after_a_snapshot_all_device_lists_count_as_changed(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.key("device_lists", {"changed": [ANN], "left": [BOB]}))
    assert sql("SELECT user_id, change FROM device_lists ORDER BY 1") == [(ANN, "changed"), (BOB, "left")]
    feed.snapshot(feed.next.join(ROOM, message("$a")))
    assert sql("SELECT user_id, change, batch FROM device_lists ORDER BY 1") == [
        ("*", "changed", 2),
        (ANN, "changed", 2),
        (BOB, "changed", 2),
    ]


def test_p04_after_a_snapshot_of_a_new_login_too(feed: Feed, sql: Sql) -> None:
    feed.take(feed.next.key("device_lists", {"changed": [], "left": [BOB]}))
    feed.store.rebind("NEW")
    feed.take(feed.next.join(ROOM, message("$a")))
    assert sql("SELECT DISTINCT change FROM device_lists") == [("changed",)]
