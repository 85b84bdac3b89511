"""Conversion: the same rows under another key, whole or not at all, with nobody else at the file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from syncstore import SyncStore, decrypt, encrypt, rekey
from syncstore.errors import NotFoundError, PassphraseError, StoreError, StoreLockedError
from syncstore.store import convert, key
from tests.store import rich
from tests.store.bodies import ME, ROOM
from tests.store.conftest import Sql

STEPS = ("_leave_wal", "_write", "_compare", "sync", "_wipe")


@pytest.fixture(autouse=True)
def _one_derivation_for_each_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many files are opened here, and a key costs a good part of a second."""
    monkeypatch.setattr(key, "_derived", cache(key._derived))
    monkeypatch.setattr(convert, "new_salt", lambda: b"0123456789abcdef")


@pytest.fixture
def plain(path: Path) -> Path:
    """A closed store with rows of every kind, statistics and a table of the user's."""
    with SyncStore.open(path, user_id=ME) as store:
        rich.fill(store)
    with closing(sqlite3.connect(path)) as db:
        db.executescript("""CREATE TABLE "my ""notes" (note); INSERT INTO "my ""notes" VALUES ('x'); ANALYZE;""")
    return path


def header(path: Path) -> list[object]:
    with closing(sqlite3.connect(path)) as db:
        return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version", "page_size")]


def state_of(path: Path, *passphrases: str | None) -> str | None:
    """The one passphrase that opens a sound store there."""
    found = []
    for one in passphrases:
        try:
            with SyncStore.open(path, passphrase=one) as store:
                assert store.check() == [] and store.token == "s2"
        except PassphraseError:
            continue
        found.append(one)
    assert len(found) == 1
    return found[0]


def test_p29_there_and_back_is_the_same_store(plain: Path, sql: Sql) -> None:
    rows, head, mine = rich.contents(plain), header(plain), sql('SELECT * FROM "my ""notes"')
    encrypt(plain, "one")
    assert ROOM.encode() not in plain.read_bytes()
    assert state_of(plain, None, "one", "two") == "one"
    rekey(plain, "one", "two")
    assert state_of(plain, None, "one", "two") == "two"
    decrypt(plain, "two")
    assert state_of(plain, None, "one", "two") is None
    assert (rich.contents(plain), header(plain), sql('SELECT * FROM "my ""notes"')) == (rows, head, mine)
    assert [one.name for one in plain.parent.iterdir()] == ["me.db"]
    assert plain.stat().st_mode & 0o777 == 0o600


def test_p29_the_old_bytes_are_overwritten(plain: Path) -> None:
    with plain.open("rb") as old:
        assert ROOM.encode() in old.read()
        encrypt(plain, "one")
        old.seek(0)
        assert not any(old.read())


def test_p29_what_cannot_be_converted_stays(plain: Path, tmp_path: Path) -> None:
    before = plain.read_bytes()
    refused: list[tuple[type[StoreError] | type[NotFoundError], Callable[[], None]]] = [
        (PassphraseError, lambda: encrypt(plain, "")),
        (PassphraseError, lambda: decrypt(plain, "one")),
        (PassphraseError, lambda: rekey(plain, "one", "two")),
        (NotFoundError, lambda: encrypt(tmp_path / "none.db", "one")),
    ]
    os.link(plain, tmp_path / "second.db")
    refused.append((StoreError, lambda: encrypt(plain, "one")))
    for kind, ask in refused:
        with pytest.raises(kind):
            ask()
    (tmp_path / "second.db").unlink()
    # The journal mode may differ: two bytes and the counters of the header.
    assert plain.read_bytes()[100:] == before[100:]
    encrypt(plain, "one")
    for ask in (lambda: encrypt(plain, "one"), lambda: decrypt(plain, "two"), lambda: rekey(plain, "two", "x")):
        with pytest.raises(PassphraseError):
            ask()
    assert state_of(plain, None, "one") == "one"


def test_p29_a_store_that_somebody_has_open_is_not_converted(plain: Path) -> None:
    script = "import sys; from syncstore import SyncStore; s = SyncStore.open(sys.argv[1], read_only=True); s.rooms()\n"
    script += "print('open', flush=True); sys.stdin.read()"
    for passphrase in (None, "one"):
        with SyncStore.open(plain, passphrase=passphrase) as store:
            store.rooms()
            with pytest.raises(StoreLockedError):
                rekey(plain, passphrase, "two") if passphrase else encrypt(plain, "one")
        if passphrase is None:
            command = [sys.executable, "-c", script, str(plain)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
                assert other.stdout is not None and other.stdout.readline() == "open\n"
                with pytest.raises(StoreLockedError):
                    encrypt(plain, "one")
                other.communicate("")
            encrypt(plain, "one")
    assert state_of(plain, None, "one", "two") == "one"


def test_p29_who_comes_meanwhile_loses_nothing(plain: Path) -> None:
    """Whoever opened the old file before the rename must not write to what has no name any more."""
    early: list[sqlite3.Connection] = []
    write = convert._write

    def watched(*given: Any) -> None:
        early.append(sqlite3.connect(plain))
        write(*given)

    with mock.patch.object(convert, "_write", watched):
        encrypt(plain, "one")
    with closing(early[0]) as db, pytest.raises(sqlite3.DatabaseError, match="not a database"):
        db.execute("CREATE TABLE lost (x)")
    assert state_of(plain, None, "one") == "one"


@pytest.mark.parametrize("change", [(None, "new"), ("old", None), ("old", "new")], ids=["encrypt", "decrypt", "rekey"])
def test_p29_a_kill_at_any_step_leaves_one_whole_store(plain: Path, change: tuple[str | None, str | None]) -> None:
    old, new = change
    if old is not None:
        encrypt(plain, old)
    outcomes = set()
    for step in STEPS:
        for when in ("before", "after"):
            died = _killed(plain, change, step, when)
            assert died == -signal.SIGKILL
            found = state_of(plain, old, new)
            outcomes.add(found)
            if found == new:
                convert.convert(plain, new, old)
    assert outcomes == {old, new}
    convert.convert(plain, old, new)
    assert state_of(plain, old, new) == new
    assert [one.name for one in plain.parent.iterdir()] == ["me.db"]


def _killed(path: Path, change: tuple[str | None, str | None], step: str, when: str) -> int:
    child = os.fork()
    if child == 0:
        try:
            with mock.patch.object(convert, step, _dying(getattr(convert, step), when)):
                convert.convert(path, *change)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _dying(work: Callable[..., None], when: str) -> Callable[..., None]:
    def run(*given: object) -> None:
        if when == "after":
            work(*given)
        os.kill(os.getpid(), signal.SIGKILL)

    return run


def test_p29_no_room_for_the_new_file_leaves_the_old_one(plain: Path) -> None:
    script = (
        "import resource, signal, sys; from syncstore import encrypt; from syncstore.errors import StoreError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40960, 40960)); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try: encrypt(sys.argv[1], 'one')\n"
        "except StoreError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(plain)], capture_output=True, text=True, check=True)
    assert str(plain) in done.stdout
    assert state_of(plain, None, "one") is None
    assert [one.name for one in plain.parent.iterdir()] == ["me.db"]
