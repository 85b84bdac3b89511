"""info, check, backup, and files that are no store: one line, exit 1, nothing changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.cli.file import _age
from tests.store.test_format import TO_FORMAT_1

from . import bodies
from .conftest import ROOT, Done, Run, refused

NOBODY = 65534
READS = [["rooms"], ["info"], ["check"], ["state", bodies.ROOM], ["sql", "select 1"], ["gaps"], ["invites"]]


def test_info_at_a_glance(store: Path, run: Run) -> None:
    (found,) = json.loads(run("info", "--json").out)
    assert found["rooms"] == {"invite": 1, "join": 1, "leave": 1} and found["next_batch"] == "s2"
    shown = run("info").out
    assert bodies.ALICE in shown and "1 invite, 1 join, 1 leave" in shown


def test_check_says_ok_or_what_is_wrong(store: Path, run: Run) -> None:
    assert run("check").out == "ok\n"
    assert json.loads(run("check", "--json").out) == []
    with closing(sqlite3.connect(store)) as raw:
        raw.execute("UPDATE room SET topic = 'wrong' WHERE room_id = ?", (bodies.ROOM,))
        raw.commit()
    done = run("check")
    assert done.code == 1 and "topic is 'wrong'" in done.out and done.err.endswith("1 problems\n")


def test_backup_is_a_store_and_never_overwrites(store: Path, run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert run("backup", copy).code == 0
    with SyncStore.open(copy, read_only=True) as kept:
        assert kept.token == "s2"
    assert "copy.db" in refused(run("backup", copy))
    assert "copy.db" in refused(run("backup", tmp_path / "none" / "copy.db"))


def _other_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE cookies (a)")
        raw.commit()


def _newer(path: Path) -> None:
    with SyncStore.open(path, user_id=bodies.ALICE):
        pass
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA user_version = 999")


def _cut(path: Path) -> None:
    with SyncStore.open(path, user_id=bodies.ALICE) as store:
        store.apply(bodies.first())
    path.write_bytes(path.read_bytes()[:9000])


@pytest.mark.parametrize("make", [_other_program, _newer, _cut])
@pytest.mark.parametrize("command", READS, ids=lambda words: words[0])
def test_a_file_that_cannot_be_used_stays_as_it_is(path: Path, run: Run, make: object, command: list[str]) -> None:
    assert callable(make)
    make(path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    assert "a.db" in refused(run(*command))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("command", [*READS, ["replay", "x"]], ids=lambda words: words[0])
def test_paths_that_are_no_file(path: Path, run: Run, command: list[str]) -> None:
    body = path.with_name("x")
    body.write_bytes(bodies.first())
    command = [str(body) if word == "x" else word for word in command]
    if command[0] != "replay":
        assert "does not exist" in refused(run(*command))
    path.mkdir()
    assert "a.db" in refused(run(*command))
    path.rmdir()
    path.write_text("text, not a database " * 50)
    assert "a.db" in refused(run(*command))


def test_a_path_below_a_file(path: Path, spawn: Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    body = tmp_path / "b.json"
    body.write_bytes(bodies.first())
    below = tmp_path / "f" / "a.db"
    refused(spawn("-s", below, "rooms"))
    refused(spawn("-s", below, "replay", body, "--user-id", bodies.ALICE))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter: pytest's own is closed to other users."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def _child(limits: dict[str, int], *arguments: object) -> Done:
    command = [sys.executable, "-m", "tests.cli.child", json.dumps(limits), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT)
    return Done(done.returncode, done.stdout, done.stderr)


def _listing(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_cannot_be_written(store: Path, open_folder: Path) -> None:
    there = Path(shutil.copy(store, open_folder / "a.db"))
    there.chmod(0o644)
    body = open_folder / "b.json"
    body.write_bytes(bodies.quiet("s3"))
    body.chmod(0o644)
    before = _listing(open_folder)
    limits = {"uid": NOBODY}
    assert bodies.ROOM in _child(limits, "-s", there, "rooms").out
    assert _child(limits, "-s", there, "sql", "select count(*) as n from rooms", "--csv").out == "n\n3\n"
    assert "cannot be written" in refused(_child(limits, "-s", there, "replay", body))
    refused(_child(limits, "-s", open_folder / "new.db", "replay", body, "--user-id", bodies.ALICE))
    refused(_child(limits, "-s", there, "backup", open_folder / "copy.db"))
    there.chmod(0o600)
    assert "Permission denied" in refused(_child(limits, "-s", there, "rooms"))
    assert _listing(open_folder) == before


def test_no_room_on_the_disk(store: Path, tmp_path: Path) -> None:
    body = tmp_path / "b.json"
    rooms = {f"!{n}:x.org": {"timeline": {"events": [bodies.message("m", "x" * 9000)]}} for n in range(90)}
    body.write_text(json.dumps({"next_batch": "s3", "rooms": {"join": rooms}}))
    size = store.stat().st_size
    assert "a.db" in refused(_child({"file_bytes": size + 20_000}, "-s", store, "replay", body))
    with SyncStore.open(store) as kept:
        assert kept.token == "s2" and len(kept.rooms()) == 3 and kept.check() == []


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 seconds"), (119, "119 seconds"), (7200, "2 hours"), (3 * 86400, "3 days")]
)
def test_info_tells_the_age_of_the_token(seconds: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncstore.cli.file.time.time", lambda: 1000.0 + seconds)
    assert _age(1_000_000) == said
    assert _age(None) == ""


def test_a_file_of_an_older_version_is_upgraded_when_it_is_read(store: Path, run: Run) -> None:
    with closing(sqlite3.connect(store)) as db:
        for statement in TO_FORMAT_1:
            db.execute(statement)
        db.commit()
    assert bodies.ROOM in run("rooms").out
    assert run("check").out == "ok\n"
