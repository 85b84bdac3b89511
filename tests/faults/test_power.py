"""The power goes at any moment: to-device messages that were taken are there, the rest is an older whole (4, 24)."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from syncstore import Syncer, SyncStore
from syncstore.store.connection import Connections
from tests.conftest import Counted
from tests.store.bodies import ME
from tests.torture import times

from .calls import CALLS, Bench
from .disk import Recorder, after_loss, recorded
from .vfs import shim, under
from .world import World, dump, fill_all, open_store, run, states_of, unlike

pytestmark = pytest.mark.skipif(shim() is None, reason="this Python's SQLite is built in and shows no functions")

NAME = "account.db"


@pytest.fixture
def seed() -> int:
    return random.randrange(1 << 30)


class Record:
    """One run of a history, recorded: what stood in the file after each commit, and what must not be lost when.

    A note (state, whether it is to stay) is taken whenever a call has returned.
    """

    def __init__(self, folder: Path, world: World) -> None:
        self.world = world
        self.states = states_of(folder / "calm.db", world)
        where = folder / "recorded"
        where.mkdir()
        self.disk = Recorder(where)
        path = where / NAME
        with recorded(self.disk):
            with open_store(path) as store:
                self._note(path, durable=True)
                syncer = Syncer(world.face(), store)
                while store.token != world.last:
                    syncer.run_once()
                    self._note(path, durable=bool(world.to_device[store.token or ""]))
                fill_all(store, world)
                self._note(path, durable=False)
            self._note(path, durable=False)

    def _note(self, path: Path, *, durable: bool) -> None:
        self.disk.note((self.states.index(dump(path)), durable))

    def moments(self, draw: random.Random, count: int) -> Iterator[int]:
        """Half of them anywhere, half right after something that is to stay."""
        critical = [at for at, done in enumerate(self.disk.log) if done.what == "note" and done.note[1]]  # type: ignore[index]
        for number in range(count):
            last = len(self.disk.log)
            yield draw.choice(critical) + draw.randrange(1, 4) if number % 2 else draw.randrange(last + 1)

    def floor(self, moment: int) -> int:
        """The state that must not be lost at this moment."""
        notes = [done.note for done in self.disk.log[:moment] if done.what == "note"]
        return max((note[0] for note in notes if note[1]), default=0)  # type: ignore[index]

    def left(self, moment: int, draw: random.Random, target: Path) -> int | None:
        """Which state is found after a loss of power; None for one that was never committed."""
        after_loss(self.disk, moment, draw, target)
        found = dump(target / NAME)
        return self.states.index(found) if found in self.states else None


def lose(record: Record, draw: random.Random, count: int) -> tuple[int, int, int]:
    """Let the power go so often: (losses, those of newer commits, messages lost); the resumed ones end the same."""
    older = broken = 0
    for number, moment in enumerate(record.moments(draw, count)):
        with tempfile.TemporaryDirectory(dir=record.disk.folder) as name:
            found = record.left(moment, draw, Path(name))
            assert found is not None, f"after {moment} of the log: a state that was never committed"
            broken += found < record.floor(moment)
            older += found < max((d.note[0] for d in record.disk.log[:moment] if d.note), default=0)  # type: ignore[index]
            if number % 10 == 0:
                run(Path(name) / NAME, record.world)
                assert (end := dump(Path(name) / NAME)) == record.states[-1], unlike(record.states[-1], end)
                with SyncStore.open(Path(name) / NAME) as store:
                    assert store.check() == []
    return count, older, broken


def test_p04_messages_outlast_a_loss_of_power(folder: Path, seed: int, counted: Counted) -> None:
    """Of other batches the newest may go, the token with its data; asked again from there, the end is the same."""
    record, draw = Record(folder, World(seed)), random.Random(seed)
    losses, older, broken = lose(record, draw, times(300, 20_000))
    assert broken == 0, f"history {seed}"
    counted(losses, "losses of power")
    counted(older, "losses of power that took commits, none of them with messages")
    assert older


def test_p04_the_disk_of_these_tests_loses_what_was_not_synced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without synchronous=FULL messages would be lost, and it would be seen here."""
    real = Connections._set_synchronous
    monkeypatch.setattr(Connections, "_set_synchronous", lambda self, raw, _: real(self, raw, "NORMAL"))
    assert lose(Record(folder, World(1)), random.Random(1), 200)[2]


def lost(disk: Recorder, moment: int, draw: random.Random) -> Path:
    """A folder after a loss of power."""
    where = Path(tempfile.mkdtemp(dir=disk.folder))
    after_loss(disk, moment, draw, where)
    return where


class _DeadBeforeSync:
    """Kills its process before the WAL is synced for the nth time."""

    def __init__(self, nth: int) -> None:
        self.left = nth

    def before(self, what: str, path: str) -> int:
        if what == "sync" and path.endswith("-wal"):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def after(self, what: str, path: str, offset: int, data: bytes) -> None:
        pass


def _dies(path: Path, nth: int) -> bool:
    """Whether a process that takes a batch with messages was killed before its nth sync."""
    child = os.fork()
    if child == 0:
        with under(_DeadBeforeSync(nth)):
            CALLS["sync"](SyncStore.open(path))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_p04_what_a_killed_process_did_not_sync_is_synced_before_its_token_is_used(folder: Path) -> None:
    """Killed after the commit was written, before it was synced: SQLite recovers it, and the next request would tell
    the server so."""
    bench, draw, recovered, nth = Bench(folder), random.Random(4), 0, 1
    before = bench.fresh().read_bytes()
    while _dies(bench.fresh(), nth):
        nth += 1
        disk = Recorder(folder, synced={bench.path.name: before})
        with recorded(disk), bench.open() as store:
            acted, found = len(disk.log), dump(bench.path)
            recovered += store.token == "s2"
        for _ in range(50):
            assert dump(lost(disk, acted, draw) / bench.path.name) == found
    assert recovered


def test_p24_a_backup_outlasts_a_loss_of_power(folder: Path) -> None:
    bench, draw = Bench(folder), random.Random(5)
    bench.fresh()
    disk = Recorder(folder)
    with recorded(disk), bench.open() as store:
        store.backup(folder / "copy.db")
        made = len(disk.log)
    for _ in range(50):
        assert dump(lost(disk, made, draw) / "copy.db") == bench.before


@pytest.mark.parametrize("base", ["old", "none"])
def test_p24_the_power_goes_while_a_file_is_upgraded_or_made(
    base: Literal["old", "none"], folder: Path, seed: int, counted: Counted
) -> None:
    bench, draw = Bench(folder, base), random.Random(seed)
    path = bench.fresh()
    disk = Recorder(folder)
    with recorded(disk):
        bench.open().close()
    after, losses = dump(path), times(60, 3000)
    for _ in range(losses):
        moment = draw.randrange(len(disk.log) + 1)
        left = lost(disk, moment, draw) / path.name
        assert dump(left) in (bench.before, after), f"{seed}: after {moment} of the log"
        with SyncStore.open(left, user_id=ME) as store:
            assert store.check() == []
        assert dump(left) == after
        shutil.rmtree(left.parent)
    assert dump(lost(disk, len(disk.log), draw) / path.name) == after
    counted(losses, "losses of power while a file is upgraded or made")
