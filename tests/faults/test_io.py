"""The disk fails, or is full, at every single operation on a file: a clear error, a whole store, and on it goes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from syncstore.errors import StoreError, StoreFullError
from tests.conftest import Counted
from tests.torture import times

from .calls import CALLS, Bench, Call, Countdown
from .kill import remove
from .vfs import OK, shim, under
from .world import dump

FULL, WRITE, FSYNC, TRUNCATE, OPEN, READ, DELETE, INDEX = 13, 778, 1034, 1546, 14, 266, 2570, 4874
# What fails, as what, and whether but once or from then on. Source: https://sqlite.org/rescode.html
FAULTS: dict[str, tuple[str, int, bool]] = {
    "no room": ("write", FULL, False),
    "write": ("write", WRITE, True),
    "sync": ("sync", FSYNC, True),
    "truncate": ("truncate", TRUNCATE, True),
    "open": ("open", OPEN, True),
    "read": ("read", READ, True),
    "delete": ("delete", DELETE, True),
    "index of the WAL": ("shm", INDEX, False),
}
OTHERWISE = {f"{name}, the other way": (what, code, not once) for name, (what, code, once) in FAULTS.items()}
# In a short run: the one with most of everything, and one that ends with a checkpoint.
QUICK = ("sync", "forget")
CALLED = {name: call for name, call in CALLS.items() if name in times(0, 1) * list(CALLS) or name in QUICK}

pytestmark = pytest.mark.skipif(shim() is None, reason="this Python's SQLite is built in and shows no functions")


class Failing(Countdown):
    """Operations of one kind fail, once or from then on, after so many that succeed."""

    def __init__(self, what: str, code: int, once: bool) -> None:
        super().__init__()
        self.what, self.code, self.once = what, code, once

    def before(self, what: str, path: str) -> int:
        if what != self.what or self.left is None:
            return OK
        self.left -= 1
        if self.left >= 0:
            return OK
        self.failed = True
        self.left = None if self.once else 0
        return self.code

    def after(self, what: str, path: str, offset: int, data: bytes) -> None:
        pass


@pytest.fixture(params=[*FAULTS, *times(0, 1) * list(OTHERWISE)])
def failing(request: pytest.FixtureRequest) -> Iterator[Failing]:
    fault = Failing(*(FAULTS | OTHERWISE)[request.param])
    with under(fault):
        yield fault


def check_kinds(bench: Bench, fault: Failing) -> None:
    """No room is told as no room. (Where its index cannot be read SQLite also says that it knows no table.)"""
    if fault.code in (FULL, WRITE):
        assert [str(error) for error in bench.errors if not isinstance(error, StoreFullError)] == []


@pytest.mark.parametrize("call", CALLED.values(), ids=CALLED)
def test_p24_an_error_of_the_disk_leaves_a_whole_store(
    call: Call, failing: Failing, folder: Path, counted: Counted
) -> None:
    bench = Bench(folder)
    failures = bench.cut(call, failing.arm, failing.disarm)
    check_kinds(bench, failing)
    assert bench.errors or failing.what not in ("write", "read")
    counted(failures, f"errors of the disk: {failing.what}")
    counted(len(bench.errors), "errors of the disk of which the caller heard")


@pytest.mark.parametrize("base", ["old", "none"])
def test_p24_an_error_of_the_disk_while_a_file_is_upgraded_or_made(
    base: Literal["old", "none"], failing: Failing, folder: Path, counted: Counted
) -> None:
    bench = Bench(folder, base)
    failures = bench.cut_opening(failing.arm, failing.disarm, stride=times(5, 1))
    check_kinds(bench, failing)
    counted(failures, f"errors of the disk while a file is upgraded or made: {failing.what}")


def test_p24_an_error_of_the_disk_leaves_no_half_backup(failing: Failing, folder: Path, counted: Counted) -> None:
    bench, target = Bench(folder), folder / "copy.db"
    bench.fresh()
    with bench.open() as store:
        for steps in itertools.count():
            failing.arm(steps)
            try:
                store.backup(target)
            except StoreError as error:
                assert str(target) in str(error)
                assert not target.exists()
            if not failing.disarm():
                break
            remove(target)
        assert dump(target) == dump(bench.path) == bench.before
    counted(steps, f"errors of the disk in a backup: {failing.what}")
