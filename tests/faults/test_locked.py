"""A file that another process holds for longer than anybody waits."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from syncstore import Syncer, SyncStore
from syncstore.errors import StoreError, StoreLockedError
from syncstore.store import connection
from syncstore.store.failures import failures
from tests.store.bodies import ME, ROOM, Body, message
from tests.sync.fake import Scripted, Stop


class Until(Stop):
    """Lets the file go when it is first waited for, and stops when there is nothing more to come."""

    def __init__(self, holder: sqlite3.Connection, server: Scripted) -> None:
        super().__init__()
        self._holder, self._server = holder, server

    def wait(self, timeout: float | None = None) -> bool:
        self._holder.rollback()
        return super().wait(timeout)

    def is_set(self) -> bool:
        return super().is_set() or not self._server.replies["sync"]


def test_p24_a_loop_waits_for_a_file_that_another_process_holds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that could not be stored is asked for again."""
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
    path, server = folder / "me.db", Scripted()
    server.will("sync", *[Body("s1").join(ROOM, message("$a"))] * 2)
    told = []
    with SyncStore.open(path, user_id=ME) as store, closing(sqlite3.connect(path, isolation_level=None)) as holder:
        store.keep_filter("warm", "f0")

        def status(now: object) -> None:
            told.append(now)
            if len(told) == 2:  # the answer is there, and about to be stored
                holder.execute("BEGIN IMMEDIATE")

        Syncer(server.face(), store, on_status=status).run_forever(Until(holder, server))
        assert store.token == "s1"
    assert [asked["since"] for asked in server.asked("sync")] == [None, None]
    assert any("is locked by another process" in str(one) for one in told)


@pytest.mark.parametrize("code", [5, 261, 517, 6, 15])
def test_p24_whatever_lock_it_is_it_is_told_as_one(code: int) -> None:
    error = sqlite3.OperationalError("locking protocol")
    error.sqlite_errorcode = code
    with pytest.raises(StoreLockedError, match=r"me\.db is locked"), failures(Path("me.db")):
        raise error


def test_p24_an_error_of_sqlite_names_the_file() -> None:
    with pytest.raises(StoreError, match=r"me\.db: what"), failures(Path("me.db")):
        raise sqlite3.OperationalError("what")
