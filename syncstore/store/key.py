"""The key of an encrypted file, derived from a passphrase as SQLCipher 4 does it: any SQLCipher opens the file with it.

Deriving takes a good part of a second on purpose. It is done once for a store; each connection then gets the result.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3

from syncstore.errors import PassphraseError

_SALT = 16  # bytes, the first of the file
_ROUNDS = 256_000
_BYTES = 32
# SQLCipher reads such a text as the key itself, not as a passphrase.
_RAW_KEY = re.compile(r"[xX]'[0-9a-fA-F]*'")


class Key:
    """What opens one file. Neither passphrase nor key is shown by repr or in an error."""

    def __init__(self, passphrase: str, salt: bytes) -> None:
        """Derive the key for a file with this salt. PassphraseError for a passphrase that SQLCipher cannot take."""
        self.salt = salt
        self._raw = _derived(_checked(passphrase), salt) + salt

    def unlock(self, raw: sqlite3.Connection) -> None:
        """Give the key to a new connection, before anything is read."""
        raw.execute(f'PRAGMA key = "{self.text}"')

    @property
    def text(self) -> str:
        """Key and salt in SQLCipher's words: hexadecimal, so that nothing in it can be read as SQL."""
        return f"x'{self._raw.hex()}'"


def new_salt() -> bytes:
    """A salt for a new file."""
    return os.urandom(_SALT)


def _checked(passphrase: str) -> bytes:
    if not passphrase:
        raise PassphraseError("the passphrase is empty")
    if "\0" in passphrase or _RAW_KEY.fullmatch(passphrase):
        raise PassphraseError("the passphrase holds NUL or has the form x'…', which SQLCipher takes for something else")
    try:
        return passphrase.encode()
    except UnicodeEncodeError:
        raise PassphraseError("the passphrase is no valid text") from None


def _derived(passphrase: bytes, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", passphrase, salt, _ROUNDS, _BYTES)
