"""The surrounding, the commands and the server of the command-line tests, on a store full of poison."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncstore import SyncStore
from tests.cli.conftest import path, run, spawn, surrounding

from . import poison

__all__ = ["path", "poisoned", "run", "spawn", "surrounding"]


@pytest.fixture
def poisoned(path: Path) -> Path:
    """A closed store in which every string that a server gave is poison."""
    with SyncStore.open(path, user_id=poison.ME, device_id=poison.POISON) as store:
        store.apply(poison.body("first"))
        store.apply(poison.body("second"))
        assert store.info().quarantined >= 2
    return path
