"""Which store a command means: the one named, else the file of the only account logged in."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from platformdirs import user_data_path

from syncstore import SyncStore
from syncstore.errors import NotFoundError

VARIABLE = "SYNCSTORE_DB"
_SUFFIX = ".db"


def account_file(user_id: str) -> Path:
    """The file of an account in the platform's data folder; any user id makes a safe file name."""
    return _folder() / (quote(user_id, safe="@:=_-") + _SUFFIX)


def account_files() -> list[Path]:
    """The files of all accounts in the platform's data folder."""
    folder = _folder()
    return sorted(folder.glob("*" + _SUFFIX)) if folder.is_dir() else []


def make_folder() -> None:
    """Make the data folder, for its owner alone."""
    _folder().mkdir(mode=0o700, parents=True, exist_ok=True)


def store_path(named: str | None) -> str:
    """The store to use: -s, else SYNCSTORE_DB, else the only account's. NotFoundError if that is not clear."""
    if chosen := named or os.environ.get(VARIABLE):
        return chosen
    files = account_files()
    if len(files) != 1:
        what = "no account is logged in" if not files else f"{len(files)} accounts are logged in"
        raise NotFoundError(f"which store? {what}: name one with -s FILE or {VARIABLE}, or log in")
    return str(files[0])


def open_to_read(named: str | None) -> SyncStore:
    """The store, for reading."""
    return SyncStore.open(store_path(named), read_only=True)


def open_to_write(named: str | None) -> SyncStore:
    """The store, which must exist, for writing."""
    return SyncStore.open(store_path(named), create=False)


def is_user_id(text: str) -> bool:
    """Whether this has the form of a Matrix user id."""
    return re.fullmatch(r"@[^:]+:.+", text) is not None


def _folder() -> Path:
    return user_data_path("syncstore")
