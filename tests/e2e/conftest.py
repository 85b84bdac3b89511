"""One real homeserver for all end-to-end tests, installed if it is missing: these tests never skip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.lab import Synapse

from .stage import Stage
from .trio import Trio

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def synapse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synapse]:
    """Return a running server with an empty database."""
    venv = Path(os.environ.get("SYNCSTORE_SYNAPSE_VENV", ROOT / ".venv-synapse"))
    with Synapse(tmp_path_factory.mktemp("synapse"), venv=venv) as server:
        yield server


@pytest.fixture(scope="session")
def stage(synapse: Synapse) -> Stage:
    """Return the people; alice is the one whose account is replicated."""
    return Stage(synapse.base_url)


@pytest.fixture(scope="session")
def trio(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """Return alice's three clients, each with a device and a store of its own.

    They have synced once: a first sync tells nothing of rooms that were left before it.
    """
    with Trio(stage, tmp_path_factory.mktemp("stores")) as clients:
        clients.sync()
        yield clients
