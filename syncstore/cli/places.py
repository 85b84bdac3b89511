"""Which store a command means, and how it is opened."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from syncstore.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from syncstore.ingest import SyncStore

VARIABLE = "SYNCSTORE_DB"
_PLAIN = re.compile(r"[^a-z0-9@._=-]")
_LONGEST = 200  # bytes of a file name, with room for its suffix


def folder() -> Path:
    """Where accounts have their files: the platform's data folder."""
    from platformdirs import user_data_path

    return user_data_path("syncstore", appauthor=False)


def make_folder() -> Path:
    """The same, made if it is missing; for its owner alone."""
    made = folder()
    try:
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{made} cannot be made: {error.strerror}") from None
    return made


def safe_name(text: str) -> str:
    """A file name for an id, the same on every system: no separators, no upper case that some disks would fold."""
    name = _PLAIN.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text)
    if len(name) <= _LONGEST:
        return name
    return f"{name[:100]}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def file_of(user_id: str) -> Path:
    """The file that an account has unless -s says otherwise."""
    return folder() / f"{safe_name(user_id)}.db"


def given(context: typer.Context) -> str | None:
    """What -s or the environment says."""
    found = context.find_root().obj
    return found if isinstance(found, str) and found else None


def where(context: typer.Context) -> str:
    """The store that a command means: -s, the environment, or that of the only account logged in."""
    named = given(context)
    if named is not None:
        return named
    from syncstore.cli.logins import logins

    stores = sorted({login.store for login in logins()})
    if len(stores) == 1:
        return stores[0]
    if not stores:
        raise NotFoundError(f"which store? No account is logged in: give -s STORE, set {VARIABLE}, or log in")
    raise NotFoundError(f"which store? Several accounts are logged in: give -s with one of {', '.join(stores)}")


def reading(context: typer.Context) -> SyncStore:
    """The store, opened so that nothing in it can change."""
    from syncstore.ingest import SyncStore

    return SyncStore.open(where(context), read_only=True)


def writing(context: typer.Context) -> SyncStore:
    """The store, opened for writing; never made."""
    from syncstore.ingest import SyncStore

    return SyncStore.open(where(context), create=False)
