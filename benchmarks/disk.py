"""What it takes on disk: the file over the bytes of JSON that came in."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.page import Bar, Json, Measured, prose
from benchmarks.workload import USER, Size, bodies
from syncstore import SyncStore

_WORKLOADS = {
    "default": ("200 rooms of 200 members, 1,000 batches", Size()),
    "chatty": ("20 rooms of 20 members, 5,000 batches", Size(rooms=20, members=20, messages=20, batches=5000)),
}
_PARTS = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 6"


def measure(rounds: int) -> Measured:
    """Each workload once: sizes do not vary."""
    found = {name: stored(what, size) for name, (what, size) in _WORKLOADS.items()}
    bars = [Bar(f"file over JSON, {name} workload", one["ratio"], 1.3) for name, one in found.items()]
    return Measured(found, bars)


def stored(what: str, size: Size) -> Json:
    """One workload's bytes, before and after."""
    workload = bodies(size)
    came = sum(map(len, workload))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        with SyncStore.open(path, user_id=USER) as store:
            for body in workload:
                store.apply(body)
        # Closed: the WAL is in the file.
        stored = path.stat().st_size
        parts = {name: round(bytes_ / came, 3) for name, bytes_ in _parts(path)}
    return {"what": what, "json_bytes": came, "file_bytes": stored, "ratio": round(stored / came, 3), "parts": parts}


def _parts(path: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(path)) as db:
        try:
            return db.execute(_PARTS).fetchall()
        except sqlite3.OperationalError:
            return []  # a SQLite built without dbstat


_INTRO = """
    The file after a first sync, all small batches and a checkpoint, over the JSON that came in; its largest tables and
    indices, over the same.
"""


def section(result: Json) -> str:
    """A row for each workload."""
    lines = [
        "## Disk",
        "",
        prose(_INTRO),
        "",
        "| workload | JSON | file | file / JSON | largest parts |",
        "|---|---:|---:|---:|---|",
    ]
    for name, one in result.items():
        parts = ", ".join(f"{part} {share:.2f}" for part, share in one["parts"].items())
        came, stored = one["json_bytes"] / 1e6, one["file_bytes"] / 1e6
        lines.append(f"| {name}: {one['what']} | {came:.1f} MB | {stored:.1f} MB | {one['ratio']:.2f} | {parts} |")
    return "\n".join(lines)
