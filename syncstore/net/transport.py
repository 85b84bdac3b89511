"""One request to the homeserver: sent, repeated where that is safe, answered whole or with an error of ours."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from syncstore.errors import RemoteError
from syncstore.net.answers import Answer
from syncstore.net.body import BodyError, check_json, read_body
from syncstore.net.credentials import Auth, Signature, TokenSource, current_token, scrub, scrub_library_logs
from syncstore.net.failures import Failure, broken, refused, unusable
from syncstore.net.patience import Adapter
from syncstore.net.retry import Retry

log = logging.getLogger("syncstore.net")

CONNECT_SECONDS = 10.0
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "syncstore"}


@dataclass(frozen=True)
class Call:
    """One request.

    seconds: silence allowed before and inside the answer, and the time for its head (patience.py). opening: the
    answer's first byte, b"" for any. once: one attempt only; who calls knows when to try again.
    What is sent stays out of the repr: it may be a password.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    seconds: float
    json: Any = field(default=None, repr=False)
    opening: bytes = b"{"
    once: bool = False

    @property
    def place(self) -> str:
        """Method and path, for people."""
        return f"{self.method} {self.path}"


class PlainHttp(requests.Session):
    """Sees no redirects: even when told not to follow one, requests reads its whole body into memory.

    Its answers are bounded in time, and given up once `stopped` says so.
    """

    def __init__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, Adapter(stopped))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no target."""


class Transport:
    """Sends calls for one Homeserver and never shows the token."""

    def __init__(
        self, base_url: str, auth: Auth, max_body: int, retry: Retry, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self._base_url = base_url
        self._auth = auth
        self._max_body = max_body
        self._retry = retry
        self._http = PlainHttp(stopped)
        self._http.headers.update(_HEADERS)
        if auth == "query":
            scrub_library_logs()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def send(self, call: Call, source: TokenSource, pause: Callable[[float, RemoteError], None]) -> Answer:
        """Return the answer of the first attempt that succeeds; the last failure's error if none does.

        source: where the token comes from, asked before each attempt. pause: sleeps so many seconds after an error.
        """
        failures = 0
        while True:
            outcome = self._attempt(call, current_token(source))
            if isinstance(outcome, Answer):
                return outcome
            if outcome.idle and call.method != "POST":
                continue  # ends with the last connection that was kept: a new one is never idle
            failures += 1
            wait = self._retry.wait(failures, outcome.asked)
            if wait is None or not _may_repeat(call, outcome):
                # Outside of any except: an exception of requests holds the URL and must not be this one's context.
                raise outcome.error
            log.debug("%s; attempt %d in %.1f s", outcome.error, failures + 1, wait)
            pause(wait, outcome.error)

    def _attempt(self, call: Call, token: str | None) -> Answer | Failure:
        place = scrub(call.place, token)
        started = time.monotonic()
        try:
            with self._open(call, token) as response:
                if not 200 <= response.status_code < 300:
                    return refused(place, response, token)
                body = read_body(response, self._max_body)
            if call.opening:
                check_json(body, call.opening, response.headers.get("Content-Type", ""))
        except BodyError as error:
            return unusable(place, error)
        except (OSError, HTTPError, ValueError) as error:
            return broken(place, error)
        ms = round((time.monotonic() - started) * 1000)
        log.debug("%s: %d, %d bytes, %d ms", place, response.status_code, len(body), ms)
        return Answer(body, response.status_code, ms, call.path, dict(call.query))

    def _open(self, call: Call, token: str | None) -> requests.Response:
        return self._http.request(
            call.method,
            self._base_url + call.path,
            params=list(call.query),
            json=call.json,
            auth=Signature(token, self._auth),
            timeout=(CONNECT_SECONDS, call.seconds),
            stream=True,
        )


def _may_repeat(call: Call, failure: Failure) -> bool:
    return failure.again and not call.once and (call.method != "POST" or not failure.sent)
