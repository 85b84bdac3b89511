"""What an operation costs, without a clock: the steps of SQLite's machine, counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from tests.encrypted import module


class Steps:
    """Counts what all connections do that were made inside `counted`."""

    def __init__(self) -> None:
        self._count = 0

    def step(self) -> int:
        self._count += 1
        return 0

    def of(self, work: Callable[[], object]) -> int:
        before = self._count
        work()
        return self._count - before


@contextmanager
def counted() -> Iterator[Steps]:
    """Count the steps of every connection that is made in this block."""
    steps = Steps()
    plain = module().connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = plain(*args, **options)
        made.set_progress_handler(steps.step, 1)
        return made

    with patch.object(module(), "connect", connect):
        yield steps
