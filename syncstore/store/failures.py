"""SQLite's errors, told once, at the edge of this wing, in the words of errors.py."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.exc import DBAPIError

from syncstore.errors import CorruptStoreError, StoreError, StoreFullError, StoreLockedError
from syncstore.store.driver import errors

# Primary result codes of SQLite: https://sqlite.org/rescode.html
_LOCKED = {5, 6, 15}  # BUSY, LOCKED, PROTOCOL (a crowd at the index of the WAL, for ten seconds)
_FULL = 13
_IO = 10
# IOERR_WRITE and IOERR_SHMSIZE, extended: what a limit on the size of files, or no room for the WAL's index, gives.
_NO_ROOM = {778, 4874}
_BROKEN = {11, 26}  # CORRUPT, NOTADB
ADVICE = "`syncstore recover` saves what can be read"
_NO_TEXT = "Could not decode to UTF-8"  # the driver says so without a code
_NOT_WRITABLE = {3, 8}  # PERM, READONLY
_CANNOT_OPEN = {14}
_NO_FTS5 = "no such module: fts5"  # a SQLite may be built without


class failures:  # noqa: N801 - read as a statement; a class, for a generator costs three times as much per use
    """Raise the library's error for an error of the driver, naming the file."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if isinstance(error, DBAPIError):
            cause = error.orig
            raise _translated(cause if isinstance(cause, errors()) else error, self._path) from error
        if isinstance(error, errors()):
            raise _translated(error, self._path) from error
        if isinstance(error, UnicodeDecodeError):
            # SQLite tells of a damaged schema in the bytes of that schema.
            raise CorruptStoreError(f"{self._path} is damaged: text that is no UTF-8; {ADVICE}") from None
        if isinstance(error, UnicodeEncodeError):
            text = error.object[:100]
            raise StoreError(f"{self._path} holds no text with a lone surrogate: {text!a}") from None


def is_locked(error: BaseException) -> bool:
    """Another connection is in the way."""
    return _code(error) & 0xFF in _LOCKED


def is_damage(error: BaseException) -> bool:
    """The file is damaged, or is no database."""
    return _code(error) & 0xFF in _BROKEN


def is_spent(error: BaseException | None) -> bool:
    """Something could not be read: SQLCipher takes every later page that this connection reads for damaged too."""
    return error is not None and (is_damage(error) or _code(error) & 0xFF == _IO)


def _code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", None) or 1


def _translated(error: BaseException, path: Path) -> StoreError:
    extended = _code(error)
    code = extended & 0xFF
    if code in _LOCKED:
        return StoreLockedError(f"{path} is locked by another process")
    if code == _FULL or extended in _NO_ROOM:
        return StoreFullError(f"no room to write {path} (disk full, or a limit reached): nothing was written")
    if code in _BROKEN or _NO_TEXT in str(error):
        return CorruptStoreError(f"{path} is damaged or no SQLite database: {error}; {ADVICE}")
    if code in _NOT_WRITABLE:
        return StoreError(f"{path} cannot be written: {error}")
    if code in _CANNOT_OPEN:
        return StoreError(f"{path} or its WAL cannot be opened: {error}")
    if _NO_FTS5 in str(error):
        return StoreError(f"{path} cannot be searched: this SQLite was built without FTS5")
    return StoreError(f"{path}: {error}")
