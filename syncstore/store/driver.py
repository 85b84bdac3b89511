"""The SQLite that a file is read with: Python's own, or SQLCipher for an encrypted file. Only here both are known.

A connection of SQLCipher behaves as sqlite3's does and is annotated as one. But its exceptions are a tree of their own:
catch `errors()`, never sqlite3.Error.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

from syncstore.errors import StoreError
from syncstore.store.key import Key, new_salt

MAGIC = b"SQLite format 3\x00"  # where an encrypted file has its salt
_CIPHER = "sqlcipher3.dbapi2"
_NO_KEY = "x'" + "00" * 32 + "'"
# READWRITE, CREATE (the mode of the URI takes away from them) and EXRESCODE: without it the module tells the kind of an
# error alone, and a disk without room is of one kind with a broken one.
_FLAGS = 0x2 | 0x4 | 0x02000000


def cipher() -> Any:
    """SQLCipher's DB-API module; StoreError if it is not installed."""
    try:
        return import_module(_CIPHER)
    except ImportError:
        raise StoreError("an encrypted store needs SQLCipher: pip install 'syncstore[encrypted]'") from None


def module(key: Key | None) -> Any:
    """The DB-API module for a file with this key, or without."""
    return sqlite3 if key is None else cipher()


def errors(name: str = "Error") -> tuple[type[Exception], ...]:
    """The exception of this DB-API name, of each SQLite in use."""
    loaded = sys.modules.get(_CIPHER)
    own: type[Exception] = getattr(sqlite3, name)
    return (own,) if loaded is None else (own, getattr(loaded, name))


def is_still(path: Path) -> bool:
    """A closed file in a folder we cannot write: SQLite could not make its WAL index there, and needs none."""
    return not os.access(path.absolute().parent, os.W_OK) and not Path(f"{path}-wal").exists()


def uri_of(path: Path, mode: str) -> str:
    """A file in the words of SQLite; mode: the parameters of its URI."""
    # An empty host before a path that begins with /: of two slashes in the path the first name would be taken for one.
    host = "//" if path.is_absolute() else ""
    return f"file:{host}{quote(str(path))}?{mode}"


def connect(path: Path, key: Key | None, mode: str, **options: Any) -> sqlite3.Connection:
    """A connection, unlocked. A wrong key shows when something is read."""
    if key is None:
        # isolation_level None: the transaction is begun by us, in the way that the block needs.
        plain: sqlite3.Connection = sqlite3.connect(uri_of(path, mode), uri=True, isolation_level=None, **options)
        return plain
    raw = connect_cipher(path, mode, **options)
    key.unlock(raw)
    return raw


def connect_cipher(path: Path, mode: str, **options: Any) -> sqlite3.Connection:
    """A connection of SQLCipher without a key yet: a file that is not encrypted needs none."""
    raw: sqlite3.Connection = cipher().connect(
        uri_of(path, mode), uri=True, isolation_level=None, flags=_FLAGS, **options
    )
    # It would write each page that it cannot read to standard error; an exception says it.
    raw.execute("PRAGMA cipher_log_level = NONE")
    return raw


def salt_of(path: Path) -> bytes:
    """The first bytes of a file, as SQLCipher reads them; a new salt for a file without any.

    Never by open and close: closing takes away every lock that this process has on the file, SQLite's too.
    """
    if not path.stat().st_size:
        return new_salt()
    with closing(connect_cipher(path, "mode=ro")) as raw:
        raw.execute(f'PRAGMA key = "{_NO_KEY}"')
        return bytes.fromhex(raw.execute("PRAGMA cipher_salt").fetchone()[0])
