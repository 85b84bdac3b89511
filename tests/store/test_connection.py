"""Connections: threads share a store, reads never wait, one snapshot is one batch."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import NotFoundError, StoreLockedError
from syncstore.store import connection
from tests.store.bodies import ME, ROOM, Body, create, message, name
from tests.store.conftest import Feed


def test_a_snapshot_is_one_batch_while_another_thread_writes(store: SyncStore) -> None:
    """In each batch n the room is named n and its newest event is $n: list and timeline must agree."""
    stop = threading.Event()

    def write() -> None:
        number = 1
        while not stop.is_set():
            number += 1
            body = Body(f"s{number}").join(ROOM, name(f"$n{number}", str(number)), message(f"${number}"))
            store.apply(body.done())

    store.apply(Body("s1").join(ROOM, name("$n1", "1"), message("$1"), state=[create()]).done())
    thread = threading.Thread(target=write)
    thread.start()
    try:
        seen = set()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            with store.read() as snap:
                first = snap.rooms("join")[0]
                newest = snap.room(ROOM).timeline(1).items[0]
                assert (first.name, f"${first.name}") == (str(snap.seq), getattr(newest, "event_id", None))
                seen.add(snap.seq)
        assert len(seen) > 5
    finally:
        stop.set()
        thread.join()


def test_a_new_file_that_another_brings_into_wal_mode_is_waited_for(path: Path) -> None:
    """Its write lock makes SQLite refuse the change of mode at once: no timeout of SQLite's reaches there."""
    path.touch()
    connections = connection.Connections(path)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, other.rollback)
        release.start()
        with connections.write() as cursor:
            cursor.execute("CREATE TABLE app_mine (x)")
        release.join()
    connections.close()


def test_a_reader_never_waits_for_the_writer(feed: Feed, path: Path) -> None:
    feed.take(feed.next.join(ROOM, message("$a")))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert feed.store.room(ROOM).latest_event_id == "$a"
        assert time.monotonic() - started < 1


def test_threads_may_share_a_store(store: SyncStore) -> None:
    store.apply(Body("s0").join(ROOM, message("$0"), state=[create()]).done())

    def work(number: int) -> int:
        store.keep_filter(f"f{number}", str(number))
        with store.read() as snap:
            assert store.filter_id(f"f{number}") == str(number)
            return len(snap.room(ROOM).timeline().items)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(60))) == {2}


def test_a_writer_that_waits_too_long_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.1)
    with SyncStore.open(path, user_id=ME) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLockedError, match=r"me\.db"):
            store.apply(b'{"next_batch": "s1"}')
        other.execute("ROLLBACK")
        store.apply(b'{"next_batch": "s1"}')
        assert store.token == "s1"


def test_opening_a_store_twice_leaves_its_locks_alone(feed: Feed, path: Path) -> None:
    """Whoever opens and closes the file by hand takes the locks away: the next process to leave removes the WAL."""
    feed.take(feed.next.join(ROOM, message("$a")))
    for read_only in (False, True):
        SyncStore.open(path, read_only=read_only).close()
    script = "import sys; from syncstore import SyncStore; s = SyncStore.open(sys.argv[1]); print(s.token); s.close()"
    other = [sys.executable, "-c", script, str(path)]
    assert subprocess.run(other, check=True, capture_output=True, text=True).stdout == "s1\n"
    assert path.with_name("me.db-wal").exists()
    feed.take(feed.next.join(ROOM, message("$b")))
    assert subprocess.run(other, check=True, capture_output=True, text=True).stdout == "s2\n"


def test_settings_of_the_writer(store: SyncStore) -> None:
    wanted = {"journal_mode": "wal", "foreign_keys": 1, "secure_delete": 1, "busy_timeout": 30000}
    with store._connections.write() as cursor:
        assert {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted} == wanted


def test_readers_cannot_write(store: SyncStore) -> None:
    with pytest.raises(Exception, match="readonly"), store._connections.read() as cursor:
        cursor.execute("DELETE FROM batch")


def test_what_is_not_there_is_not_found(feed: Feed) -> None:
    feed.take(feed.next.join(ROOM, message("$a")))
    with pytest.raises(NotFoundError, match="!none:x"):
        feed.store.room("!none:x")
    with pytest.raises(NotFoundError), feed.store.read() as snap:
        snap.room("!none:x")
    with pytest.raises(NotFoundError):
        feed.store.forget("!none:x")
    assert feed.store.room(ROOM).event("$none") is None
    assert feed.store.room(ROOM).state("m.room.name") is None
    assert (feed.store.events("$none"), feed.store.gap(99), feed.store.account_data("m.x")) == ([], None, None)
