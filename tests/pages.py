"""Pages of an encrypted store, decrypted one by one: all that its passphrase shows, free pages and WAL included.

Source: https://www.zetetic.net/sqlcipher/design/
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from Crypto.Cipher import AES

from syncstore.store.key import Key

_PAGE = 4096
_SALT = 16  # bytes, plain, at the head of the first page
_IV, _HMAC = 16, 64  # at the end of each page
_WAL_HEADER, _FRAME_HEADER = 32, 24


def decrypted(path: Path, key: Key) -> bytes:
    """All pages of the file, then all of its WAL."""
    raw = bytes.fromhex(key.text[2:-1])[:-_SALT]
    return b"".join(_decrypted(page, first, raw) for page, first in _pages(path))


def _pages(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Each page, and whether it is the first of the file."""
    data = path.read_bytes()
    for at in range(0, len(data), _PAGE):
        yield data[at : at + _PAGE], at == 0
    wal = path.with_name(path.name + "-wal")
    data = wal.read_bytes()[_WAL_HEADER:] if wal.exists() else b""
    for at in range(0, len(data), _FRAME_HEADER + _PAGE):
        number = int.from_bytes(data[at : at + 4])
        yield data[at + _FRAME_HEADER : at + _FRAME_HEADER + _PAGE], number == 1


def _decrypted(page: bytes, first: bool, raw: bytes) -> bytes:
    end = _PAGE - _IV - _HMAC
    iv = page[end : end + _IV]
    return bytes(AES.new(raw, AES.MODE_CBC, iv).decrypt(page[_SALT if first else 0 : end]))
