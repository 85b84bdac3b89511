"""What is recorded can be played again, and gives the same store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from syncstore import Syncer, SyncStore
from syncstore.errors import NotFoundError, StoreError
from syncstore.sync import Recorded, Recorder, recorded
from tests.account.events import ME as OWNER
from tests.account.server import Account
from tests.store import rich
from tests.store.bodies import ME, ROOM, Body, message
from tests.store.test_views import COLUMNS
from tests.sync.fake import Modelled, Scripted
from tests.sync.test_backfill import history

# When something happened here, and how long it took, is not the server's.
OWN = {"received_at", "fetch_ms", "apply_ms", "created_at", "last_sync_at", "last_active_ts", "homeserver"}


def shown(path: Path) -> dict[str, list[Any]]:
    """Every row of every view, without the columns that are our own clock's."""
    with closing(sqlite3.connect(path)) as db:
        return {
            view: db.execute(f"SELECT {', '.join(c for c in columns.split() if c not in OWN)} FROM {view}").fetchall()
            for view, columns in COLUMNS.items()
        }


def play(folder: Path, path: Path, user_id: str) -> None:
    with SyncStore.open(path, user_id=user_id, device_id="DEV") as store:
        for one in recorded(folder):
            store.apply(one.body, since=one.since, held=one.held, full_state=one.full_state, joined=one.joined)


def test_a_recording_played_again_gives_the_same_store(tmp_path: Path) -> None:
    account = Account({"rejoin": "delta", "overlap": 2, "lazy": True})
    folder = tmp_path / "record"
    with SyncStore.open(tmp_path / "a.db", user_id=OWNER, device_id="DEV") as store:
        syncer = Syncer(Modelled(account).face(), store, record=folder)
        history(account, syncer.run_once)
        account.redact(next(iter(account.rooms)), 3)
        account.send_to_device()
        syncer.run_once()
        syncer.run_once()
    play(folder, tmp_path / "b.db", OWNER)
    assert shown(tmp_path / "b.db") == shown(tmp_path / "a.db")
    assert shown(tmp_path / "a.db")["to_device"]


def test_bodies_are_kept_byte_by_byte_and_for_the_owner_alone(
    server: Scripted, store: SyncStore, next_body: Callable[[], Body], tmp_path: Path
) -> None:
    bodies = [rich.first(next_body()).done() + b" \n", rich.second(next_body()).done()]
    server.will("sync", *bodies)
    folder = tmp_path / "record"
    syncer = Syncer(server.face(), store, record=folder)
    syncer.run_once()
    syncer.run_once()
    assert list(recorded(folder)) == [
        Recorded(body=bodies[0], user_id=ME, device_id="DEV"),
        Recorded(body=bodies[1], since="s1", held="s1", user_id=ME, device_id="DEV"),
    ]
    assert {oct(one.stat().st_mode & 0o777) for one in folder.iterdir()} == {"0o600"}
    assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_what_could_not_be_stored_is_recorded(server: Scripted, store: SyncStore, tmp_path: Path) -> None:
    """The bug report of a sync problem: the body that raised is the one that matters."""
    server.will("sync", b'{"rooms": {}}')
    with pytest.raises(Exception, match="next_batch"):
        Syncer(server.face(), store, record=tmp_path / "record").run_once()
    assert [one.body for one in recorded(tmp_path / "record")] == [b'{"rooms": {}}']


def test_a_second_recording_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    for body in (b"1", b"2"):
        Recorder(tmp_path).keep(Recorded(body))
    Recorder(tmp_path).keep(Recorded(b"3", since="s2", joined=["!a"], full_state=True))
    assert [one.body for one in recorded(tmp_path)] == [b"1", b"2", b"3"]
    assert [one.joined for one in recorded(tmp_path)] == [None, None, ["!a"]]


def test_a_bare_body_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "sync.json").write_bytes(b"{}")
    assert list(recorded(tmp_path / "sync.json")) == [Recorded(b"{}", told=False)]


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        list(recorded(tmp_path))
    with pytest.raises(NotFoundError):
        list(recorded(tmp_path / "none"))
    (tmp_path / "000001.request.json").write_bytes(b"{}")
    with pytest.raises(StoreError, match=r"000001\.request\.json"):
        list(recorded(tmp_path))
    (tmp_path / "000001.body.json").write_bytes(b"{}")
    (tmp_path / "000001.request.json").write_bytes(b'{"unknown": 1}')
    with pytest.raises(StoreError, match=r"000001\.request\.json"):
        list(recorded(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        Recorder(tmp_path / "file")


def test_a_response_that_was_overtaken_is_no_part_of_a_recording(
    server: Scripted, store: SyncStore, tmp_path: Path
) -> None:
    def overtaken() -> bytes:
        with SyncStore.open(store.path) as other:
            other.apply(b'{"next_batch": "s2"}', since="s1")
        return Body("x2").join(ROOM, message("$stale")).done()

    server.will("sync", Body("s1").join(ROOM, message("$a")), overtaken, Body("s3").join(ROOM, message("$c")))
    syncer = Syncer(server.face(), store, record=tmp_path / "record")
    for _ in range(2):
        syncer.run_once()
    assert [one.since for one in recorded(tmp_path / "record")] == [None, "s2"]
