"""No room: a clear error, a whole store, and on it goes in the same process when there is room again."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import StoreFullError
from tests.conftest import Counted
from tests.store.bodies import Body
from tests.torture import times

from .calls import Bench
from .world import World, dump, fill_all, open_store, run, states_of, sync_all, unlike

ROOT = Path(__file__).parents[2]


def grant(store: SyncStore, pages: int) -> None:
    """So many pages more than the file has, and no more."""
    with store._connections.write() as cursor:
        now = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {now + pages}")


def test_p24_no_page_more_in_the_file(folder: Path, counted: Counted) -> None:
    """A whole history, one page more at a time: each refusal leaves what was committed before."""
    refused = 0
    for _ in range(times(1, 50)):
        seed = random.randrange(1 << 30)
        world, path = World(seed), folder / f"{seed}.db"
        states = states_of(folder / f"{seed}-calm.db", world)
        with open_store(path) as store:
            grant(store, 0)
            last, more = 0, 0
            while True:
                try:
                    sync_all(store, world)
                    fill_all(store, world)
                    break
                except StoreFullError as error:
                    refused += 1
                    assert str(path) in str(error)
                    found = dump(path)
                    assert found in states, f"history {seed}, refusal {refused}"
                    assert store.check() == []
                    now = states.index(found)
                    last, more = now, more + 1 if now == last else 1
                    grant(store, more)
            assert dump(path) == states[-1]
    assert refused
    counted(refused, "calls refused for want of a page")


def test_p24_no_byte_more_on_the_disk(folder: Path, counted: Counted) -> None:
    """A whole history, a little room at a time; in the end the store of an undisturbed run."""
    refused = 0
    for _ in range(times(2, 60)):
        seed, step = random.randrange(1 << 30), random.randrange(8_000, 40_000)
        path, calm = folder / f"{seed}.db", folder / f"{seed}-calm.db"
        run(calm, World(seed))
        command = [sys.executable, "-m", "tests.faults.narrow", str(path), str(step), str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=200)
        assert done.returncode == 0, f"history {seed}, step {step}: {done.stderr}"
        refused += int(done.stdout)
        assert (found := dump(path)) == (end := dump(calm)), unlike(end, found)
    assert refused
    counted(refused, "calls refused for want of room on the disk")


COMMANDS = ("replay {folder}/body.json", "backup {folder}/copy.db", "forget !room:example.org")


@pytest.mark.parametrize("command", COMMANDS)
def test_p24_a_command_without_room_says_so_in_one_line(command: str, folder: Path) -> None:
    bench = Bench(folder)
    bench.fresh()
    (folder / "body.json").write_bytes(Body("s2").data("m.x", {"x": ["x" * 500] * 2000}).done())
    arguments = command.format(folder=folder).split()
    line = [sys.executable, "-m", "tests.cli.child", '{"file_bytes": 40000}', "-s", str(bench.path), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False, timeout=200)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no room to write " in done.stderr and done.stderr.startswith("syncstore: ") and done.stderr.count("\n") == 1
    assert dump(bench.path) == bench.before
