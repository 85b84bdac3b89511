"""Readers beside a writer: none of them ever waits for it (promise 30)."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from syncstore import SyncStore
from syncstore.reads import Reads
from syncstore.store import connection
from tests.store.bodies import ROOM, Body, message
from tests.store.conftest import Feed
from tests.store.rich import fill

READS: dict[str, Callable[[Reads], object]] = {
    "seq": lambda store: store.seq,
    "rooms": lambda store: [room.record() for room in store.rooms()],
    "timeline": lambda store: store.room(ROOM).timeline(50),
    "state": lambda store: store.room(ROOM).state("m.room.name"),
    "members": lambda store: store.room(ROOM).members(),
    "gaps": lambda store: store.gaps(),
}


@pytest.fixture
def impatient() -> Iterator[None]:
    """Nobody waits for a lock here: what would have to wait fails at once."""
    with patch.object(connection, "BUSY_SECONDS", 0.0):
        yield


@pytest.mark.parametrize("what", READS)
def test_p30_a_read_never_waits_for_a_writer(impatient: None, store: SyncStore, path: Path, what: str) -> None:
    """Another connection holds the one write lock there is, with half a batch written."""
    fill(store)
    before = READS[what](store)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM room_state")
        writer.execute("UPDATE event SET segment = NULL, position = NULL")
        with SyncStore.open(path, read_only=True) as other:
            assert READS[what](other) == before
        assert READS[what](store) == before
        writer.execute("ROLLBACK")


def test_p30_a_writer_never_waits_for_readers(impatient: None, feed: Feed, store: SyncStore, path: Path) -> None:
    """Ten readers in the midst of a snapshot each: a batch is committed, and they still see what they saw."""
    fill(store)
    feed.take(ten(feed), since=store.token, held=store.token)
    seen = store.seq
    others = [SyncStore.open(path, read_only=True) for _ in range(10)]
    blocks = [other.read() for other in others]
    snapshots = [block.__enter__() for block in blocks]
    assert {snapshot.seq for snapshot in snapshots} == {seen}
    feed.take(ten(feed), since=store.token, held=store.token)
    assert store.seq == seen + 1
    assert {snapshot.seq for snapshot in snapshots} == {seen}
    for block, other in zip(blocks, others, strict=True):
        block.__exit__(None, None, None)
        assert other.seq == seen + 1
        other.close()


def test_p30_threads_read_while_one_syncs(feed: Feed, store: SyncStore, path: Path) -> None:
    """Each reader sees whole batches alone: all of a batch's ten events, or none."""
    done = threading.Event()
    wrong: list[tuple[int, int]] = []
    feed.take(ten(feed))

    def read() -> None:
        with SyncStore.open(path, read_only=True) as other:
            while not done.is_set():
                with other.read() as snapshot:
                    events = snapshot.room(ROOM).timeline(1000).items
                    if (len(events) - 1) % 10 or snapshot.seq * 10 != len(events) - 1:
                        wrong.append((snapshot.seq, len(events)))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for one in readers:
        one.start()
    try:
        for _ in range(50):
            feed.take(ten(feed))
    finally:
        done.set()
        for one in readers:
            one.join()
    assert store.seq == 51
    assert wrong == []


def ten(feed: Feed) -> Body:
    body = feed.next
    return body.join(ROOM, *[message(f"${body.token}-{at}") for at in range(10)])
