"""For the whole suite: how Hypothesis draws, and `--encrypted`, which runs every test on encrypted stores."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests import encrypted

# How fast a loaded machine draws examples is no property of the code.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--encrypted", action="store_true", help="run on encrypted stores (tests/encrypted.py)")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--encrypted"):
        encrypted.start()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--encrypted"):
        return
    for item in items:
        reason = encrypted.reason_to_skip(item.nodeid)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
