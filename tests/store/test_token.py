"""Compare and set: which responses are taken, which are known, which are stale (promises 2 and 3)."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import StaleBatchError
from tests.store import rich
from tests.store.bodies import ME, ROOM, Body, message
from tests.store.conftest import Feed, Sql
from tests.store.crowd import sync_until


def one(token: str, id: str) -> bytes:
    return Body(token).join(ROOM, message(id)).done()


def test_p02_a_response_for_another_token_is_stale(store: SyncStore, path: Path) -> None:
    store.apply(one("s1", "$a"), since=None)
    before = rich.contents(path)
    for since, held in (("s0", "s0"), (None, None), ("s1", "s0"), (None, "s0")):
        with pytest.raises(StaleBatchError):
            store.apply(one("s2", "$b"), since=since, held=held)
        with pytest.raises(StaleBatchError):
            store.apply(Body("s2").done(), since=since, held=held)
    assert rich.contents(path) == before


def test_p02_held_is_since_by_default(store: SyncStore) -> None:
    store.apply(one("s1", "$a"), since=None)
    with pytest.raises(StaleBatchError):
        store.apply(one("s2", "$b"), since="s0")
    assert store.apply(one("s2", "$b"), since="s1").batch == 2


def test_p02_held_alone_is_compared_too(store: SyncStore) -> None:
    store.apply(one("s1", "$a"), since=None)
    with pytest.raises(StaleBatchError):
        store.apply(one("s2", "$b"), held="s0")


def test_p02_a_retry_is_a_no_op(store: SyncStore, path: Path) -> None:
    store.apply(one("s1", "$a"), since=None)
    store.apply(one("s2", "$b"), since="s1")
    before = rich.contents(path)
    applied = store.apply(one("s2", "$b"), since="s1")
    assert applied.repeated and applied.batch is None
    assert rich.contents(path) == before


def test_p02_a_replay_takes_the_stored_token(store: SyncStore, sql: Sql) -> None:
    for token, id in (("s1", "$a"), ("s2", "$b"), ("s2", "$b"), ("s3", "$c")):
        store.apply(one(token, id))
    assert sql("SELECT since, next_batch FROM batches ORDER BY batch") == [(None, "s1"), ("s1", "s2"), ("s2", "s3")]
    assert sql("SELECT event_id FROM timeline ORDER BY segment, position") == [("$a",), ("$b",), ("$c",)]


def test_p02_a_snapshot_is_compared_by_what_was_held(store: SyncStore) -> None:
    store.apply(one("s1", "$a"), since=None)
    assert store.apply(one("s2", "$b"), since=None, held="s1").initial
    assert store.apply(one("s2", "$b"), since=None, held="s1").repeated


def test_p02_an_answer_with_the_same_token_is_still_read(store: SyncStore, sql: Sql) -> None:
    """A long poll that ends with the token it began with may bring receipts or typing."""
    store.apply(one("s1", "$a"), since=None)
    typing = {"events": [{"type": "m.typing", "content": {"user_ids": [ME]}}]}
    assert not store.apply(Body("s1").join(ROOM, ephemeral=typing).done(), since="s1", held="s1").repeated
    assert sql("SELECT user_id FROM typing") == [(ME,)]


def test_p02_two_processes_syncing_one_store_lose_nothing(path: Path, sql: Sql) -> None:
    SyncStore.open(path, user_id=ME).close()
    last = 60
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        taken = pool.starmap(sync_until, [(str(path), last)] * 2)
    assert sum(taken) == last
    events = sql("SELECT event_id FROM timeline ORDER BY segment, position")
    assert events == [(f"${number}",) for number in range(1, last + 1)]
    assert sql("SELECT content FROM to_device ORDER BY id") == [
        (f'{{"n": {number}}}',) for number in range(1, last + 1)
    ]


def test_p03_the_token_is_the_file_s_not_the_object_s(feed: Feed, path: Path) -> None:
    feed.take(feed.next.join(ROOM, message("$a")))
    with SyncStore.open(path) as other:
        other.apply(one("s9", "$b"), since="s1")
        assert feed.store.token == other.token == "s9"
        assert feed.store.seq == other.seq == 2
