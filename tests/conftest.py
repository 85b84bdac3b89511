"""For the whole suite: Hypothesis must not measure the machine; tests that loop tell the summary how often they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

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
