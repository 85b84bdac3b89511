"""From what went wrong to the error that is raised and whether another try makes sense."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3 import exceptions as urllib3_errors

from syncstore.errors import RateLimitedError, RemoteError, ServerError, UnknownTokenError, UnreachableError
from syncstore.model.text import printable
from syncstore.net.body import BodyError, read_body
from syncstore.net.credentials import scrub
from syncstore.net.patience import IdleClosedError, StoppedError
from syncstore.net.retry import asked_wait

_TEXT = 200  # characters of a server's own words that are shown
_ERROR_BODY = 1 << 16

# The first line that fits anything in the chain of causes is said. Never str() of the exception: it holds the URL.
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (StoppedError, "given up, for the loop was stopped"),
    (ssl.SSLCertVerificationError, "the TLS certificate is not trusted"),
    (ssl.SSLError, "TLS failed"),
    (socket.gaierror, "host name not found"),
    (ConnectionRefusedError, "connection refused"),
    (requests.exceptions.ProxyError, "the proxy failed"),
    # Before the time-outs: for urllib3 2 this is one of them.
    (urllib3_errors.NewConnectionError, "no way to the host"),
    (requests.Timeout, "no answer in time"),
    (urllib3_errors.TimeoutError, "no answer in time"),
    (urllib3_errors.IncompleteRead, "the answer was cut off"),
    (urllib3_errors.ProtocolError, "the connection broke off"),
    (UnicodeError, "the request holds text that is no UTF-8"),
)
_NEVER_SENT = (urllib3_errors.NewConnectionError, urllib3_errors.ConnectTimeoutError, ssl.SSLError)


@dataclass(frozen=True)
class Failure:
    """One failed attempt.

    again: a later one may succeed. sent: the server may have acted on it. asked: seconds the server wants to wait.
    idle: the connection was closed before it was used again.
    """

    error: RemoteError
    again: bool
    sent: bool = True
    asked: float | None = None
    idle: bool = False


def broken(place: str, error: Exception) -> Failure:
    """Read an exception of requests, urllib3 or the socket."""
    chain = list(_causes(error))
    found = (words for kind, words in _WORDS if any(isinstance(cause, kind) for cause in chain))
    reason = next(found, type(error).__name__)
    certificate = next((cause for cause in chain if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        reason += f" ({printable(str(certificate.verify_message))})"
    # requests calls a request that cannot be made (bad URL, bad text) a ValueError.
    wrong = isinstance(error, (ValueError, requests.exceptions.InvalidJSONError))
    again = certificate is None and not wrong and not any(isinstance(cause, StoppedError) for cause in chain)
    sent = not any(isinstance(cause, _NEVER_SENT) for cause in chain)
    idle = any(isinstance(cause, IdleClosedError) for cause in chain)
    return Failure(UnreachableError(f"{place}: {reason}", sent=sent), again, sent, idle=idle)


def unusable(place: str, error: BodyError) -> Failure:
    """Read the verdict on a body that came with a status of success."""
    return Failure(UnreachableError(f"{place}: {error}"), error.again)


def refused(place: str, response: requests.Response, token: str | None) -> Failure:
    """Read a response whose status is not 2xx.

    Source: Client-Server API, Standard error response, Rate limiting, Soft logout. Servers of 2015 sent M_UNKNOWN_TOKEN
    with 403.
    """
    status = response.status_code
    if 300 <= status < 400:
        return Failure(ServerError(f"{place}: {_redirect(response)}", status=status), again=False)
    found = _error_object(response)
    errcode = _words(found.get("errcode"), token)
    asked = asked_wait(response.headers, found)
    message = f"{place}: {_said(status, errcode, found, response, token)}"
    if errcode == "M_UNKNOWN_TOKEN" and status < 500:
        soft = found.get("soft_logout") is True
        return Failure(UnknownTokenError(message, soft_logout=soft), again=False)
    if status == 429:
        # A 429 says that nothing was done: even a POST may be sent again.
        return Failure(RateLimitedError(message, retry_after=asked), again=True, sent=False, asked=asked)
    return Failure(ServerError(message, status=status, errcode=errcode), again=status >= 500, asked=asked)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _redirect(response: requests.Response) -> str:
    # Only the origin is told: the query of a Location can hold the token that was sent.
    try:
        parts = urlsplit(response.headers.get("Location", ""))
        origin = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        origin = ""
    to = f" to {printable(origin[:_TEXT])}" if origin and "://None" not in origin else ""
    return f"{response.status_code} redirect{to} not followed, the token stays here; use the final address as base_url"


def _error_object(response: requests.Response) -> dict[str, Any]:
    try:
        found = json.loads(read_body(response, _ERROR_BODY))
    except (BodyError, OSError, urllib3_errors.HTTPError, ValueError, RecursionError):
        return {}  # the status alone says enough
    return found if isinstance(found, dict) else {}


def _said(
    status: int, errcode: str | None, found: dict[str, Any], response: requests.Response, token: str | None
) -> str:
    if errcode is None:
        kind = printable(response.headers.get("Content-Type", "no type")[:40])
        return f"{status}, not a Matrix error ({kind})"
    text = _words(found.get("error"), token)
    return f"{status} {errcode}" + (f": {text}" if text else "")


def _words(value: object, token: str | None) -> str | None:
    # Scrubbed before it is cut: half a token is too much already.
    return printable(scrub(value, token)[:_TEXT])[:_TEXT] if isinstance(value, str) else None
