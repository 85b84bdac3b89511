"""For the whole suite: Hypothesis must not measure the machine; tests that loop tell the summary how often they did."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

_COUNTED = "counted"


@pytest.fixture
def counted(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Give the summary a line: what a loop did, with its numbers."""
    return lambda line: request.node.user_properties.append((_COUNTED, line))


def _lines(terminal: pytest.TerminalReporter) -> Iterator[str]:
    for reports in terminal.stats.values():
        for report in reports:
            for name, line in getattr(report, "user_properties", ()):
                if name == _COUNTED and report.when == "call":
                    yield line


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The lines of `counted`, from all workers."""
    lines = sorted(_lines(terminalreporter))
    if lines:
        terminalreporter.section("counted")
        for line in lines:
            terminalreporter.write_line(line)
