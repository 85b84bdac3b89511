"""Encrypting a store, making it plain again, changing its passphrase."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from syncstore.cli import passphrase, places, show
from syncstore.cli.secret import secret
from syncstore.errors import NotFoundError, PassphraseError

Keyring = Annotated[bool, typer.Option("--keyring", help="Keep the passphrase in the keyring.")]


def encrypt(context: typer.Context, keyring: Keyring = False) -> None:
    """Encrypt the store with a passphrase; nobody may have it open."""
    path = _path(context)
    given = _new()
    from syncstore.encryption import encrypt as run

    run(path, given)
    if keyring:
        passphrase.keep(path, given)
    show.line((f"{path} is encrypted; without the passphrase nobody can read it", ""))


def decrypt(context: typer.Context) -> None:
    """Make an encrypted store one that every SQLite can read; nobody may have it open."""
    path = _path(context)
    old = _old(path)
    from syncstore.encryption import decrypt as run

    run(path, old)
    passphrase.drop(path)
    show.line((f"{path} is not encrypted any more", ""))


def rekey(context: typer.Context, keyring: Keyring = False) -> None:
    """Change the passphrase of an encrypted store; nobody may have it open."""
    path = _path(context)
    old = _old(path)
    given = _new()
    from syncstore.encryption import rekey as run

    run(path, old, given)
    keyring = keyring or passphrase.kept(path) is not None
    passphrase.drop(path)
    if keyring:
        passphrase.keep(path, given)
    show.line((f"{path} has a new passphrase", ""))


def _path(context: typer.Context) -> Path:
    from syncstore.store.file import path_of

    path = path_of(places.where(context)).absolute()
    if not path.exists():
        raise NotFoundError(f"{path} does not exist")
    return path


def _old(path: Path) -> str:
    """The passphrase that opens the store."""
    passphrase.opened(path, piped=True, create=False).close()
    found = passphrase.worked(path)
    if found is None:
        raise PassphraseError(f"{path} is not encrypted")
    return found


def _new() -> str:
    given = secret("New passphrase: ")
    # What nobody saw may have been mistyped; it could never be found again.
    if sys.stdin.isatty() and secret("The same again: ") != given:
        raise PassphraseError("the two passphrases differ: nothing was changed")
    return given
