"""The passphrase of an encrypted store: from the keyring of the desktop, or asked for on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from syncstore.cli.secret import secret
from syncstore.errors import PassphraseError, StoreError

if TYPE_CHECKING:
    from syncstore.ingest import SyncStore

T = TypeVar("T")
SERVICE = "syncstore passphrase"
_WORKED: dict[Path, str] = {}  # a command may open its store twice, and a person is asked once


def opened(where: str | Path, *, piped: bool = False, **options: Any) -> SyncStore:
    """The store, as SyncStore.open gives it; a passphrase is looked for only if there is need of one.

    piped: standard input may bring it. PassphraseError if none is at hand, or none fits.
    """
    from syncstore.ingest import SyncStore
    from syncstore.store.file import path_of

    return tried(path_of(where), lambda given: SyncStore.open(where, passphrase=given, **options), piped=piped)


def tried(where: Path, use: Callable[[str | None], T], *, piped: bool = False) -> T:
    """What `use` makes of the passphrase of a file; None first, then what is known, then what is asked for."""
    path = where.absolute()
    try:
        return use(None)
    except PassphraseError:
        pass
    known = worked(path) or kept(path)
    may_ask = piped or sys.stdin.isatty()
    if known is not None:
        try:
            return _remembered(path, known, use)
        except PassphraseError:
            if not may_ask:
                raise
    if not may_ask:
        hint = "run this on a terminal, or let the keyring have its passphrase (syncstore rekey --keyring)"
        raise PassphraseError(f"{path} is not a SQLite database, or encrypted: {hint}")
    return _remembered(path, secret("Passphrase: "), use)


def _remembered(path: Path, passphrase: str, use: Callable[[str | None], T]) -> T:
    result = use(passphrase)
    _WORKED[path] = passphrase
    return result


def worked(path: Path) -> str | None:
    """The passphrase with which this process opened the store; None for a store without."""
    return _WORKED.get(path.absolute())


def kept(path: Path) -> str | None:
    """What the keyring has for the store; a keyring that is missing or does not work has nothing."""
    try:
        import keyring

        return keyring.get_password(SERVICE, str(path.absolute()))
    except Exception:  # a backend raises whatever the libraries of its desktop raise
        return None


def keep(path: Path, passphrase: str) -> None:
    """Give it to the keyring."""
    try:
        import keyring

        keyring.set_password(SERVICE, str(path.absolute()), passphrase)
    except Exception as error:
        # The name alone: nobody knows what a backend puts into its text.
        raise StoreError(f"the keyring did not keep the passphrase ({type(error).__name__})") from None
    # keyring's null backend takes everything and keeps nothing.
    if kept(path) != passphrase:
        raise StoreError("the keyring did not keep the passphrase")


def drop(path: Path) -> None:
    """Forget it, here and in the keyring; none is no error."""
    _WORKED.pop(path.absolute(), None)
    if kept(path) is not None:
        import keyring

        keyring.delete_password(SERVICE, str(path.absolute()))
