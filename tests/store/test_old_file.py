"""A file without its WAL, or with another's, is an older, whole store that syncs on (promise 25)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import CorruptStoreError
from tests.account.readback import read
from tests.store.bodies import ME, ROOM, Body, create, message


def _body(token: str, *events: str) -> bytes:
    body = Body(token).join(ROOM, *(message(one, f"text of {one}") for one in events), state=[create()])
    return body.done()


def test_p25_a_file_without_its_wal_is_an_older_store(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    bodies = [_body("s1", "$1"), _body("s2", "$2"), _body("s3", "$3")]
    with SyncStore.open(path, user_id=ME) as store:
        store.apply(bodies[0], since=None)
    with SyncStore.open(path) as store:
        store.apply(bodies[1], since="s1")
        store.apply(bodies[2], since="s2")
        assert path.with_name("a.db-wal").stat().st_size > 0
        shutil.copy(path, copy)
    with SyncStore.open(copy) as older:
        assert older.check() == []
        assert older.token == "s1"
        older.apply(bodies[1], since="s1")
        older.apply(bodies[2], since="s2")
        assert older.check() == []
    assert read(copy) == read(path)


def test_p25_the_wal_of_another_moment_or_file_is_told_or_ignored(tmp_path: Path) -> None:
    """SQLite replays any whole WAL it finds. Beside a file that it was not written for, `check` tells."""
    path, other = tmp_path / "a.db", tmp_path / "b.db"
    with SyncStore.open(path, user_id=ME) as store:
        store.apply(_body("s1", "$1"), since=None)
        store.apply(_body("s2", *(f"$x{n}" for n in range(200))), since="s1")
    with SyncStore.open(other, user_id=ME) as store:
        store.apply(_body("t1", "$9"), since=None)
    whole = read(path)
    with SyncStore.open(other) as store:
        store.apply(_body("t2", "$10"), since="t1")
        shutil.copy(other.with_name("b.db-wal"), path.with_name("a.db-wal"))
    with pytest.raises(CorruptStoreError, match="recover"), SyncStore.open(path, read_only=True) as store:
        raise CorruptStoreError(f"recover: {store.check()[0]}")
    for name in ("a.db-wal", "a.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    assert read(path) == whole
