"""Connections: one writer, many readers, and what each is told about the file. Each setting has its reason."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

from sqlalchemy import Engine, PoolProxiedConnection, create_engine
from sqlalchemy.pool import NullPool, StaticPool

from syncstore.errors import StoreError
from syncstore.store import driver
from syncstore.store.failures import failures, is_damage, is_locked, is_spent
from syncstore.store.key import Key

BUSY_SECONDS = 30.0
_WRITER_CACHE_KIB = 64 * 1024
_AGAIN_SECONDS = 0.01
_IDLE = 8  # readers that are kept open


def _common(raw: sqlite3.Connection) -> None:
    # Sorted rows never reach a temporary file, where secure_delete does not reach.
    raw.execute("PRAGMA temp_store = MEMORY")


def _reading(raw: sqlite3.Connection) -> None:
    _common(raw)
    # A reader that writes is a defect of ours: let SQLite refuse it.
    raw.execute("PRAGMA query_only = ON")


def _writing(raw: sqlite3.Connection) -> None:
    _common(raw)
    # Readers and the writer never wait for each other.
    _into_wal(raw)
    # Rows that point nowhere are refused when they are written, not found later.
    raw.execute("PRAGMA foreign_keys = ON")
    # Redacted bytes are overwritten in the file, not only unlinked (promise 16).
    raw.execute("PRAGMA secure_delete = ON")
    # On macOS only this reaches the platter (promise 4).
    if sys.platform == "darwin":
        raw.execute("PRAGMA fullfsync = ON")
    # A first sync touches every index: keep their pages.
    raw.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    # Small batches write the same pages again and again: each checkpoint copies them once. As a rule no more frames
    # than one page of the WAL's index tells of, so that readers search no longer.
    raw.execute("PRAGMA wal_autocheckpoint = 4000")
    # The WAL of a large first sync is given back at the next checkpoint.
    raw.execute("PRAGMA journal_size_limit = 16777216")


def _into_wal(raw: sqlite3.Connection) -> None:
    """Of those who bring a new file into WAL mode at once, SQLite refuses all but one, and waits for none."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except driver.errors() as error:
            if not is_locked(error) or time.monotonic() > until:
                raise
            time.sleep(_AGAIN_SECONDS)
        else:
            return


class Connections:
    """All connections to one file. `read` and `write` yield a cursor inside a transaction.

    Readers see one committed state for as long as their block lasts. Only one thread of this process writes at a time;
    other processes are waited for up to BUSY_SECONDS.
    """

    def __init__(self, path: Path, *, key: Key | None = None, read_only: bool = False, immutable: bool = False) -> None:
        self.path = path
        self.key = key
        self.read_only = read_only
        self._lock = threading.RLock()
        self._synchronous: str | None = None
        mode = "immutable=1&mode=ro" if immutable else "mode=ro" if read_only else "mode=rw"
        self._readers = self._engine(mode, _reading, readers=True)
        self._writer = None if read_only else self._engine(mode, _writing, readers=False)
        # SQLAlchemy's own pool and transactions cost a small read several times what it costs itself.
        self._idle: list[PoolProxiedConnection] = []
        self._lent: PoolProxiedConnection | None = None  # the writer's connection, kept from its first use on

    def _engine(self, mode: str, settings: Callable[[sqlite3.Connection], None], *, readers: bool) -> Engine:
        def connect() -> sqlite3.Connection:
            raw = driver.connect(
                self.path, self.key, mode, timeout=BUSY_SECONDS, check_same_thread=False, cached_statements=256
            )
            try:
                settings(raw)
            except BaseException:
                raw.close()
                raise
            return raw

        module = driver.module(self.key)
        if readers:
            return create_engine("sqlite://", module=module, creator=connect, poolclass=NullPool)
        return create_engine("sqlite://", module=module, creator=connect, poolclass=StaticPool)

    def read(self) -> Reading:
        """One consistent state of the file, whatever is written meanwhile."""
        return Reading(self)

    def take_reader(self) -> PoolProxiedConnection:
        """A connection that nobody reads with: one that is idle, or a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._readers.raw_connection()

    def give_back(self, pooled: PoolProxiedConnection) -> None:
        """Keep a connection for the next reader, or close it if there are enough."""
        if len(self._idle) < _IDLE:
            self._idle.append(pooled)
        else:
            pooled.close()

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sqlite3.Cursor]:
        """One transaction: all of it, or nothing. `durable`: on the disk when the block ends, not only in the WAL."""
        with self._lent_writer() as raw:
            # Before BEGIN: inside a transaction SQLite ignores it.
            self._set_synchronous(raw, "FULL" if durable else "NORMAL")
            cursor = raw.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                raw.commit()
            except BaseException:
                raw.rollback()
                raise

    def checkpoint(self, *, wait: bool = False) -> bool:
        """Empty the WAL into the file; False if a reader is in the way, which is no failure.

        wait: for readers, up to BUSY_SECONDS.
        """
        if self._writer is None:
            return False
        with self._lent_writer() as raw:
            if not wait:
                raw.execute("PRAGMA busy_timeout = 0")
            try:
                busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except driver.errors() as error:
                if is_damage(error):
                    raise
                return False
            finally:
                raw.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
            return not busy

    def vacuum(self) -> bool:
        """Write the file anew without its free pages; False if a reader keeps the old pages in the WAL for now."""
        with self._lent_writer() as raw:
            raw.execute("VACUUM")
        return self.checkpoint(wait=True)

    def copy_to(self, target: Path) -> None:
        """A compact, consistent copy of the file into an empty one."""
        with closing(self._readers.raw_connection()) as pooled:
            raw = driver_of(pooled)
            # VACUUM writes the copy only; query_only would refuse that too.
            raw.execute("PRAGMA query_only = OFF")
            raw.execute("VACUUM INTO ?", (str(target),))

    def close(self) -> None:
        """Close every connection; the last one to the file removes its WAL."""
        while self._idle:
            self._idle.pop().close()
        self._close_writer()

    def _close_writer(self) -> None:
        if self._lent is not None:
            self._lent.close()
            self._lent = None
        if self._writer is not None:
            self._writer.dispose()
        self._synchronous = None

    @contextmanager
    def _lent_writer(self) -> Iterator[sqlite3.Connection]:
        """The writer's connection, for one thread; where it could not read, the next one gets a new connection."""
        with self._lock, failures(self.path):
            try:
                yield self._write_connection()
            except driver.errors() as error:
                if is_spent(error):
                    self._close_writer()
                raise

    def _write_connection(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StoreError(f"{self.path} was opened for reading only")
        if self._lent is None:
            self._lent = self._writer.raw_connection()
        return driver_of(self._lent)

    def _set_synchronous(self, raw: sqlite3.Connection, level: str) -> None:
        if self._synchronous != level:
            raw.execute("PRAGMA synchronous = " + level)
            self._synchronous = level


class Reading:
    """A read transaction for a `with` block; a class, for a generator costs three times as much per use."""

    __slots__ = ("_connections", "_failures", "_pooled")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._failures = failures(connections.path)

    def __enter__(self) -> sqlite3.Cursor:
        with self._failures:
            self._pooled = self._connections.take_reader()
            cursor = driver_of(self._pooled).cursor()
            cursor.execute("BEGIN")
            return cursor

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._failures:
            driver_of(self._pooled).rollback()
            if is_spent(error):
                self._pooled.close()
            else:
                self._connections.give_back(self._pooled)
        self._failures.__exit__(kind, error, trace)


def driver_of(pooled: PoolProxiedConnection) -> sqlite3.Connection:
    """The driver's own connection under SQLAlchemy's."""
    return cast(sqlite3.Connection, pooled.driver_connection)
