"""One response body into one buffer, with a limit, whole or not at all.

Decompression is done here and not by urllib3: only so the limit holds at every step for every version of it, and a
gzip stream that ends early is noticed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import requests

from syncstore.model.text import printable

_CHUNK = 1 << 16
_GZIP = zlib.MAX_WBITS | 16
_SPACE = b" \t\r\n"
_CLOSING = {b"{": b"}", b"[": b"]"}


class BodyError(Exception):
    """A body of no use. again: another try may bring it whole."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


def read_body(response: requests.Response, limit: int) -> bytearray:
    """Read a streamed response to its end.

    limit: bytes, counted before and after decompression. BodyError for more than that, for broken gzip, and for an
    encoding nobody asked for. A connection that breaks or ends before Content-Length raises what urllib3 raises.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise BodyError("the answer has a Content-Encoding that was not asked for", again=False)
    chunks = _limited(iter(lambda: response.raw.read(_CHUNK, decode_content=False), b""), limit)
    buffer = bytearray()
    for chunk in _limited(_gunzip(chunks), limit) if "gzip" in encoding else chunks:
        buffer += chunk
    return buffer


def _limited(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    left = limit
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise BodyError(f"the answer is longer than max_body, {limit} bytes", again=False)
        yield chunk


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(_GZIP)
    try:
        for chunk in chunks:
            while chunk and not decoder.eof:
                yield decoder.decompress(chunk, _CHUNK)
                chunk = decoder.unconsumed_tail
    except zlib.error:
        raise BodyError("the answer is no whole gzip", again=True) from None
    if not decoder.eof or decoder.unused_data:
        raise BodyError("the answer is no whole gzip", again=True)


def check_json(body: bytearray, opening: bytes, content_type: str) -> None:
    """Raise BodyError unless the body looks like JSON from its first to its last byte.

    opening: b"{" or b"[", the only one allowed. Without Content-Length nothing else tells a cut answer; a page of a
    proxy or of a hotel's network comes with status 200.
    """
    head, tail = body[:64].lstrip(_SPACE), body[-64:].rstrip(_SPACE)
    if not head:
        raise BodyError("the answer is empty", again=True)
    if head[:1] != opening:
        kind = printable(content_type[:40]) or "no type"
        raise BodyError(f"not from a homeserver: {kind} instead of JSON", again=False)
    if tail[-1:] != _CLOSING[opening]:
        raise BodyError("the answer was cut off", again=True)
