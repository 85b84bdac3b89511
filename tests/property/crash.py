"""A process that dies between two SQL statements. The only place that knows how the store reaches SQLite."""

from __future__ import annotations

import os
import sqlite3
import traceback
from collections.abc import Callable
from typing import Any
from unittest import mock

from tests.encrypted import module

DIED = 77


def crash_after(statements: int) -> None:
    """From now on this process dies, without any clean-up, before the statement after the nth of any connection.

    The store opens its connections through the DB-API module's connect; the trace callback hears of each statement
    before it runs.
    """
    connect = module().connect
    left = [statements]

    def count(_sql: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            os._exit(DIED)

    def traced(*arguments: Any, **named: Any) -> sqlite3.Connection:
        raw: sqlite3.Connection = connect(*arguments, **named)
        raw.set_trace_callback(count)
        return raw

    mock.patch.object(module(), "connect", traced).start()


def die_within(statements: int, work: Callable[[], object]) -> bool:
    """Do `work` in a forked process that dies after so many statements; True if it died, False if it came to its end.

    No connection to the file may be open here: a fork must not inherit SQLite's locks.
    """
    child = os.fork()
    if child == 0:
        try:
            crash_after(statements)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, DIED), f"the process did not crash but failed (exit {code})"
    return code == DIED
