"""A store on the disk made encrypted, or plain again, or given another passphrase.

Each writes a whole new file and puts it in place of the old one, whose bytes are then overwritten: docs/encryption.md
says what that can promise. Nobody may have the store open meanwhile. They raise NotFoundError, PassphraseError,
StoreLockedError, StoreFullError, CorruptStoreError and StoreError; the file is then as it was.
"""

from __future__ import annotations

import os

from syncstore.store.convert import convert
from syncstore.store.file import path_of


def encrypt(where: str | os.PathLike[str], passphrase: str) -> None:
    """Encrypt a store that is not encrypted. where: its path."""
    convert(path_of(where), None, passphrase)


def decrypt(where: str | os.PathLike[str], passphrase: str) -> None:
    """Make an encrypted store one that every SQLite can read."""
    convert(path_of(where), passphrase, None)


def rekey(where: str | os.PathLike[str], passphrase: str, new_passphrase: str) -> None:
    """Encrypt an encrypted store with another passphrase."""
    convert(path_of(where), passphrase, new_passphrase)
