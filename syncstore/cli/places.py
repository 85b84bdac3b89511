"""Which store a command means, and how it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from syncstore.cli.folder import folder, safe_name
from syncstore.cli.logins import logins
from syncstore.cli.passphrase import opened
from syncstore.errors import NotFoundError, OlderFormatError

if TYPE_CHECKING:
    from syncstore.ingest import SyncStore

VARIABLE = "SYNCSTORE_DB"


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
    stores = sorted({login.store for login in logins()})
    if len(stores) == 1:
        return stores[0]
    if not stores:
        raise NotFoundError(f"which store? No account is logged in: give -s STORE, set {VARIABLE}, or log in")
    raise NotFoundError(f"which store? Several accounts are logged in: give -s with one of {', '.join(stores)}")


def reading(context: typer.Context) -> SyncStore:
    """The store, opened so that nothing in it can change, but for the upgrade of an older file."""
    path = where(context)
    try:
        return opened(path, read_only=True)
    except OlderFormatError:
        opened(path, create=False).close()
        return opened(path, read_only=True)


def writing(context: typer.Context) -> SyncStore:
    """The store, opened for writing; never made."""
    return opened(where(context), create=False)
