"""A store of its own for each test, a server's responses to feed it, and plain SQL to look into it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.model.records import Applied
from tests.encrypted import key_of
from tests.pages import decrypted
from tests.store.bodies import ME, Body, Responses

Rows = list[tuple[Any, ...]]
Sql = Callable[..., Rows]


def plant(path: Path, statement: str) -> None:
    """Change one row behind the store's back."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(statement).rowcount == 1
        db.commit()


class Feed:
    """Applies responses as a fetcher does: with the token that the store holds."""

    def __init__(self, store: SyncStore) -> None:
        self.store = store
        self._responses = Responses()

    @property
    def next(self) -> Body:
        """A new response with the next token."""
        return self._responses.next()

    def take(self, body: Body, **options: Any) -> Applied:
        token = self.store.token
        return self.store.apply(body.done(), **{"since": token, "held": token} | options)

    def snapshot(self, body: Body, **options: Any) -> Applied:
        """A response to a request without since, over what is stored."""
        return self.take(body, since=None, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "me.db"


@pytest.fixture
def store(path: Path) -> Iterator[SyncStore]:
    with SyncStore.open(path, user_id=ME, device_id="DEV") as opened:
        yield opened


@pytest.fixture
def feed(store: SyncStore) -> Feed:
    return Feed(store)


@pytest.fixture
def sql(path: Path) -> Sql:
    """Rows of a query, asked over a connection that is not the library's."""

    def ask(query: str, *parameters: object) -> Rows:
        with closing(sqlite3.connect(path)) as db:
            return db.execute(query, parameters).fetchall()

    return ask


def bytes_of(path: Path) -> bytes:
    """Everything that lies on the disk, in the file and its WAL: of an encrypted one, what its passphrase shows."""
    key = key_of(path)
    return disk_bytes_of(path) if key is None else decrypted(path, key)


def disk_bytes_of(path: Path) -> bytes:
    """The file and its WAL as they lie on the disk."""
    files = (path, path.with_name(path.name + "-wal"))
    return b"".join(file.read_bytes() for file in files if file.exists())
