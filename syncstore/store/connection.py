"""Connections: one writer, many readers, and what each is told about the file. Each setting has its reason."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sqlalchemy import Engine, PoolProxiedConnection, create_engine
from sqlalchemy.pool import QueuePool, StaticPool

from syncstore.errors import StoreError
from syncstore.store import driver
from syncstore.store.failures import failures
from syncstore.store.key import Key

BUSY_SECONDS = 30.0
_WRITER_CACHE_KIB = 64 * 1024


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
    raw.execute("PRAGMA journal_mode = WAL")
    # Rows that point nowhere are refused when they are written, not found later.
    raw.execute("PRAGMA foreign_keys = ON")
    # Redacted bytes are overwritten in the file, not only unlinked (promise 16).
    raw.execute("PRAGMA secure_delete = ON")
    # On macOS only this reaches the platter (promise 4).
    if sys.platform == "darwin":
        raw.execute("PRAGMA fullfsync = ON")
    # A first sync touches every index: keep their pages.
    raw.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    # The WAL of a large first sync is given back at the next checkpoint.
    raw.execute("PRAGMA journal_size_limit = 16777216")


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
            return create_engine("sqlite://", module=module, creator=connect, poolclass=QueuePool, max_overflow=-1)
        return create_engine("sqlite://", module=module, creator=connect, poolclass=StaticPool)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Cursor]:
        """One consistent state of the file, whatever is written meanwhile."""
        with failures(self.path), _borrowed(self._readers) as raw:
            cursor = raw.cursor()
            cursor.execute("BEGIN")
            yield cursor  # the pool rolls back what comes home to it: that ends the transaction

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sqlite3.Cursor]:
        """One transaction: all of it, or nothing. `durable`: on the disk when the block ends, not only in the WAL."""
        with self._lock, failures(self.path):
            raw = self._write_connection()
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
        with self._lock, failures(self.path):
            raw = self._write_connection()
            if not wait:
                raw.execute("PRAGMA busy_timeout = 0")
            try:
                busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except driver.errors("OperationalError"):
                return False
            finally:
                raw.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
            return not busy

    def vacuum(self) -> bool:
        """Write the file anew without its free pages; False if a reader keeps the old pages in the WAL for now."""
        with self._lock, failures(self.path):
            self._write_connection().execute("VACUUM")
        return self.checkpoint(wait=True)

    def copy_to(self, target: Path) -> None:
        """A compact, consistent copy of the file into an empty one."""
        with _borrowed(self._readers) as raw:
            # VACUUM writes the copy only; query_only would refuse that too.
            raw.execute("PRAGMA query_only = OFF")
            try:
                raw.execute("VACUUM INTO ?", (str(target),))
            finally:
                raw.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Close every connection; the last one to the file removes its WAL."""
        self._readers.dispose()
        if self._lent is not None:
            self._lent.close()
            self._lent = None
        if self._writer is not None:
            self._writer.dispose()

    def _write_connection(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StoreError(f"{self.path} was opened for reading only")
        if self._lent is None:
            self._lent = self._writer.raw_connection()
        return _driver(self._lent)

    def _set_synchronous(self, raw: sqlite3.Connection, level: str) -> None:
        if self._synchronous != level:
            raw.execute("PRAGMA synchronous = " + level)
            self._synchronous = level


@contextmanager
def _borrowed(engine: Engine) -> Iterator[sqlite3.Connection]:
    """The driver's connection, out of SQLAlchemy's pool and back: its own transactions cost five times as much."""
    pooled = engine.raw_connection()
    try:
        yield _driver(pooled)
    finally:
        pooled.close()


def _driver(pooled: PoolProxiedConnection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, pooled.driver_connection)
