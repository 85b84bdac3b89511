"""Addresses: the homeserver's base URL and the paths below it."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from syncstore.errors import RemoteError
from syncstore.model.text import printable


def base_address(url: str) -> str:
    """Return a homeserver's base URL without trailing slashes.

    RemoteError if it is not http(s)://host[:port][/path]; user, password and query have no place in it.
    """
    # A password stands before an '@', a token after a '?': each may hold the other's sign.
    shown = "that holds '@'" if "@" in url else repr(printable(url.partition("?")[0]))
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = None
    if not fits or not url.isascii() or any(char in url for char in "?#@\\") or not url.isprintable() or " " in url:
        raise RemoteError(f"homeserver address {shown}: expected http(s)://host[:port][/path]")
    return url.rstrip("/")


def join_path(root: str, *segments: str) -> str:
    """Return `root` and the segments, each percent-encoded as a whole: room ids contain '/', '!' and '+'.

    RemoteError for an empty segment, '.' and '..': they would name another resource, and no encoding prevents that
    (RFC 3986, 6.2.2.3).
    """
    for segment in segments:
        if segment in ("", ".", "..") or any("\ud800" <= char <= "\udfff" for char in segment):
            raise RemoteError(f"{segment!r} is no id: it cannot stand in the path {root}/{'/'.join(segments)!a}")
    return "/".join((root, *(quote(segment, safe="") for segment in segments)))
