"""Damaged files: found out, never a bare traceback, and what can be read is saved (promise 25)."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from syncstore import Syncer, SyncStore
from syncstore.errors import CorruptStoreError, PassphraseError, StoreError
from syncstore.store.views import VIEWS
from tests import encrypted
from tests.account.events import ME
from tests.account.readback import read
from tests.property.faulty import Faulty, Habits
from tests.property.script import new_account

TIMES = 200
SECTOR = 512
Damage = Callable[[bytearray, random.Random], None]


def sector_of_zeros(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) // SECTOR) * SECTOR
    data[at : at + SECTOR] = bytes(SECTOR)


def sector_of_noise(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) // SECTOR) * SECTOR
    data[at : at + SECTOR] = chance.randbytes(SECTOR)


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def header(data: bytearray, chance: random.Random) -> None:
    data[:100] = chance.randbytes(100)


KINDS: list[Damage] = [sector_of_zeros, sector_of_noise, cut, header]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Faulty]:
    """A store of two rooms with some hundred events, and the server it came from."""
    path = tmp_path_factory.mktemp("damage") / "whole.db"
    account = new_account()
    account.move("!room1:example.org", "join")
    server = Faulty(account, Habits())
    with SyncStore.open(path, user_id=ME) as store:
        syncer = Syncer(server.face(), store)
        syncer.run_once()
        for turn in range(12):
            for room in account.rooms:
                for _ in range(10):
                    account.send(room)
                account.set_state(room, "m.room.name")
            if turn % 3 == 0:
                account.send_to_device()
            server.limit = 5 if turn % 4 == 0 else 50
            syncer.run_once()
        syncer.backfill_all(budget=100, limit=50)
        assert store.gaps() == [] and store.check() == []
    return path, server


def views(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as db:
        return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in VIEWS}


def damaged(path: Path, target: Path, number: int) -> str:
    chance = random.Random(number)
    kind = KINDS[number % len(KINDS)]
    data = bytearray(path.read_bytes())
    kind(data, chance)
    target.write_bytes(data)
    return kind.__name__


def test_p25_damage_is_found_or_changed_nothing(filled: tuple[Path, Faulty], tmp_path: Path) -> None:
    """Overwritten sectors, a cut file, a lost header: what disks do."""
    path, _ = filled
    whole = views(path)
    seen: Counter[str] = Counter()
    for number in range(TIMES):
        file = tmp_path / f"{number}.db"
        kind = damaged(path, file, number)
        try:
            with SyncStore.open(file, read_only=True) as store:
                problems = store.check()
        except StoreError:
            seen["refused"] += 1
        else:
            if problems:
                seen["told by check"] += 1
            else:
                seen["harmless"] += 1
                assert views(file) == whole, f"{number}, {kind}: nobody noticed"
        for left in tmp_path.iterdir():
            left.unlink()
    print(f"{TIMES} damaged files: {dict(seen)}")  # noqa: T201
    assert seen["refused"] and seen["told by check"]


def test_p25_recover_and_fill_equals_the_whole_store(filled: tuple[Path, Faulty], tmp_path: Path) -> None:
    path, server = filled
    with SyncStore.open(path, read_only=True) as store:
        assert store.check() == []
    expected, refused = read(path), 0
    for number in range(TIMES // 4):
        file, new = tmp_path / "damaged.db", tmp_path / "new.db"
        kind = damaged(path, file, number)
        before = file.read_bytes()
        try:
            SyncStore.recover(file, new, user_id=ME)
        except (PassphraseError, CorruptStoreError):
            # Without the first page, or any of the list of tables, an encrypted file is noise.
            assert encrypted.ENCRYPTED and not new.exists()
            refused += 1
            continue
        assert file.read_bytes() == before
        with SyncStore.open(new) as store:
            assert store.check() == [], f"{number}, {kind}"
            syncer = Syncer(server.face(), store)
            server.limit = 5
            syncer.run_once()
            syncer.backfill_all(budget=100, limit=50)
            assert store.check() == [] and store.gaps() == [], f"{number}, {kind}"
        found = read(new)
        for room_id, room in expected["rooms"].items():
            assert found["rooms"][room_id]["state"] == room["state"], f"{number}, {kind}"
        assert events(new) == events(path), f"{number}, {kind}"
        for left in (file, new):
            left.unlink()
    assert refused < TIMES // 8


def events(path: Path) -> set[tuple[str, str, str]]:
    """Every event that has a place."""
    with closing(sqlite3.connect(path)) as db:
        return set(db.execute("SELECT room_id, event_id, content FROM timeline"))
