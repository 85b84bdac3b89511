"""A nio client on a server in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from syncstore import SyncStore
from syncstore.adapters.nio import AsyncClient
from tests.store.bodies import ME, Body, Responses
from tests.sync.flaky import Flaky


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
