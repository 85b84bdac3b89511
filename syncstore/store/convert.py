"""A store made anew with another key, or none: encryption, decryption and a change of passphrase are one thing.

A whole new file is written beside the old one, compared, and put into its place by one rename. A crash before that
leaves the old file, a crash after it the new one. Nobody else may have the store open; who comes meanwhile waits, and
then finds no database in the old file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from syncstore.errors import CorruptStoreError, StoreError, StoreLockedError
from syncstore.store import driver
from syncstore.store.durable import sync
from syncstore.store.failures import failures, is_damage
from syncstore.store.file import open_file
from syncstore.store.key import Key, new_salt

_CHUNK = 1 << 20


def convert(path: Path, old: str | None, new: str | None) -> None:
    """Write the store anew for the passphrase `new` in place of `old`; None: not encrypted. Whole or not at all.

    Raises NotFoundError, PassphraseError, StoreLockedError (anybody has it open, this process included), StoreFullError
    and other kinds of StoreError; the file is then as it was.
    """
    driver.cipher()
    path = path.resolve()  # a link would be replaced, and the old file stay
    key = None if new is None else Key(new, new_salt())
    opened = open_file(path, user_id=None, device_id=None, read_only=False, create=False, passphrase=old)
    opened.close()
    with failures(path), _told(path), _alone(path, opened.key) as (source, handle):
        target = path.with_name(f"{path.name}.converted")
        try:
            _write(source, target, key)
            with closing(driver.connect(target, key, "mode=rw")) as made:
                # As every store is; who has such a file open, even for reading only, is noticed by the next conversion.
                made.execute("PRAGMA journal_mode = WAL")
                _compare(path, source, made)
            sync(target)
            target.replace(path)
        finally:
            _remove(target)
        sync(path.parent)
        _wipe(handle)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{error.filename or path} cannot be written: {error.strerror}") from None


@contextmanager
def _alone(path: Path, key: Key | None) -> Iterator[tuple[sqlite3.Connection, int]]:
    """The old file, its WAL emptied, locked against everybody until the end; and a descriptor of it."""
    _leave_wal(path, key)
    # Opened first and closed last: closing it takes every lock on the file away.
    handle = os.open(path, os.O_RDWR)
    try:
        if os.fstat(handle).st_nlink > 1:
            raise StoreError(f"{path} has a second name (a hard link), whose content would be lost: remove it first")
        with closing(driver.connect_cipher(path, "mode=rw", timeout=0)) as source:
            if key is not None:
                key.unlock(source)
            source.execute("PRAGMA locking_mode = EXCLUSIVE")
            source.execute("BEGIN EXCLUSIVE")
            source.execute("COMMIT")  # the lock stays, until the connection is closed
            if source.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                raise StoreLockedError(f"{path} was opened by another process")
            yield source, handle
    finally:
        os.close(handle)


def _leave_wal(path: Path, key: Key | None) -> None:
    """Empty and remove the WAL, by the SQLite that this process reads the file with: it knows who has it open here."""
    with closing(driver.connect(path, key, "mode=rw", timeout=0)) as raw:
        try:
            raw.execute("PRAGMA journal_mode = DELETE")
        except driver.errors() as error:
            if is_damage(error):
                raise
            raise StoreLockedError(f"{path} is open elsewhere, or cannot be locked: {error}") from None


def _write(source: sqlite3.Connection, target: Path, key: Key | None) -> None:
    _remove(target)  # of one that was killed
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    source.execute("ATTACH ? AS fresh KEY ?", (driver.uri_of(target, "mode=rw"), "" if key is None else key.text))
    # Nobody needs half of it: no journal, and one fsync at the end.
    source.execute("PRAGMA fresh.journal_mode = OFF")
    source.execute("PRAGMA fresh.synchronous = OFF")
    source.execute("BEGIN")
    source.execute("SELECT sqlcipher_export('fresh')").fetchall()
    for name in ("application_id", "user_version"):
        value = source.execute(f"PRAGMA main.{name}").fetchone()[0]
        source.execute(f"PRAGMA fresh.{name} = {value:d}")
    source.execute("COMMIT")
    source.execute("DETACH fresh")


def _compare(path: Path, source: sqlite3.Connection, made: sqlite3.Connection) -> None:
    """Refuse a copy that is not whole: as many rows in each table, and SQLite's own check."""
    if _picture(source) != _picture(made) or made.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
        raise CorruptStoreError(f"{path} could not be copied whole: check it")


def _picture(raw: sqlite3.Connection) -> list[tuple[object, ...]]:
    found = [raw.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
    found += raw.execute("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2")
    tables = [name for kind, name, _ in found[2:] if kind == "table"]
    for table in tables:
        quoted = table.replace('"', '""')
        found.append((table, *raw.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()))
    return found


def _remove(target: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{target}{suffix}").unlink(missing_ok=True)


def _wipe(handle: int) -> None:
    """Overwrite the old file, which has no name any more. Not cut short: who has it open must find no database."""
    left = os.fstat(handle).st_size
    while left > 0:
        left -= os.write(handle, bytes(min(_CHUNK, left)))
    os.fsync(handle)
