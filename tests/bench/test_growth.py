"""The benchmark of growth fills its stores by SQL: what it leaves must look like what a sync leaves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.growth import batch_bytes, build, measure_size
from benchmarks.workload import USER
from syncstore import SyncStore

PLAIN = "FROM event WHERE type = 'm.room.message' AND prev_batch IS NULL"


def test_rows_made_by_sql_are_like_those_of_a_sync(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    account = build(path, 600, rooms=4)
    with closing(sqlite3.connect(path)) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(event)")]
        kinds = ", ".join(f"typeof({column})" for column in columns)
        shapes = db.execute(f"SELECT {kinds}, min(id), max(id) {PLAIN} GROUP BY {kinds}").fetchall()
        assert db.execute("SELECT count(*) FROM event").fetchone()[0] >= 600
    assert len(shapes) == 1, "a column differs in kind between applied and generated rows"
    with SyncStore.open(path, user_id=USER) as store:
        assert store.check() == []
        assert len(store.room("!room1:example.org").timeline(50).items) == 50
        applied = store.apply(batch_bytes(account, 0))
        assert (applied.events, applied.new_events) == (10, 10)


def test_each_operation_is_measured_beside_the_same_by_hand(tmp_path: Path) -> None:
    found = measure_size(tmp_path, 3000, 5)
    assert set(found) == {"page of 50", "state lookup", "gap lookup", "room list", "batch of 10"}
    assert all(ours > 0 and by_hand > 0 for pairs in found.values() for ours, by_hand in pairs)
