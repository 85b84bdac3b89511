"""The floor may not flatter us: it must leave the same rows as the store does, or it has done less work."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from benchmarks.floor import Floor
from benchmarks.runs import run_floor, run_syncstore, schema
from benchmarks.workload import USER, Size, bodies
from syncstore import SyncStore

# What a clock writes, and the order of notes within a batch.
TIMES = {"seq", "received_at", "apply_ms", "created_at", "updated_at"}
SMALL = Size(rooms=6, members=5, messages=4, batches=40)


def _tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    found = {name: sorted((_row(row) for row in db.execute(f"SELECT * FROM {name}")), key=repr) for name in names}
    db.close()
    return found


def _row(row: sqlite3.Row) -> tuple[Any, ...]:
    return tuple(_value(name, row[name]) for name in row.keys() if name not in TIMES)  # noqa: SIM118


def _value(name: str, value: Any) -> Any:
    """JSON is compared by value: the floor writes what it decoded, the store what was sent."""
    return json.loads(value) if name in ("content", "unsigned") and value is not None else value


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("floor")
    ours, floor = folder / "ours.db", folder / "floor.db"
    run_syncstore(ours, bodies(SMALL))
    run_floor(floor, bodies(SMALL))
    return ours, floor


def test_the_floor_leaves_the_same_rows(files: tuple[Path, Path]) -> None:
    ours, floor = map(_tables, files)
    del ours["alembic_version"], floor["alembic_version"]
    assert ours.keys() == floor.keys()
    for name in ours:
        assert ours[name] == floor[name], name


def test_the_floor_writes_under_the_same_settings(tmp_path: Path) -> None:
    settings = (
        *("journal_mode", "synchronous", "secure_delete", "foreign_keys", "cache_size", "temp_store", "page_size"),
        *("wal_autocheckpoint", "journal_size_limit", "auto_vacuum", "mmap_size", "locking_mode", "fullfsync"),
    )
    with SyncStore.open(tmp_path / "ours.db", user_id=USER) as store:
        for body in bodies(Size(rooms=3, members=1, messages=1, batches=1)):
            store.apply(body)
        with store._connections.write() as cursor:
            ours = {name: cursor.execute(f"PRAGMA {name}").fetchall() for name in settings}
    floor = Floor(tmp_path / "floor.db", schema())
    assert {name: floor.db.execute(f"PRAGMA {name}").fetchall() for name in settings} == ours
    floor.db.close()
    assert ours["journal_mode"] == [("wal",)]
    assert [ours[name] for name in ("synchronous", "secure_delete", "foreign_keys")] == [[(1,)]] * 3


def test_the_workload_exercises_what_it_claims(files: tuple[Path, Path]) -> None:
    tables = _tables(files[0])
    for name in ("event", "room_state", "replaced_state", "gap", "receipt", "touched", "batch"):
        assert tables[name], name
    assert len(tables["batch"]) == SMALL.batches + 1


def test_the_full_workload_has_54000_events() -> None:
    size = Size()
    assert size.rooms * (size.members + 3 + size.messages) + size.batches * 10 == 54_000
