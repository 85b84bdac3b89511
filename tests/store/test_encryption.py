"""Encryption at rest: the passphrase opens the file and nothing else does, and nothing readable is on the disk."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import CorruptStoreError, OtherAccountError, PassphraseError, StoreError, StoreLockedError
from syncstore.store import connection, driver, key
from tests.store import rich
from tests.store.bodies import ME, ROOM, Body, message
from tests.store.conftest import Feed, bytes_of
from tests.store.crowd import open_new

PASSPHRASE = 'it\'s "mine"; PRAGMA x -- ключ'
WORDS = (b"SQLite format 3", b"CREATE TABLE", b"needle-in-the-file", ROOM.encode(), ME.encode(), b"m.room.message")


@pytest.fixture
def sealed(path: Path) -> Path:
    """A closed store with rows of every kind."""
    with SyncStore.open(path, user_id=ME, passphrase=PASSPHRASE) as store:
        rich.fill(store)
    return path


def test_p29_nothing_readable_is_in_file_wal_or_backup(path: Path, tmp_path: Path) -> None:
    for passphrase, readable in ((None, True), (PASSPHRASE, False)):
        path = tmp_path / f"{readable}.db"
        with SyncStore.open(path, user_id=ME, passphrase=passphrase) as store:
            rich.fill(store)
            feed = Feed(store)
            feed.take(feed.next.join(ROOM, message("$needle", "needle-in-the-file")))
            with store.read() as snap:  # holds the WAL
                assert snap.rooms()
                feed.take(feed.next.join(ROOM, message("$wal", "needle-in-the-file")))
                assert path.with_name(path.name + "-wal").stat().st_size > 0
                store.backup(tmp_path / f"{readable}.copy")
                everything = bytes_of(path) + bytes_of(tmp_path / f"{readable}.copy")
        everything += bytes_of(path)
        assert [word for word in WORDS if word in everything] == (list(WORDS) if readable else [])


def test_p29_a_store_and_its_backup_open_with_the_passphrase_alone(sealed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with SyncStore.open(sealed, passphrase=PASSPHRASE) as store:
        store.backup(copy)
        before = (store.token, store.info().events)
    assert before[0] is not None and before[1] > 5
    for file in (sealed, copy):
        with SyncStore.open(file, passphrase=PASSPHRASE) as store:
            assert (store.token, store.info().events) == before
            assert store.check() == []
        for wrong in (None, "", PASSPHRASE + " ", "x'" + "00" * 32 + "'", "a\0b", "\ud800"):
            with pytest.raises(PassphraseError):
                SyncStore.open(file, passphrase=wrong)
        with closing(sqlite3.connect(file)) as db, pytest.raises(sqlite3.DatabaseError, match="not a database"):
            db.execute("SELECT * FROM sqlite_schema")


def test_p29_plain_sqlcipher_opens_it_with_the_passphrase(sealed: Path) -> None:
    with closing(driver.cipher().connect(str(sealed))) as db:
        db.execute("PRAGMA key = '" + PASSPHRASE.replace("'", "''") + "'")
        assert db.execute("SELECT user_id FROM account").fetchall() == [(ME,)]


def test_p29_what_is_wrong_is_told_apart(sealed: Path, tmp_path: Path) -> None:
    plain, text, cut = tmp_path / "plain.db", tmp_path / "text.db", tmp_path / "cut.db"
    SyncStore.open(plain, user_id=ME).close()
    text.write_text("no database at all\n" * 1000)
    for passphrase, message_ in ((None, "or encrypted: give its passphrase"), ("wrong", "does not open with this")):
        with pytest.raises(PassphraseError, match=message_) as caught:
            SyncStore.open(sealed, passphrase=passphrase)
        assert caught.value.kind == "passphrase"
    with pytest.raises(PassphraseError, match="is not encrypted"):
        SyncStore.open(plain, passphrase=PASSPHRASE)
    with pytest.raises(CorruptStoreError):
        SyncStore.open(text)
    with pytest.raises(OtherAccountError):
        SyncStore.open(sealed, passphrase=PASSPHRASE, user_id="@other:x")
    # A page that was damaged is no matter of the passphrase.
    damaged = bytearray(sealed.read_bytes())
    for place in range(4096 * 2, len(damaged), 512):
        damaged[place] ^= 1
    cut.write_bytes(damaged)
    with pytest.raises(CorruptStoreError), SyncStore.open(cut, passphrase=PASSPHRASE) as store:
        store.rooms()
    SyncStore.open(sealed, passphrase=PASSPHRASE).close()


def test_p25_the_wal_of_another_encrypted_store_is_told_and_harms_nothing(sealed: Path, tmp_path: Path) -> None:
    before, other = sealed.read_bytes(), tmp_path / "other.db"
    with SyncStore.open(other, user_id=ME, passphrase=PASSPHRASE) as store:
        rich.fill(store)
    with SyncStore.open(other, passphrase=PASSPHRASE) as store:
        store.apply(Body("s9").join(ROOM, *(message(f"$wal{at}") for at in range(200))).done())
        shutil.copy(f"{other}-wal", f"{sealed}-wal")
    with pytest.raises(PassphraseError, match="another one, or the file is damaged"):
        SyncStore.open(sealed, passphrase=PASSPHRASE, read_only=True)
    for suffix in ("-wal", "-shm"):
        sealed.with_name(sealed.name + suffix).unlink(missing_ok=True)
    assert sealed.read_bytes() == before
    with SyncStore.open(sealed, passphrase=PASSPHRASE) as store:
        assert store.check() == []


def test_p29_a_plain_store_whose_head_is_damaged_is_not_called_encrypted(path: Path) -> None:
    with SyncStore.open(path, user_id=ME) as store:
        rich.fill(store)
    with path.open("r+b") as file:
        file.write(b"\xff" * 64)
    with pytest.raises(CorruptStoreError):
        SyncStore.open(path)


def test_p29_the_passphrase_is_in_no_error_log_or_repr(
    sealed: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "very-secret-passphrase"
    with pytest.raises(PassphraseError) as caught:
        SyncStore.open(sealed, passphrase=secret)
    made = key.Key(secret, driver.salt_of(sealed))
    with SyncStore.open(sealed, passphrase=PASSPHRASE) as store:
        shown = repr([store, vars(store), vars(store._connections), store._connections._readers, made])
        shown += "".join(traceback.format_exception(caught.value)) + caplog.text + "".join(capfd.readouterr())
        inside = store._connections.key
        assert inside is not None
        for hidden in (secret, PASSPHRASE, made.text, inside.text, inside.text[2:40]):
            assert hidden not in shown


def test_p29_without_sqlcipher_the_error_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlcipher3.dbapi2", None)
    with pytest.raises(StoreError, match=r"pip install 'syncstore\[encrypted\]'"):
        SyncStore.open(path, user_id=ME, passphrase=PASSPHRASE)
    assert not path.exists()
    SyncStore.open(path, user_id=ME).close()


def test_a_plain_store_loads_no_sqlcipher(path: Path) -> None:
    script = (
        "import sys; from syncstore import SyncStore\n"
        "SyncStore.open(sys.argv[1], user_id='@me:x').close()\n"
        "sys.exit('sqlcipher3' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 0


def test_the_key_is_derived_once_for_all_connections(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    derived, calls = key._derived, []

    def counted(passphrase: bytes, salt: bytes) -> bytes:
        calls.append(salt)
        return derived(passphrase, salt)

    monkeypatch.setattr(key, "_derived", counted)
    with SyncStore.open(sealed, passphrase=PASSPHRASE) as store:
        with store.read() as one, store.read() as two, store.read() as three:
            assert one.rooms() and two.rooms() and three.rooms()
        store.apply(b'{"next_batch": "s9"}')
    assert len(calls) == 1


def test_p29_processes_that_make_one_new_store_agree(path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(open_new, [(str(path), ME, PASSPHRASE)] * 4) == [ME] * 4


def test_p29_a_new_file_that_another_process_makes_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both found it empty; each has a salt of its own."""
    salt = key.new_salt

    def slow() -> bytes:
        monkeypatch.setattr(driver, "new_salt", salt)
        SyncStore.open(path, user_id=ME, passphrase=PASSPHRASE).close()
        return salt()

    monkeypatch.setattr(driver, "new_salt", slow)
    with SyncStore.open(path, user_id=ME, passphrase=PASSPHRASE) as store:
        store.apply(b'{"next_batch": "s1"}')
        assert store.token == "s1"


def test_errors_of_sqlcipher_are_the_library_s(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.1)
    with SyncStore.open(sealed, passphrase=PASSPHRASE) as store, SyncStore.open(sealed, passphrase=PASSPHRASE) as other:
        with other._connections.write(), pytest.raises(StoreLockedError, match=r"me\.db"):
            store.apply(b'{"next_batch": "s9"}')
        with pytest.raises(StoreError, match="readonly"), store._connections.read() as cursor:
            cursor.execute("DELETE FROM batch")


def test_a_closed_store_in_a_folder_of_others_can_be_read(sealed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    there = Path(shutil.copy(sealed, folder / "a.db"))
    with SyncStore.open(there, passphrase=PASSPHRASE, read_only=True) as store:
        assert store.rooms()
        with pytest.raises(StoreError, match="reading only"):
            store.apply(b'{"next_batch": "s9"}')
