"""A store and a scripted server for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncstore import SyncStore
from tests.store.bodies import ME, Body, Responses
from tests.sync.fake import Scripted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "me.db"


@pytest.fixture
def store(path: Path) -> Iterator[SyncStore]:
    with SyncStore.open(path, user_id=ME, device_id="DEV") as opened:
        yield opened


@pytest.fixture
def server() -> Scripted:
    return Scripted()


@pytest.fixture
def next_body() -> Callable[[], Body]:
    """Responses with counted tokens."""
    responses = Responses()
    return lambda: responses.next()
