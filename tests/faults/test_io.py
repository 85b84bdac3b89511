"""The disk fails, or is full, at every single operation on a file: a clear error, a whole store, and on it goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Counted
from tests.torture import times

from .calls import CALLS, Bench, Call
from .vfs import OK, shim, under

# What fails, and as what. Source: https://sqlite.org/rescode.html
FULL, WRITE, FSYNC, TRUNCATE, OPEN, READ, DELETE, INDEX = 13, 778, 1034, 1546, 14, 266, 2570, 4874
FAULTS = {
    "write, full": ("write", FULL),
    "write": ("write", WRITE),
    "sync": ("sync", FSYNC),
    "truncate": ("truncate", TRUNCATE),
    "open": ("open", OPEN),
    "read": ("read", READ),
    "delete": ("delete", DELETE),
    "index of the WAL": ("shm", INDEX),
}
QUICK = ("sync", "page", "forget", "rebind")
CALLED = {name: call for name, call in CALLS.items() if name in times(0, 1) * list(CALLS) or name in QUICK}

pytestmark = pytest.mark.skipif(shim() is None, reason="this Python's SQLite is built in and shows no functions")


class Failing:
    """Operations of one kind fail, once or from then on, after so many that succeed."""

    def __init__(self, what: str, code: int, *, once: bool) -> None:
        self.what, self.code, self.once = what, code, once
        self.left: int | None = None
        self.failed = False

    def arm(self, steps: int) -> None:
        self.left, self.failed = steps, False

    def disarm(self) -> bool:
        self.left = None
        return self.failed

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


@pytest.fixture(params=FAULTS)
def kind(request: pytest.FixtureRequest) -> tuple[str, int]:
    return FAULTS[request.param]


@pytest.fixture(params=[True, False], ids=["once", "for long"])
def failing(request: pytest.FixtureRequest, kind: tuple[str, int]) -> Iterator[Failing]:
    fault = Failing(*kind, once=request.param)
    with under(fault):
        yield fault


@pytest.mark.parametrize("call", CALLED.values(), ids=CALLED)
def test_p24_an_error_of_the_disk_leaves_a_whole_store(
    call: Call, failing: Failing, tmp_path: Path, counted: Counted
) -> None:
    counted(Bench(tmp_path).cut(call, failing.arm, failing.disarm), f"errors of the disk: {failing.what}")


def test_p24_an_error_of_the_disk_while_an_older_file_is_upgraded(
    failing: Failing, tmp_path: Path, counted: Counted
) -> None:
    failures = Bench(tmp_path, old_format=True).cut_opening(failing.arm, failing.disarm)
    counted(failures, f"errors of the disk in an upgrade: {failing.what}")
