"""compact, prune, recover."""

from __future__ import annotations

import json
from pathlib import Path

from syncstore import SyncStore
from tests.encrypted import ENCRYPTED

from . import bodies
from .conftest import Run, refused


def test_p26_prune_and_compact(store: Path, run: Run) -> None:
    assert run("prune", "--keep", 1).out.startswith("dropped ")
    assert "bytes before" in run("compact").out
    assert run("check").out == "ok\n"


def test_prune_before_a_day_drops_older_notes_of_changes(store: Path, run: Run) -> None:
    with SyncStore.open(store) as opened, opened._connections.write() as cursor:
        cursor.execute("UPDATE batch SET received_at = 0")
    assert "notes of what changed" in run("prune", "--before", "2001-01-01").out
    rows = json.loads(run("sql", "SELECT kind FROM changes ORDER BY seq LIMIT 1", "--json").out)
    assert rows == [{"kind": "dropped"}]


def test_prune_must_be_told_what_to_keep(store: Path, run: Run) -> None:
    assert run("prune").code == 2
    assert run("prune", "--keep", 1, "--before", "2026-01-01").code == 2
    assert run("prune", "--keep", 0).code == 2


def test_p25_recover_writes_a_new_file_and_says_what_it_saved(store: Path, run: Run) -> None:
    data = bytearray(store.read_bytes())
    # The header; an encrypted file, whose key needs its first page, loses one in its middle.
    at, size = (len(data) // 8192 * 4096, 4096) if ENCRYPTED else (0, 100)
    data[at : at + size] = bytes(size)
    store.write_bytes(data)
    assert run("check").code == 1
    saved = {row["table"]: row["saved"] for row in json.loads(run("recover", store, "--json").out)}
    assert saved["event"] > 3 and saved["room"] == 3 and store.read_bytes() == data
    with SyncStore.open(f"{store}.recovered") as new:
        assert new.check() == [] and new.user_id == bodies.ALICE
    assert "exists already" in refused(run("recover", store))
