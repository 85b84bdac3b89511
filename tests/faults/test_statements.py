"""A failure at every statement, and at commit, of whatever writes: nothing is half-done, and the same call succeeds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.conftest import Counted
from tests.encrypted import module
from tests.store.faults import Watch, watched
from tests.torture import times

from .calls import CALLS, Bench, Call, Countdown
from .world import patched

# So many steps of SQLite's machine lie between two moments at which a statement is broken off.
STRIDE = 60


@pytest.fixture
def watch() -> Iterator[Watch]:
    with watched() as watch:
        yield watch


def arms(watch: Watch) -> tuple[Callable[[int], None], Callable[[], bool]]:
    """Fail before a statement or a commit, without SQLite's doing."""

    def arm(steps: int) -> None:
        watch.left = steps

    def disarm() -> bool:
        failed, watch.left = watch.left is None, None
        return failed

    return arm, disarm


class _Interruptions(Countdown):
    """Statements are broken off in their midst."""

    def connection(self) -> type[sqlite3.Connection]:
        def tick() -> bool:
            if self.left is None:
                return False
            self.left -= 1
            if self.left >= 0:
                return False
            self.left, self.failed = None, True
            return True

        class Interrupted(module().Connection):  # type: ignore[misc]
            def __init__(self, *arguments: Any, **named: Any) -> None:
                super().__init__(*arguments, **named)
                self.set_progress_handler(tick, STRIDE)

        return Interrupted


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_p24_a_failure_before_any_statement(call: Call, watch: Watch, folder: Path, counted: Counted) -> None:
    failures = Bench(folder).cut(call, *arms(watch))
    assert failures >= 3
    counted(failures, "failures before a statement or commit")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_p24_a_failure_in_the_midst_of_a_statement(call: Call, folder: Path, counted: Counted) -> None:
    fault = _Interruptions()
    with patched(fault.connection()):
        failures = Bench(folder).cut(call, fault.arm, fault.disarm)
    assert failures
    counted(failures, "failures in the midst of a statement")


@pytest.mark.parametrize("base", ["old", "none"])
def test_p24_a_failure_at_any_statement_of_an_opening(
    base: Literal["old", "none"], watch: Watch, folder: Path, counted: Counted
) -> None:
    failures = Bench(folder, base).cut_opening(*arms(watch), stride=times(3, 1))
    assert failures > 20
    counted(failures, "failures at a statement while a file is upgraded or made")
