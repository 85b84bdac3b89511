"""A large body is split piece by piece: no single step holds Python's lock for longer than one room needs.

The decoder is quick, but lets no other thread run meanwhile, and an event loop waits. So the rooms are cut out first:
an object behind a key that begins with `!`, as room ids do, up to the next such key. Each is proven to be a value by
itself, and a marker string takes its place; what stands around it is JSON or none, as it was before. What is left is
small, and split as any body. Whatever does not look like that stays where it is. This module knows bytes only, no
Matrix.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

import msgspec

from syncstore.wire.turns import WINDOW, give_way

_VALUE = msgspec.json.Decoder(msgspec.Raw)
_WORTH = 2048  # bytes of a piece: what is known of each takes a tenth of that
_KEY = re.compile(rb'"![^"\\]{0,300}":(?=\{)')


class _Key(NamedTuple):
    start: int
    value: int  # where its object begins


class Cuts:
    """A body without its rooms (`rest`) and the way back (`restore`)."""

    def __init__(self, body: bytes | bytearray) -> None:
        self._body, self._view = body, memoryview(body)
        self._pieces: list[memoryview] = []
        # Nobody who wrote the body can know it.
        self._nonce = b"~%s~" % secrets.token_hex(16).encode()
        self._marker = re.compile(b'"' + self._nonce + rb'(?P<n>[0-9]+)"')
        self.rest = self._cut()

    @property
    def any(self) -> bool:
        """Whether anything was cut out."""
        return bool(self._pieces)

    def restore(self, part: msgspec.Raw) -> msgspec.Raw:
        """A part cut out of `rest` as it was sent; not copied if nothing, or all of it, was cut out."""
        view = memoryview(part)
        if (found := self._marker.search(view)) is None:
            return part
        if found.span() == (0, len(view)):
            return msgspec.Raw(self._pieces[int(found["n"])])
        return msgspec.Raw(self._marker.sub(lambda match: bytes(self._pieces[int(match["n"])]), view))

    def _cut(self) -> bytes:
        kept: list[bytes | memoryview] = []
        copied = 0
        key, rested = self._next_key(0), 0
        while key is not None and (after := self._next_key(key.value)) is not None:
            if key.start - rested > WINDOW:
                give_way()
                rested = key.start
            piece = self._view[key.value : after.start - 1]  # without the comma, or it is no value
            if len(piece) >= _WORTH and _is_value(piece):
                kept += (self._view[copied : key.value], b'"%s%d"' % (self._nonce, len(self._pieces)))
                self._pieces.append(piece)
                copied = after.start - 1
            key = after
        return b"".join([*kept, self._view[copied:]])

    def _next_key(self, start: int) -> _Key | None:
        """The next key of an object that begins with `!` and has an object for its value."""
        while start < len(self._body):
            end = start + WINDOW
            quote = self._body.find(b'"!', start, end + 1)
            if quote < 0:
                start = end
                give_way()
            elif self._body[quote - 1] in b"{," and (match := _KEY.match(self._body, quote)) is not None:
                return _Key(quote, match.end())
            else:
                start = quote + 1
        return None


def _is_value(piece: memoryview) -> bool:
    try:
        _VALUE.decode(piece)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True
