"""How long an answer may take: the head a fixed time, the body more for each byte that came, all while it is wanted.

The time-out of a socket counts silence alone: a server that sends a byte now and then would hold a request for ever. So
each read from a socket is bounded here, below http.client, where heads, bodies and the frames of chunks all pass.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

# Bytes a second: below any link on which a first sync ends, above any server that only pretends to send.
SLOWEST = 1024
_LOOK_SECONDS = 0.2  # how often a request that waits asks whether it is still wanted


class StoppedError(OSError):
    """Nobody waits for this answer any more."""


class IdleClosedError(ConnectionError):
    """A connection that had answered before was closed while nobody used it: this says nothing of the server."""


class _Reader(io.RawIOBase):
    """Reads a socket until it was silent for too long, or too slow, or until the answer is not wanted."""

    def __init__(self, sock: socket.socket, file: io.BufferedReader, stopped: Callable[[], bool]) -> None:
        super().__init__()
        self._sock, self._file, self._stopped = sock, file, stopped
        self._seconds = sock.gettimeout() or 0.0
        self._started = self._heard = time.monotonic()
        self._received = 0
        self.in_body = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._stopped():
                raise StoppedError("stopped")
            left = self._until() - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(min(left, _LOOK_SECONDS))
            try:
                count = self._sock.recv_into(buffer)
            except TimeoutError:
                continue
            self._heard = time.monotonic()
            self._received += count
            return count

    def _until(self) -> float:
        earned = self._received / SLOWEST if self.in_body else 0.0
        return min(self._heard, self._started + earned) + self._seconds

    def close(self) -> None:
        self._file.close()  # the socket lives as long as somebody has it open
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, stopped: Callable[[], bool], **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._reader = _Reader(sock, self.fp, stopped)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        super().begin()
        self._reader.in_body = True


class _Watched(HTTPConnection):
    def __init__(self, *args: Any, stopped: Callable[[], bool], **options: Any) -> None:
        super().__init__(*args, **options)
        self.response_class = partial(_Response, stopped=stopped)  # type: ignore[assignment]
        self._has_answered = False

    def connect(self) -> None:
        super().connect()
        self._has_answered = False

    def getresponse(self) -> Any:
        try:
            response = super().getresponse()
        except ConnectionError as error:
            if self._has_answered:
                raise IdleClosedError("closed while idle") from error
            raise
        self._has_answered = True
        return response


class _WatchedTls(_Watched, HTTPSConnection):
    pass


class Adapter(HTTPAdapter):
    """Connections whose answers are bounded in time, and end when `stopped` says so."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        super().__init__()
        self._kinds = {
            "http": partial(_Watched, stopped=stopped),
            "https": partial(_WatchedTls, stopped=stopped),
        }

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **options)
        setattr(pool, "ConnectionCls", self._kinds[str(pool.scheme)])  # noqa: B010 (the base class lacks it)
        return pool
