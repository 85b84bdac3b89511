"""The suite on encrypted stores: `pytest --encrypted`, in processes that a test starts too.

A store that is made gets a passphrase, and so does whoever opens it again: the library under the tests is the same.
Commands find the passphrase in the tests' keyring. Where tests look into a file with sqlite3, SQLCipher does it.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from functools import cache
from pathlib import Path
from sqlite3.dump import _iterdump  # type: ignore[attr-defined]
from typing import Any
from urllib.parse import unquote

ENCRYPTED = bool(os.environ.get("TESTS_ENCRYPTED"))
PASSPHRASE = "it's the \"suite's\" ключ"
_SALT = b"salt for testing"
ROOT = Path(__file__).parents[1]

_ONE_SALT = "the suite's stores share one, so that WALs fit; test_encryption.py tries it with two"
_SELF = "says itself which file is encrypted"
# Tests that are about something else, by the beginning of their ids.
SKIPPED = {
    "tests/store/test_encryption.py": _SELF,
    "tests/store/test_convert.py": _SELF,
    "tests/cli/test_encryption.py": _SELF,
    "tests/store/test_views.py::test_every_view_is_readable_with_the": "no SQLite but SQLCipher's takes a key",
    "tests/store/test_old_file.py::test_p25_the_wal_of_another": _ONE_SALT,
    "tests/bench/": "measures plain files; `python -m benchmarks.encrypted` the others",
    "tests/contract/test_wheel.py": "opens no store, and builds in an environment without the library",
}


def start() -> None:
    """Make this process and those it starts use encrypted stores."""
    os.environ["TESTS_ENCRYPTED"] = "1"
    os.environ["PYTHON_KEYRING_BACKEND"] = "tests.cli.ring.FileRing"
    paths = [str(ROOT / "tests" / "site"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    install()


@cache
def install() -> None:
    """Do so in this process alone; once, though a worker hears of it twice."""
    from syncstore import SyncStore
    from syncstore.store import driver, key

    global ENCRYPTED
    ENCRYPTED = True
    # A key takes a good part of a second, and the suite makes thousands of stores: they share one.
    key._derived = cache(key._derived)
    driver.new_salt = lambda: _SALT  # type: ignore[attr-defined]
    open_, connect, recover = SyncStore.open.__func__, sqlite3.connect, SyncStore.recover  # type: ignore[attr-defined]

    def opened(cls: type[SyncStore], /, where: str | os.PathLike[str], **options: Any) -> SyncStore:
        if options.get("passphrase") is None and _gets_it(where, by_command=_called_by("syncstore.cli.")):
            options["passphrase"] = PASSPHRASE
        store: SyncStore = open_(cls, where, **options)
        return store

    def recovered(where: Any, target: Any, **options: Any) -> Any:
        if options.get("passphrase") is None and not _called_by("syncstore."):
            options["passphrase"] = PASSPHRASE
        return recover(where, target, **options)

    def connected(database: Any, *rest: Any, **options: Any) -> Any:
        path = _file(database)
        if _called_by("syncstore.") or not _is_ours(path):
            return connect(database, *rest, **options)
        raw = _looking()(database, *rest, **options)
        key.Key(PASSPHRASE, _SALT).unlock(raw)
        return raw

    SyncStore.open = classmethod(opened)  # type: ignore[method-assign, assignment]
    SyncStore.recover = staticmethod(recovered)  # type: ignore[method-assign]
    sqlite3.connect = connected


def module() -> Any:
    """The DB-API module under the stores of this run."""
    from syncstore.store import driver

    return driver.cipher() if ENCRYPTED else sqlite3


def key_of(path: Path) -> Any:
    """The key of a store, as parts of the library want it; None where nothing is encrypted."""
    from syncstore.store.key import Key

    return Key(PASSPHRASE, _SALT) if ENCRYPTED and _is_ours(path) else None


def reason_to_skip(test: str) -> str | None:
    """Why a test is not run on encrypted stores; None for one that is."""
    return next((reason for start, reason in SKIPPED.items() if test.startswith(start)), None)


def _called_by(prefix: str) -> bool:
    return str(sys._getframe(2).f_globals.get("__name__")).startswith(prefix)


def _gets_it(where: str | os.PathLike[str], *, by_command: bool) -> bool:
    """Whether an opening gets the passphrase: a new store; an old one unless a command asks, which must find it."""
    from syncstore.errors import StoreError
    from syncstore.store.file import path_of

    try:
        path = path_of(where)
    except StoreError:
        return False
    new = not path.exists() or (path.is_file() and not path.stat().st_size)
    return new or (not by_command and _is_ours(path))


def _is_ours(path: Path) -> bool:
    from syncstore.store import driver

    if not path.is_file() or not path.stat().st_size:
        return False
    # As driver.salt_of does, but through no connection that a test breaks or counts.
    with closing(_looking()(driver.uri_of(path, "mode=ro"), uri=True)) as raw:
        raw.execute(f'PRAGMA key = "{driver._NO_KEY}"')
        return bool(raw.execute("PRAGMA cipher_salt").fetchone()[0] == _SALT.hex())


def _file(database: Any) -> Path:
    text = os.fspath(database)
    return Path(unquote(text.removeprefix("file:").partition("?")[0]) if text.startswith("file:") else text)


@cache
def _looking() -> Any:
    """A connection of SQLCipher with what the tests use of sqlite3 alone."""
    from syncstore.store import driver

    cipher = driver.cipher()

    class Connection(cipher.Connection):  # type: ignore[misc, name-defined]
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, cipher.Row if value is sqlite3.Row else value)

        def iterdump(self) -> Any:
            return _iterdump(self)

    return Connection
