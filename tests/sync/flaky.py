"""A homeserver on loopback that answers a sync loop, and does to its connections whatever a test wants."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

# Given a connection and the target of a request; True if the connection stays open.
Fault = Callable[[socket.socket, str], bool]


def http(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """A whole answer; `length`: a Content-Length that is not true."""
    declared = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {declared}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def says(*answers: bytes) -> Fault:
    """A fault that sends these bytes and closes the connection."""

    def fault(connection: socket.socket, target: str) -> bool:
        for answer in answers:
            connection.sendall(answer)
        return False

    return fault


def reset(connection: socket.socket, target: str) -> bool:
    """The connection breaks off without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def since_of(target: str) -> str | None:
    return parse_qs(urlsplit(target).query).get("since", [None])[0]


class Flaky:
    """Gives the body after each token, in order; `fault` takes its place for /sync while it is set.

    After the last body a poll is held for as long as it asks, or until the end.
    """

    def __init__(self, bodies: Sequence[bytes]) -> None:
        tokens = [json.loads(body)["next_batch"] for body in bodies]
        self.bodies = dict(zip([None, *tokens], bodies, strict=False))
        self.fault: Fault | None = None
        self.syncs = 0  # requests for /sync, however they ended
        self.ended = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._open: list[socket.socket] = [self._server]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Flaky:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection, connection.makefile("rb") as incoming:
            while (target := _request(incoming)) is not None and self._answer(connection, target):
                pass

    def _answer(self, connection: socket.socket, target: str) -> bool:
        if "/sync" not in target:
            connection.sendall(http(b'{"filter_id": "f1"}'))
            return True
        self.syncs += 1
        if self.fault is not None:
            return self.fault(connection, target)
        return self.healthy(connection, target)

    def healthy(self, connection: socket.socket, target: str) -> bool:
        """What a good server says."""
        since = since_of(target)
        if since not in self.bodies:
            self.ended.wait(int(parse_qs(urlsplit(target).query)["timeout"][0]) / 1000)
        connection.sendall(http(self.bodies.get(since, json.dumps({"next_batch": since}).encode())))
        return True


def _request(incoming: BinaryIO) -> str | None:
    """Read one request to its end: its target, None if no more comes."""
    line = incoming.readline()
    if not line:
        return None
    length = 0
    while header := incoming.readline().strip():
        name, _, value = header.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    incoming.read(length)
    return line.split()[1].decode()
