"""Clients of other libraries on servers in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.adapters.nio import AsyncClient
from tests.adapters.mautrix_lab import Server
from tests.store.bodies import ME, Body, Responses
from tests.sync.flaky import Flaky


@pytest.fixture
def server() -> Iterator[Server]:
    """What a mautrix bot talks to."""
    with Server() as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a bot keeps its store."""
    return tmp_path / "bot.db"


def bodies(*made: Any) -> list[bytes]:
    """Bodies in order; each is made by a function that adds to an empty one."""
    responses = Responses()
    done: list[Body] = [make(responses.next()) for make in made]
    return [body.done() for body in done]


@asynccontextmanager
async def bot(flaky: Flaky, store: Path | SyncStore) -> AsyncIterator[AsyncClient]:
    """A client that has a login, as a bot that kept its token makes one."""
    client = AsyncClient(flaky.url, ME, syncstore=store)
    client.restore_login(ME, "DEVICE", "token")
    try:
        yield client
    finally:
        await client.close()
