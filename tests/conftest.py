"""For the whole suite: how Hypothesis draws, `--encrypted`, and the counts of tests that loop, for the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

from tests import encrypted

# How fast a loaded machine draws examples is no property of the code.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

Counted = Callable[[int, str], None]
_COUNTED = "counted"


@pytest.fixture
def counted(request: pytest.FixtureRequest) -> Counted:
    """Tell the summary how many of something there were; tests that count the same are summed up."""
    return lambda number, what: request.node.user_properties.append((_COUNTED, (number, what)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was counted, by all workers."""
    totals: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == _COUNTED and report.when == "call":
                    totals[value[1]] += value[0]
    if totals:
        terminalreporter.section("counted")
    for what, number in sorted(totals.items()):
        terminalreporter.write_line(f"{number:7} {what}")


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
