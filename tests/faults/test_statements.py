"""A failure at every statement, and at commit, of whatever writes: nothing is half-done, and the same call succeeds."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from syncstore import SyncStore
from tests.conftest import Counted
from tests.encrypted import module
from tests.store.bodies import ROOM
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


def _found(store: SyncStore) -> list[tuple[str, str]]:
    return [(one.room_id, one.event_id) for one in store.search("hello")]


@pytest.mark.parametrize(("base", "call"), [("today", _found), ("searched", CALLS["sync"])])
def test_p38_a_failure_before_any_statement_leaves_the_index_true(
    base: Literal["today", "searched"], call: Call, watch: Watch, folder: Path, counted: Counted
) -> None:
    """The first search makes it; what a sync redacts leaves it in a transaction of its own, later if that fails."""
    bench, (arm, disarm) = Bench(folder, base), arms(watch)
    bench.fresh()
    with bench.open() as store:
        call(store)
        said = _found(store)
    for steps in itertools.count():
        bench.fresh()
        with bench.open() as store:
            arm(steps)
            failed = bench.told(lambda store=store: call(store))  # type: ignore[misc]
            if not disarm():
                break
            if failed:
                call(store)
            assert (_found(store), store.check()) == (said, [])
    assert steps > 10 and ((ROOM, "$m1") in said) == (base == "today")
    counted(steps, "failures before a statement with a search index")


@pytest.mark.parametrize("base", ["old", "none"])
def test_p24_a_failure_at_any_statement_of_an_opening(
    base: Literal["old", "none"], watch: Watch, folder: Path, counted: Counted
) -> None:
    failures = Bench(folder, base).cut_opening(*arms(watch), stride=times(3, 1))
    assert failures > 20
    counted(failures, "failures at a statement while a file is upgraded or made")
