"""Durable consumers from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from syncstore import SyncStore

from .conftest import Run, refused


def test_consumers_are_listed_and_forgotten(store: Path, run: Run) -> None:
    with SyncStore.open(store) as opened:
        with opened.consume("old\x1b[31m"):
            pass
        waiting = len(opened.to_device("keys"))
    events, messages = sorted(json.loads(run("consumers", "--json").out), key=lambda row: str(row["stream"]))
    assert (events["name"], events["stream"], events["waiting"]) == ("old\x1b[31m", "events", 0)
    assert (messages["stream"], messages["seq"], messages["waiting"]) == ("to_device", None, waiting)
    lines = run("consumers").out.splitlines()
    assert lines[0].split() == ["NAME", "STREAM", "SEQ", "UPDATED", "WAITING"] and len(lines) == 3
    assert "old\\x1b[31m" in "".join(lines)
    assert run("consumers", "--forget", "keys").out == "forgot keys\n"
    assert [row["stream"] for row in json.loads(run("consumers", "--json").out)] == ["events"]
    assert "no consumer keys" in refused(run("consumers", "--forget", "keys"))
