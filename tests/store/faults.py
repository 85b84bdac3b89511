"""Faults put under a store: SQLite connections that count, watch and fail. Only here is known how it connects."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from unittest import mock


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
                raise sqlite3.OperationalError("disk I/O error")


def _cursor_class(watch: Watch) -> type[sqlite3.Cursor]:
    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Any = (), /) -> Self:
            watch.step()
            return super().execute(sql, parameters)

        def executemany(self, sql: str, rows: Any, /) -> Self:
            watch.step()
            return super().executemany(sql, rows)

    return Cursor


def _connection_class(watch: Watch) -> type[sqlite3.Connection]:
    cursors = _cursor_class(watch)

    class Connection(sqlite3.Connection):
        def cursor(self, *_: Any, **__: Any) -> Any:
            return super().cursor(cursors)

        def commit(self) -> None:
            if self.in_transaction and not _pragma(self, "query_only"):
                watch.commits.append(_pragma(self, "synchronous"))
            watch.step()
            super().commit()

    return Connection


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(sqlite3.Cursor(connection).execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def watched() -> Iterator[Watch]:
    """Stores opened inside are watched."""
    watch = Watch()
    factory = _connection_class(watch)
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def made(*arguments: Any, **named: Any) -> sqlite3.Connection:
        return connect(*arguments, factory=factory, **named)

    with mock.patch.object(sqlite3, "connect", made):
        yield watch
