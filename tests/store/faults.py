"""Faults put under a store: SQLite connections that count, watch and fail. Only here is known how it connects."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tests.encrypted import module


class Watch:
    """What the connections did, and when they shall fail."""

    def __init__(self) -> None:
        self.left: int | None = None  # statements until one fails
        self.commits: list[int] = []  # PRAGMA synchronous at each commit of the writer

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise module().OperationalError("disk I/O error")


def _cursor_class(watch: Watch) -> type[sqlite3.Cursor]:
    class Cursor(module().Cursor):  # type: ignore[misc]
        def execute(self, sql: str, parameters: Any = (), /) -> Any:
            watch.step()
            return super().execute(sql, parameters)

        def executemany(self, sql: str, rows: Any, /) -> Any:
            watch.step()
            return super().executemany(sql, rows)

    return Cursor


def _connection_class(watch: Watch) -> type[sqlite3.Connection]:
    cursors = _cursor_class(watch)

    class Connection(module().Connection):  # type: ignore[misc]
        def cursor(self, *_: Any, **__: Any) -> Any:
            return super().cursor(cursors)

        def execute(self, *asked: Any) -> Any:
            # What is asked of the connection itself sets it up; sqlite3 and SQLCipher differ in how they do that.
            return super().cursor().execute(*asked)

        def commit(self) -> None:
            if self.in_transaction and not _pragma(self, "query_only"):
                watch.commits.append(_pragma(self, "synchronous"))
            watch.step()
            super().commit()

    return Connection


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(module().Cursor(connection).execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def watched() -> Iterator[Watch]:
    """Stores opened inside are watched."""
    watch = Watch()
    factory = _connection_class(watch)
    connect: Callable[..., sqlite3.Connection] = module().connect

    def made(*arguments: Any, **named: Any) -> sqlite3.Connection:
        return connect(*arguments, factory=factory, **named)

    with mock.patch.object(module(), "connect", made):
        yield watch
