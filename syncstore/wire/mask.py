"""Bodies that the fast decoder refuses because of one string are made readable, and given back untouched.

The decoder refuses a whole body for one lone surrogate (`"\\ud800"`, which a real server accepts in account data and
sends in every later initial sync), for bytes that are not UTF-8 in a key, and for nesting deeper than its stack. Each
such place is covered with a marker that does not occur in the body; `restore` puts the bytes back into any part cut
out of it. This module knows bytes only, no Matrix.
"""

from __future__ import annotations

import codecs
import re
import secrets

from syncstore.wire.turns import WINDOW, give_way

# One escape at a time, so that the parity of backslashes is right: a valid pair, a lone surrogate, any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_NOT_UTF8 = re.compile("[\udc80-\udcff]+")
# Possessive, and a string without an end runs to the end of the body: one pass over whatever was sent, without memory
# for ways back. In a body that is no JSON every escaped quote would else begin another walk to its end.
_STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
# Containers below this depth are covered: far below any decoder's stack, far above any field we look at.
_DEPTH = 64


def is_utf8(body: bytes | bytearray) -> bool:
    """Whether the bytes are UTF-8, read in pieces so that a large body is never copied whole."""
    if len(body) <= WINDOW and body.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(body)
    try:
        for at in range(0, len(view), WINDOW):
            decoder.decode(view[at : at + WINDOW])
            if at:
                give_way()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def lone_surrogates(text: str) -> bool:
    """Whether JSON text holds an escaped surrogate without its partner."""
    return any(match["lone"] for match in _ESCAPE.finditer(text.encode("utf-8", "surrogatepass")))


class Mask:
    """A readable copy of a body (`body`) and the way back (`restore`)."""

    def __init__(self, body: bytes | bytearray) -> None:
        self._originals: list[bytes] = []
        # Drawn and not counted up: a body that holds the first million markers would be searched a million times.
        self._nonce = _drawn()
        while self._nonce in body:
            self._nonce = _drawn()
        self._inside = re.compile(self._nonce + rb"(?P<n>[0-9]+)s~")
        self._whole = re.compile(b'"' + self._nonce + rb'(?P<n>[0-9]+)d~"')
        text = bytes(body).decode("utf-8", "surrogateescape")
        text = _NOT_UTF8.sub(lambda m: self._cover(m[0].encode("utf-8", "surrogateescape"), b"s").decode(), text)
        covered = _ESCAPE.sub(self._cover_lone, text.encode())
        self.body = self._cover_deep(covered)

    def touches(self, part: bytes) -> bool:
        """Whether this part of the readable copy differs from what was sent."""
        return self._nonce in part

    def restore(self, part: bytes) -> bytes:
        """The bytes as they were sent, for any part cut out of the readable copy."""
        if self._nonce not in part:
            return part
        # Deep containers first: they may hold covered strings themselves.
        whole = self._whole.sub(lambda m: self._originals[int(m["n"])], part)
        return self._inside.sub(lambda m: self._originals[int(m["n"])], whole)

    def _cover(self, original: bytes, kind: bytes) -> bytes:
        self._originals.append(original)
        return b"%s%d%s~" % (self._nonce, len(self._originals) - 1, kind)

    def _cover_lone(self, match: re.Match[bytes]) -> bytes:
        return self._cover(match[0], b"s") if match["lone"] else match[0]

    def _cover_deep(self, body: bytes) -> bytes:
        """Replace each outermost container that starts below _DEPTH by a marker string."""
        pieces: list[bytes] = []
        depth = copied = start = 0
        for token in _STRUCTURE.finditer(body):
            if token[0] in b"[{":
                depth += 1
                if depth == _DEPTH:
                    start = token.start()
            elif token[0] in b"]}":
                if depth == _DEPTH:
                    pieces += (body[copied:start], b'"', self._cover(body[start : token.end()], b"d"), b'"')
                    copied = token.end()
                depth -= 1
        pieces.append(body[copied:])
        return b"".join(pieces)


def _drawn() -> bytes:
    return b"~%s~" % secrets.token_hex(8).encode()


def nesting(text: str | bytes) -> int:
    """How deep the containers of a JSON text go; 0 for a bare value."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if raw.count(b"[") + raw.count(b"{") <= 1:
        return raw.count(b"[") + raw.count(b"{")
    depth = deepest = 0
    for token in _STRUCTURE.finditer(raw):
        if token[0] in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in b"]}":
            depth -= 1
    return deepest
