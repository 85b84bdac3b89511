"""What it costs to begin: CPU of importing syncstore and opening a store, over CPU of importing SQLAlchemy."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.children import numbers
from benchmarks.page import Bar, Json, Measured, prose
from benchmarks.workload import USER
from syncstore import SyncStore

_SQLALCHEMY = """
from time import process_time
start = process_time()
import sqlalchemy
print(process_time() - start)
"""
_OURS = """
import sys
from time import process_time
start = process_time()
from syncstore import SyncStore
store = SyncStore.open(sys.argv[1])
print(process_time() - start)
store.close()
"""


def measure(rounds: int) -> Measured:
    """Pairs of fresh processes, in turn; a pair more at first, which writes the byte code and is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.db"
        SyncStore.open(path, user_id=USER).close()
        pairs = [(*numbers(_SQLALCHEMY), *numbers(_OURS, path)) for _ in range(rounds + 1)][1:]
    ratios = [ours / theirs for theirs, ours in pairs]
    result = {
        "pairs": rounds,
        "sqlalchemy_ms": round(statistics.median(theirs for theirs, _ in pairs) * 1000, 1),
        "syncstore_ms": round(statistics.median(ours for _, ours in pairs) * 1000, 1),
        "ratio": round(statistics.median(ratios), 3),
        "smallest": round(min(ratios), 3),
        "largest": round(max(ratios), 3),
    }
    return Measured(result, [Bar("CPU of import and open, over `import sqlalchemy`", result["ratio"], 1.3)])


def section(result: Json) -> str:
    """Two costs and their ratio."""
    theirs, ours = result["sqlalchemy_ms"], result["syncstore_ms"]
    ratio, smallest, largest = (f"{result[key]:.2f}" for key in ("ratio", "smallest", "largest"))
    text = f"""
        CPU in a fresh process, medians of {result["pairs"]} pairs in turn: `import sqlalchemy` {theirs:.0f} ms;
        `import syncstore` and opening a store at head {ours:.0f} ms, {ratio} times as much ({smallest} … {largest}).
        What is not used is not loaded: neither requests, Alembic and pydantic, nor what only a writer needs
        (`tests/contract/test_imports.py`).
    """
    return f"## Start\n\n{prose(text)}"
