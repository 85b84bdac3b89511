"""SIGKILL at random moments of sync and back-fill: the file is in a state that was committed, and the rest follows."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from tests.conftest import Counted
from tests.encrypted import ENCRYPTED
from tests.torture import times

from .kill import MOMENTS, PHASES

KILLS_OF_ONE_HISTORY = 100
KILLS = times(100 if ENCRYPTED else 200, 5000)


def torment(count: int, seed: int, folder: Path) -> dict[str, int]:
    """What tests/faults/kill.py counted."""
    where = folder / str(seed)
    where.mkdir()
    command = [sys.executable, "-m", "tests.faults.kill", str(count), str(seed), str(where)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False, timeout=400
    )
    assert done.returncode == 0, f"history {seed}: {done.stderr}"
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


def test_p24_a_killed_process_leaves_a_state_that_was_committed(folder: Path, counted: Counted) -> None:
    """Integrity, derived data and every row after each kill; in the end the store of an undisturbed run."""
    total: dict[str, int] = {}
    for _ in range(KILLS // KILLS_OF_ONE_HISTORY):
        counts = torment(KILLS_OF_ONE_HISTORY, random.randrange(1 << 30), folder)
        total = {name: total.get(name, 0) + counts.get(name, 0) for name in total | counts}
    for name in (*MOMENTS, *PHASES):
        counted(total.get(name, 0), f"processes killed: {name}")
    counted(total["kills"], "processes killed")
    counted(total["ends"], "processes that were killed at last came to the same end")
    assert total["kills"] >= KILLS
    assert {"outside a transaction", "inside a transaction", "syncing", "back-filling"} <= total.keys()
    assert total["ends"] > 0
