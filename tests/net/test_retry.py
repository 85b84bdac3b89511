"""What is tried again, how often, and after which pauses."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from syncstore.errors import RateLimitedError, ServerError, UnknownTokenError, UnreachableError
from syncstore.net import Homeserver, Retry

from .fake import Fake, Reply, answer

LIMITED = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests"}


def test_a_storm_of_502_is_weathered(fake: Fake, server: Homeserver, slept: list[float]) -> None:
    fake.say(Reply(502), Reply(503), Reply(504), answer({"next_batch": "s"}))
    assert server.sync().status == 200
    assert len(fake.seen) == 4
    assert [low <= pause <= 2 * low for low, pause in zip((0.5, 1, 2), slept, strict=True)] == [True] * 3


def test_an_endless_storm_ends(fake: Fake, server: Homeserver, slept: list[float]) -> None:
    fake.say(Reply(502, b"<html>Bad Gateway", {"Content-Type": "text/html"}))
    with pytest.raises(
        ServerError, match=r"GET /_matrix/client/v3/sync: 502, not a Matrix error \(text/html\)"
    ) as caught:
        server.sync()
    assert (caught.value.status, caught.value.errcode) == (502, None)
    assert (len(fake.seen), len(slept)) == (4, 3)
    assert 3.5 <= sum(slept) <= 7


@pytest.mark.parametrize(
    "limited",
    [
        lambda: answer(LIMITED | {"retry_after_ms": 3500}, 429),
        lambda: answer(LIMITED, 429, Retry_After="4"),
        lambda: answer(LIMITED | {"retry_after_ms": 20}, 429, Retry_After="4"),
        lambda: answer(LIMITED, 429, Retry_After=formatdate(time.time() + 5, usegmt=True)),
        lambda: Reply(429, b"<html>", {"Retry-After": "4"}),
    ],
)
def test_a_429_is_waited_out(fake: Fake, server: Homeserver, slept: list[float], limited: Callable[[], Reply]) -> None:
    fake.say(limited(), answer({}))
    server.sync()
    assert len(fake.seen) == 2
    assert len(slept) == 1
    assert 3.4 <= slept[0] <= 5


def test_even_a_post_is_sent_again_after_a_429(fake: Fake, server: Homeserver, slept: list[float]) -> None:
    fake.say(answer(LIMITED | {"retry_after_ms": 7000}, 429), answer({"room_id": "!a:b"}))
    assert server.join("!a:b") == "!a:b"
    assert slept == [7.0]


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        (answer(LIMITED | {"retry_after_ms": 9000}, 429), 9.0),
        (answer(LIMITED, 429, Retry_After="86400"), 86400.0),
    ],
)
def test_a_wait_above_the_cap_is_the_callers(fake: Fake, server: Homeserver, reply: Reply, asked: float) -> None:
    fake.say(reply)
    with pytest.raises(RateLimitedError, match="429 M_LIMIT_EXCEEDED: Too Many Requests") as caught:
        server.sync()
    assert caught.value.retry_after == asked
    assert len(fake.seen) == 1


def test_a_server_that_limits_for_ever_is_left(fake: Fake, server: Homeserver, slept: list[float]) -> None:
    fake.say(answer(LIMITED | {"retry_after_ms": 0}, 429))
    with pytest.raises(RateLimitedError) as caught:
        server.sync()
    assert caught.value.retry_after == 0
    assert len(fake.seen) == 4
    assert sum(slept) >= 3.5, "asked for no wait at all, the back-off still holds"


@pytest.mark.parametrize("odd", [{"retry_after_ms": "soon"}, {"retry_after_ms": -5}, {"retry_after_ms": True}, {}])
def test_an_odd_wait_is_none(fake: Fake, server: Homeserver, slept: list[float], odd: dict[str, Any]) -> None:
    fake.say(answer(LIMITED | odd, 429, Retry_After="tomorrow"), answer({}))
    server.sync()
    assert 0.5 <= slept[0] <= 1


def test_a_post_that_was_sent_is_not_repeated(fake: Fake, server: Homeserver) -> None:
    fake.say(Reply(502), answer({}))
    with pytest.raises(ServerError):
        server.leave("!a:b")
    assert len(fake.seen) == 1


def test_a_put_is_repeated(fake: Fake, server: Homeserver, slept: list[float]) -> None:
    fake.say(Reply(500), answer({"event_id": "$e"}))
    assert server.request("PUT", "/_matrix/client/v3/rooms/r/send/m.x/txn", {}) == {"event_id": "$e"}
    assert len(fake.seen) == 2


@pytest.mark.parametrize("call", [lambda s: s.sync(), lambda s: s.leave("!a:b")])
def test_refused_connections_are_tried_again_also_for_a_post(
    fake: Fake, server: Homeserver, slept: list[float], call: Callable[[Homeserver], Any]
) -> None:
    fake.close()
    with pytest.raises(UnreachableError, match="connection refused"):
        call(server)
    assert len(slept) == 3


def test_an_unknown_host_is_named(connect: Callable[..., Homeserver]) -> None:
    server = connect(base_url="http://nowhere.invalid", retry=Retry(attempts=1))
    with pytest.raises(UnreachableError, match="host name not found"):
        server.sync()


def test_a_network_that_is_down_is_no_time_out(
    server: Homeserver, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr("urllib3.util.connection.create_connection", unreachable)
    with pytest.raises(UnreachableError, match="no way to the host"):
        server.leave("!a:b")
    assert len(slept) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413])
def test_other_refusals_are_final(fake: Fake, server: Homeserver, status: int) -> None:
    fake.say(answer({"errcode": "M_UNKNOWN", "error": "Invalid stream token"}, status))
    with pytest.raises(ServerError, match=f"GET .*/sync: {status} M_UNKNOWN: Invalid stream token") as caught:
        server.sync()
    assert (caught.value.status, caught.value.errcode, len(fake.seen)) == (status, "M_UNKNOWN", 1)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("soft", [True, False, None, "true"])
def test_an_unknown_token_is_final(fake: Fake, server: Homeserver, soft: object, status: int) -> None:
    error = {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token"}
    fake.say(answer(error if soft is None else error | {"soft_logout": soft}, status))
    with pytest.raises(UnknownTokenError) as caught:
        server.sync()
    assert caught.value.soft_logout is (soft is True)
    assert len(fake.seen) == 1


def test_the_servers_words_are_cleaned_and_cut(fake: Fake, server: Homeserver) -> None:
    fake.say(answer({"errcode": "M_\x1b[31mX", "error": "\x07\n\u202e\ud800" + "long " * 1000}, 400))
    with pytest.raises(ServerError) as caught:
        server.sync()
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 300
    assert caught.value.errcode == "M_\\x1b[31mX"


def test_an_interrupted_pause_interrupts(fake: Fake, connect: Callable[..., Homeserver]) -> None:
    class StopError(Exception):
        pass

    def stop(seconds: float) -> None:
        raise StopError

    server = connect()
    server.pause = stop
    fake.say(Reply(502))
    with pytest.raises(StopError):
        server.sync()
    assert len(fake.seen) == 1


@pytest.mark.parametrize("bad", [{"attempts": 0}, {"base": -1}, {"base": 9, "cap": 8}])
def test_a_retry_that_makes_no_sense_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="attempts"):
        Retry(**bad)


def test_the_back_off_stays_below_the_cap() -> None:
    retry = Retry(attempts=10_000, base=1, cap=8)
    assert all((retry.wait(failures, None) or 99) <= 8 for failures in (1, 5, 2000, 9999))
    assert retry.wait(10_000, None) is None
