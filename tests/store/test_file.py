"""The file itself: who may read it, where it may be, and what is refused with one clear line."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import CorruptStoreError, NotFoundError, OtherAccountError, StoreError
from tests.store import rich
from tests.store.bodies import ME, OTHER, ROOM, message
from tests.store.conftest import Feed
from tests.store.crowd import open_new


@pytest.fixture
def _no_umask() -> Iterator[None]:
    old = os.umask(0)
    yield
    os.umask(old)


def modes(folder: Path) -> dict[str, str]:
    return {one.name: oct(one.stat().st_mode & 0o777) for one in folder.iterdir()}


@pytest.mark.usefixtures("_no_umask")
def test_file_wal_index_and_backup_are_the_owner_s_alone(path: Path) -> None:
    with SyncStore.open(path, user_id=ME) as store:
        rich.fill(store)
        store.backup(path.with_name("copy.db"))
        assert modes(path.parent) == dict.fromkeys(("me.db", "me.db-wal", "me.db-shm", "copy.db"), "0o600")


def test_a_new_file_needs_to_know_whose_it_is(path: Path) -> None:
    for options in ({}, {"user_id": ME, "create": False}, {"read_only": True}):
        with pytest.raises((StoreError, NotFoundError), match=r"me\.db"):
            SyncStore.open(path, **options)
        assert not path.exists()


@pytest.mark.parametrize("where", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_path_or_a_url(path: Path, where: str) -> None:
    with SyncStore.open(where.format(path), user_id=ME) as store:
        assert store.path == path
    assert path.exists()


@pytest.mark.parametrize("where", ["", ":memory:", "sqlite://", "postgresql://x/y", "sqlite:///:memory:"])
def test_what_is_no_file_is_refused(where: str) -> None:
    with pytest.raises(StoreError):
        SyncStore.open(where, user_id=ME)


def test_names_that_a_uri_would_misread(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=memory#%41 é.db"
    with SyncStore.open(path, user_id=ME) as store:
        Feed(store).take(Feed(store).next.join(ROOM, message("$a")))
    assert path.stat().st_size > 0
    with SyncStore.open(path) as store:
        assert store.token == "s1"


def test_a_path_that_begins_with_two_slashes(path: Path) -> None:
    """POSIX keeps them apart from one; Linux does not."""
    with SyncStore.open(f"/{path}", user_id=ME) as store:
        store.keep_filter("{}", "f1")
    with SyncStore.open(path, read_only=True) as store:
        assert store.filter_id("{}") == "f1"


def test_what_is_no_store_is_refused_and_untouched(path: Path) -> None:
    for content in (b"just some text, long enough to be read as a header", b"SQLite format 3\0" + b"\xff" * 5000):
        path.write_bytes(content)
        with pytest.raises(CorruptStoreError, match=r"me\.db"):
            SyncStore.open(path, user_id=ME)
        assert path.read_bytes() == content
    with pytest.raises(StoreError, match="folder"):
        SyncStore.open(path.parent, user_id=ME)
    with pytest.raises(StoreError, match="cannot be created"):
        SyncStore.open(path.parent / "none" / "a.db", user_id=ME)


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch(0o600)
    with pytest.raises(StoreError, match="user_id"):
        SyncStore.open(path)
    with SyncStore.open(path, user_id=ME) as store:
        assert store.user_id == ME


def test_a_read_only_store_reads_and_refuses_to_write(store: SyncStore, path: Path) -> None:
    feed = Feed(store)
    feed.take(feed.next.join(ROOM, message("$a")))
    with SyncStore.open(path, read_only=True) as reader:
        assert [room.room_id for room in reader.rooms()] == [ROOM]
        for write in (
            lambda: reader.apply(b'{"next_batch": "x"}'),
            lambda: reader.forget(ROOM),
            lambda: reader.rebind("X"),
        ):
            with pytest.raises(StoreError, match="reading only"):
                write()
        feed.take(feed.next.join(OTHER, message("$b")))
        assert len(reader.rooms()) == 2


def test_two_processes_make_one_new_store(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(open_new, [(str(path), ME)] * 4) == [ME] * 4
    with pytest.raises(OtherAccountError):
        SyncStore.open(path, user_id="@other:x")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM own_account").fetchone() == (1,)


def test_backup_is_a_whole_store_and_overwrites_nothing(feed: Feed, path: Path, tmp_path: Path) -> None:
    rich.fill(feed.store)
    target = tmp_path / "copy.db"
    with feed.store.read() as snap:
        assert snap.rooms()
        feed.store.backup(target)
    assert rich.contents(target) == rich.contents(path)
    before = target.read_bytes()
    with pytest.raises(StoreError, match=r"copy\.db"):
        feed.store.backup(target)
    assert target.read_bytes() == before
    with SyncStore.open(target, user_id=ME) as copy:
        assert copy.check() == []
        copy.apply(b'{"next_batch": "s9"}')
    with pytest.raises(StoreError):
        feed.store.backup(tmp_path / "none" / "copy.db")
