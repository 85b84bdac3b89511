"""SQLite's errors, told once, at the edge of this wing, in the words of errors.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from syncstore.errors import CorruptStoreError, StoreError, StoreFullError, StoreLockedError
from syncstore.store.driver import errors

# Primary result codes of SQLite: https://sqlite.org/rescode.html
_LOCKED = {5, 6}  # BUSY, LOCKED
_FULL = 13
_WRITE_FAILED = 778  # IOERR_WRITE, extended: what a limit on the size of files gives instead of FULL
_BROKEN = {11, 26}  # CORRUPT, NOTADB
_NOT_WRITABLE = {3, 8}  # PERM, READONLY
_CANNOT_OPEN = {14}


@contextmanager
def failures(path: Path) -> Iterator[None]:
    """Raise the library's error for an error of the driver, naming the file."""
    try:
        yield
    except DBAPIError as error:
        cause = error.orig
        raise _translated(cause if isinstance(cause, errors()) else error, path) from error
    except errors() as error:
        raise _translated(error, path) from error


def _translated(error: BaseException, path: Path) -> StoreError:
    extended = getattr(error, "sqlite_errorcode", None) or 1
    code = extended & 0xFF
    if code in _LOCKED:
        return StoreLockedError(f"{path} is locked by another process")
    if code == _FULL or extended == _WRITE_FAILED:
        return StoreFullError(f"no room to write {path} (disk full, or a limit reached): nothing was written")
    if code in _BROKEN:
        return CorruptStoreError(f"{path} is damaged or no SQLite database: {error}")
    if code in _NOT_WRITABLE:
        return StoreError(f"{path} cannot be written: {error}")
    if code in _CANNOT_OPEN:
        return StoreError(f"{path} or its WAL cannot be opened: {error}")
    return StoreError(f"{path}: {error}")
