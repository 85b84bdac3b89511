"""The fake server, and a Homeserver that talks to it and never really sleeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from syncstore.net import Homeserver, Retry

from .fake import Fake

TOKEN = "syt_YWxpY2U+/=_S3cret"


@pytest.fixture
def fake() -> Iterator[Fake]:
    fake = Fake()
    yield fake
    fake.close()


@pytest.fixture
def connect(fake: Fake) -> Iterator[Callable[..., Homeserver]]:
    """Make a Homeserver for the fake that must not pause."""
    made: list[Homeserver] = []

    def make(**options: Any) -> Homeserver:
        options.setdefault("access_token", TOKEN)
        options.setdefault("retry", Retry(attempts=4, base=1, cap=8))
        server = Homeserver(options.pop("base_url", fake.url), **options)
        server.pause = lambda seconds: pytest.fail("a pause nobody counts")
        made.append(server)
        return server

    yield make
    for server in made:
        server.close()


@pytest.fixture
def server(connect: Callable[..., Homeserver], slept: list[float]) -> Homeserver:
    server = connect()
    server.pause = slept.append
    return server


@pytest.fixture
def slept() -> list[float]:
    return []
