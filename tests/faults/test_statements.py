"""A failure at every statement, and at commit, of whatever writes: nothing is half-done, and the same call succeeds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Counted
from tests.store.faults import Watch, watched

from .calls import CALLS, Bench, Call
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


class _Interruptions:
    """Statements are broken off in their midst."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.failed = False

    def arm(self, steps: int) -> None:
        self.left, self.failed = steps, False

    def disarm(self) -> bool:
        self.left = None
        return self.failed

    def connection(self) -> type[sqlite3.Connection]:
        def tick() -> bool:
            if self.left is None:
                return False
            self.left -= 1
            if self.left >= 0:
                return False
            self.left, self.failed = None, True
            return True

        class Interrupted(sqlite3.Connection):
            def __init__(self, *arguments: Any, **named: Any) -> None:
                super().__init__(*arguments, **named)
                self.set_progress_handler(tick, STRIDE)

        return Interrupted


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_p24_a_failure_before_any_statement(call: Call, watch: Watch, tmp_path: Path, counted: Counted) -> None:
    failures = Bench(tmp_path).cut(call, *arms(watch))
    assert failures >= 3
    counted(failures, "failures before a statement or commit")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_p24_a_failure_in_the_midst_of_a_statement(call: Call, tmp_path: Path, counted: Counted) -> None:
    fault = _Interruptions()
    with patched(fault.connection()):
        failures = Bench(tmp_path).cut(call, fault.arm, fault.disarm)
    assert failures
    counted(failures, "failures in the midst of a statement")


def test_p24_a_failure_at_any_statement_of_an_upgrade(watch: Watch, tmp_path: Path, counted: Counted) -> None:
    failures = Bench(tmp_path, old_format=True).cut_opening(*arms(watch))
    assert failures > 50
    counted(failures, "failures at a statement of an upgrade")
