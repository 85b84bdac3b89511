"""From a passphrase to an open file, and what is said where the two do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from weakref import WeakSet

from syncstore.errors import CorruptStoreError, PassphraseError
from syncstore.store.connection import Connections
from syncstore.store.driver import MAGIC, salt_of
from syncstore.store.failures import failures
from syncstore.store.key import Key

Open = Callable[[Key | None], Connections]
_PAGE = 4096  # of SQLCipher 4; its files are whole pages
_opened: WeakSet[Connections] = WeakSet()  # encrypted ones


def unlocked(path: Path, passphrase: str | None, open_: Open) -> Connections:
    """What `open_` makes of the file's key. PassphraseError if the file needs another one, or none."""
    if passphrase is None:
        return _plain(path, open_)
    key = key_of(path, passphrase)
    try:
        connections = open_(key)
    except (CorruptStoreError, PassphraseError):
        if salt_of(path) == key.salt:
            raise
        # Two processes made one new file, each with its own salt: the slower one takes the file's.
        connections = open_(key_of(path, passphrase))
    _opened.add(connections)
    return connections


def key_of(path: Path, passphrase: str) -> Key:
    """The key of a file. PassphraseError for a file that is not encrypted."""
    with failures(path):
        salt = salt_of(path)
    if salt == MAGIC:
        raise PassphraseError(f"{path} is not encrypted: open it without a passphrase, or encrypt it first")
    return Key(passphrase, salt)


def try_key(connections: Connections) -> None:
    """PassphraseError if the file cannot be read with its key."""
    try:
        with connections.read() as cursor:
            cursor.execute("PRAGMA user_version").fetchone()  # the first page alone
    except CorruptStoreError:
        message = f"{connections.path} does not open with this passphrase: it is another one, or the file is damaged"
        raise PassphraseError(message) from None


def _plain(path: Path, open_: Open) -> Connections:
    try:
        return open_(None)
    except CorruptStoreError:
        if looks_encrypted(path):
            raise PassphraseError(f"{path} is not a SQLite database, or encrypted: give its passphrase") from None
        raise


def looks_encrypted(path: Path) -> bool:
    """Whether a file that is none of SQLite's may be one of SQLCipher's: its first page is as good as random."""
    # Of one that is open here we know it; see `salt_of` for why it must not be looked into.
    if any(path.exists() and one.path.exists() and path.samefile(one.path) for one in _opened):
        return True
    with path.open("rb") as file:
        first = file.read(_PAGE)
    # Of 256 values a page of random bytes lacks none, or hardly any; text and tables lack most.
    return len(first) == _PAGE and not first.startswith(MAGIC) and len(set(first)) > 240
