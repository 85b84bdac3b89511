"""Slow answers: as long as they keep coming at a least rate, and no longer."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Callable

import pytest

from syncstore.errors import UnreachableError
from syncstore.net import Homeserver, Retry, homeserver, patience
from tests.sync.flaky import Flaky, http

from .fake import Fake, Reply

BODY = b'{"next_batch": "s1", "pad": "' + b"x" * 3000 + b'"}'
ONCE = Retry(attempts=1)


def in_pieces(answer: bytes, size: int, pause: float) -> Callable[[socket.socket, str], bool]:
    """The head at once, if there is a whole one, and the rest bit by bit."""

    def fault(connection: socket.socket, target: str) -> bool:
        head, end, rest = answer.rpartition(b"\r\n\r\n")
        connection.sendall(head + end)
        for at in range(0, len(rest), size):
            connection.sendall(rest[at : at + size])
            time.sleep(pause)
        return False

    return fault


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homeserver, "WORK_SECONDS", 1.0)


def test_p27_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with Flaky([]) as flaky, Homeserver(flaky.url, retry=ONCE) as server:
        flaky.fault = in_pieces(http(BODY), 10, 0.2)  # never silent, and a minute long
        started = time.monotonic()
        with pytest.raises(UnreachableError, match="no answer in time"):
            server.sync()
        assert 1 <= time.monotonic() - started < 20


def test_p27_a_head_that_trickles_is_given_up() -> None:
    with Flaky([]) as flaky, Homeserver(flaky.url, retry=ONCE) as server:
        flaky.fault = in_pieces(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, 6, 0.05)
        with pytest.raises(UnreachableError, match="no answer in time"):
            server.sync()


def test_p27_a_slow_body_above_the_least_rate_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes several times as long as silence may last."""
    monkeypatch.setattr(patience, "SLOWEST", 100)
    with Flaky([]) as flaky, Homeserver(flaky.url, retry=ONCE) as server:
        flaky.fault = in_pieces(http(BODY), 300, 0.3)
        started = time.monotonic()
        assert server.sync().body == BODY
        assert time.monotonic() - started > 3


def test_p27_a_long_answer_of_nothing_is_no_way_around_the_limit(fake: Fake) -> None:
    """A gzip of many empty members of a stream has no length at all once it is decompressed."""
    empty = gzip.compress(BODY)[:10] + b"\x00\x00\x00\xff\xff" * 10_000
    fake.say(Reply(body=empty, headers={"Content-Encoding": "gzip"}))
    with (
        Homeserver(fake.url, retry=ONCE, max_body=10_000) as server,
        pytest.raises(UnreachableError, match="longer than"),
    ):
        server.sync()
