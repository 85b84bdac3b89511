"""From a server name to its homeserver's base URL (Client-Server API, Server Discovery, Well-known URI)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urljoin, urlsplit

from urllib3.exceptions import HTTPError

from syncstore.errors import RemoteError, ServerError, UnreachableError
from syncstore.net.address import base_address
from syncstore.net.body import BodyError, read_body
from syncstore.net.credentials import Signature
from syncstore.net.failures import broken
from syncstore.net.homeserver import Homeserver
from syncstore.net.retry import Retry
from syncstore.net.transport import CONNECT_SECONDS, PlainHttp

_LIMIT = 1 << 16
_SECONDS = 30.0
_HOPS = 6
_REDIRECTS = (301, 302, 303, 307, 308)


def discover(server_name: str) -> str:
    """Return the base URL of the homeserver that serves the clients of a server name.

    Raises UnreachableError where the spec says FAIL_PROMPT (ask the user for the address), ServerError where it says
    FAIL_ERROR (the domain names a homeserver, but a broken one, or one without TLS). The identity server is left
    unread: nothing here talks to it.
    """
    if any(char in server_name for char in "/@?#"):
        raise RemoteError(f"server name {server_name!a}: expected host[:port]")
    fallback = base_address(f"https://{server_name}")
    url = _well_known(fallback)
    status, body = _fetch(url)
    if status == 404:
        return fallback
    if status != 200:
        raise _ask(server_name, f"answered {status}")
    return _check(server_name, url, _stated(server_name, body))


def _well_known(fallback: str) -> str:
    # The host alone: a port in a server name is that of the federation.
    host = urlsplit(fallback).hostname or ""
    return f"https://{f'[{host}]' if ':' in host else host}/.well-known/matrix/client"


def _fetch(url: str) -> tuple[int, bytearray]:
    failure: RemoteError
    target = url
    try:
        with PlainHttp() as http:
            http.headers["Accept-Encoding"] = "gzip"
            http.auth = Signature(None, "header")
            # Redirects are followed here, as the spec wants: no token is on the way.
            for _ in range(_HOPS):
                with http.get(target, timeout=(CONNECT_SECONDS, _SECONDS), stream=True) as response:
                    status = response.status_code
                    if status not in _REDIRECTS:
                        return status, read_body(response, _LIMIT) if status == 200 else bytearray()
                    target = urljoin(target, response.headers.get("Location", ""))
                    if _downgrades(url, target):
                        raise BodyError("a redirect leads away from https", again=False)
        failure = UnreachableError(f"{url}: too many redirects; give the homeserver's address")
    except BodyError as error:
        failure = UnreachableError(f"{url}: {error}; give the homeserver's address")
    except (OSError, HTTPError, ValueError) as error:
        failure = UnreachableError(f"{broken(url, error).error}; give the homeserver's address")
    raise failure


def _downgrades(asked: str, told: str) -> bool:
    """Whether https leads to http: whoever is on the way could then take the place of the server, and the password."""
    return urlsplit(asked).scheme == "https" and urlsplit(told).scheme == "http"


def _stated(server_name: str, body: bytearray) -> str:
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise _ask(server_name, "is no JSON") from None
    homeserver = found.get("m.homeserver") if isinstance(found, dict) else None
    base_url = homeserver.get("base_url") if isinstance(homeserver, dict) else None
    if not isinstance(base_url, str):
        raise _ask(server_name, "names no m.homeserver.base_url")
    return base_url


def _check(server_name: str, url: str, stated: str) -> str:
    try:
        with Homeserver(stated, retry=Retry(attempts=2)) as server:
            if _downgrades(url, stated):
                raise RemoteError("its address is without TLS")
            server.versions()
    except RemoteError as error:
        raise ServerError(f".well-known of {server_name} names a broken homeserver: {error}", status=200) from None
    return server.base_url


def _ask(server_name: str, reason: str) -> UnreachableError:
    return UnreachableError(f".well-known of {server_name} {reason}; give the homeserver's address")
