"""A body arrives whole and below the limit, or not at all."""

from __future__ import annotations

import gzip
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from syncstore.errors import UnreachableError
from syncstore.net import Homeserver, Retry, homeserver

from .fake import Fake, Reply, answer

BODY = b'{"next_batch": "s", "pad": "' + b"x" * 200_000 + b'"}'
GZIP = {"Content-Encoding": "gzip"}
ONCE = Retry(attempts=1)


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    zeros = bytes(1 << 20)
    return b"".join(packer.compress(zeros) for _ in range(size >> 20)) + packer.flush()


def chunked(body: bytes, *, whole: bool) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body) + (b"0\r\n\r\n" if whole else b"")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=BODY),
        Reply(body=gzip.compress(BODY), headers=GZIP),
        Reply(body=chunked(BODY, whole=True), headers={"Transfer-Encoding": "chunked"}),
        Reply(body=chunked(gzip.compress(BODY), whole=True), headers=GZIP | {"Transfer-Encoding": "chunked"}),
        Reply(body=BODY, declared=-1),
    ],
)
def test_a_whole_body_arrives_byte_by_byte(fake: Fake, server: Homeserver, reply: Reply) -> None:
    fake.say(reply)
    found = server.sync()
    assert found.body == BODY
    assert fake.seen[0].headers["Accept-Encoding"] == "gzip"
    assert "xxx" not in repr(found)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=BODY[:1000], declared=len(BODY)),
        Reply(body=BODY[:1000], declared=-1),
        Reply(body=b"", declared=-1),
        Reply(body=chunked(BODY[:1000], whole=False), headers={"Transfer-Encoding": "chunked"}),
        Reply(body=b"3e8\r\n" + BODY[:500], headers={"Transfer-Encoding": "chunked"}),
        Reply(body=gzip.compress(BODY)[:-20], headers=GZIP),
        Reply(body=gzip.compress(BODY)[:100], headers=GZIP, declared=5000),
        Reply(body=BODY, headers=GZIP),
        Reply(body=gzip.compress(BODY) + b"more", headers=GZIP),
    ],
)
def test_half_a_body_is_asked_for_again(fake: Fake, server: Homeserver, slept: list[float], reply: Reply) -> None:
    fake.say(reply, Reply(body=BODY))
    assert server.sync().body == BODY
    assert len(slept) == 1
    fake.say(reply)
    with pytest.raises(UnreachableError, match=r"cut off|broke off|no whole gzip|is empty"):
        server.sync()
    assert len(fake.seen) == 6


def test_a_post_with_half_an_answer_is_not_repeated(fake: Fake, server: Homeserver) -> None:
    fake.say(Reply(body=b'{"room', declared=50))
    with pytest.raises(UnreachableError, match="cut off"):
        server.join("!a:b")
    assert len(fake.seen) == 1


def test_a_gzip_bomb_ends_early(fake: Fake, connect: Callable[..., Homeserver]) -> None:
    server = connect(max_body=1 << 20)
    fake.say(Reply(body=bomb(256 << 20), headers=GZIP))
    tracemalloc.start()
    try:
        with pytest.raises(UnreachableError, match="longer than max_body, 1048576 bytes"):
            server.sync()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert len(fake.seen) == 1


def test_the_limit_is_exact(fake: Fake, connect: Callable[..., Homeserver]) -> None:
    fake.say(Reply(body=BODY))
    assert len(connect(max_body=len(BODY)).sync().body) == len(BODY)
    with pytest.raises(UnreachableError, match="longer"):
        connect(max_body=len(BODY) - 1).sync()


def test_an_encoding_nobody_asked_for(fake: Fake, server: Homeserver) -> None:
    fake.say(Reply(headers={"Content-Encoding": "br"}))
    with pytest.raises(UnreachableError, match="Content-Encoding"):
        server.sync()


@pytest.mark.parametrize("call", [lambda s: s.sync(), lambda s: s.state("!a:b"), lambda s: s.request("GET", "/x")])
def test_html_with_200_is_no_homeserver(fake: Fake, server: Homeserver, call: Callable[[Homeserver], object]) -> None:
    fake.say(Reply(body=b"<html>Welcome to our hotel</html>", headers={"Content-Type": "text/html"}))
    with pytest.raises(UnreachableError, match=r"not from a homeserver: text/html|no JSON"):
        call(server)
    assert len(fake.seen) == 1


def test_an_object_is_no_list_of_state(fake: Fake, server: Homeserver) -> None:
    fake.say(answer({"a": 1}))
    with pytest.raises(UnreachableError, match="not from a homeserver"):
        server.state("!a:b")


def test_an_error_of_any_length_is_still_an_error(fake: Fake, server: Homeserver, slept: list[float]) -> None:
    fake.say(Reply(502, bomb(8 << 20), GZIP), Reply(502, b"<html", declared=99), answer({}))
    assert server.sync().status == 200


def test_a_poll_that_never_answers_is_given_up(
    fake: Fake, connect: Callable[..., Homeserver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homeserver, "POLL_MARGIN", 0.1)
    done = threading.Event()
    fake.say(Reply(before=lambda: done.wait(5)))
    server = connect(retry=ONCE)
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="no answer in time"):
        server.sync(since="s1", timeout=200)
    done.set()
    assert 0.3 <= time.monotonic() - started < 3


def test_an_answer_that_stops_midway_is_given_up(
    fake: Fake, connect: Callable[..., Homeserver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homeserver, "POLL_MARGIN", 0.2)
    done = threading.Event()
    fake.say(Reply(body=b'{"next_batch":', declared=99, after=lambda: done.wait(5)))
    with pytest.raises(UnreachableError, match="no answer in time"):
        connect(retry=ONCE).sync(since="s1")
    done.set()
