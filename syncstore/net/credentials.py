"""The access token on its way into a request, and kept out of everything else."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Literal, NoReturn
from urllib.parse import quote, quote_plus

from requests import PreparedRequest
from requests.auth import AuthBase

from syncstore.errors import RemoteError

Auth = Literal["header", "query"]
TokenSource = str | Callable[[], str] | None

_IN_QUERY = re.compile(r"access_token=[^&\s\"']*")
_SCRUBBED = "***"


class Secret:
    """A token that is asked for like one from a function: no repr of a local variable, no dump of a crash shows it."""

    __slots__ = ("_token",)

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self) -> str:
        return self._token

    def __reduce__(self) -> NoReturn:
        raise TypeError("an access token is not pickled")


def hidden(source: TokenSource) -> TokenSource:
    """The same source, a plain token out of sight."""
    return Secret(source) if isinstance(source, str) else source


def current_token(source: TokenSource) -> str | None:
    """Return the token for one request, None for a request without."""
    token = source() if callable(source) else source
    if token is not None:
        check_token(token)
    return token


def check_token(token: str) -> None:
    """Raise RemoteError for text that cannot be sent as a token."""
    # Not left to http.client: the text of its error holds the whole header.
    if not re.fullmatch("[!-~]+", token):
        raise RemoteError("the access token is empty or holds a space, a line end or a character beyond ASCII")


def scrub(text: str, token: str | None) -> str:
    """Return the text without the token, plain or percent-encoded; servers and libraries repeat what they were sent."""
    if token:
        for form in (token, quote(token, safe=""), quote_plus(token)):
            text = text.replace(form, _SCRUBBED)
    return _IN_QUERY.sub(f"access_token={_SCRUBBED}", text)


class Signature(AuthBase):
    """Puts the token into a request.

    Used for requests without a token too: where no auth is given, requests sends a password from ~/.netrc instead.
    """

    def __init__(self, token: str | None, auth: Auth) -> None:
        self._token = token
        self._auth = auth

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if self._token is not None and self._auth == "header":
            request.headers["Authorization"] = f"Bearer {self._token}"
        elif self._token is not None:
            request.prepare_url(request.url, {"access_token": self._token})
        return request


def _scrub_record(record: logging.LogRecord) -> bool:
    record.msg, record.args = scrub(record.getMessage(), None), ()
    return True


def scrub_library_logs() -> None:
    """Scrub the lines in which urllib3 logs whole URLs; needed while the token is in the query."""
    for name in ("urllib3.connection", "urllib3.connectionpool"):
        logging.getLogger(name).addFilter(_scrub_record)
