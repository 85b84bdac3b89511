"""Files are their owner's alone, whatever the umask, and nothing planted in their place is used."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.cli.folder import folder, make_folder
from syncstore.errors import SyncStoreError
from syncstore.sync.recording import Recorded, Recorder
from tests.cli import bodies
from tests.cli.conftest import Run
from tests.cli.fake import PASSWORD, TOKEN, FakeServer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and owners of POSIX")


@pytest.fixture(autouse=True)
def _no_umask() -> Iterator[None]:
    old = os.umask(0)
    yield
    os.umask(old)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    server = FakeServer(bodies.first(), bodies.second())
    yield server
    server.close()


def _open_to_others(where: Path) -> list[str]:
    found = [where, *where.rglob("*")]
    return [str(one) for one in found if stat.S_IMODE(one.lstat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)]


def test_p28_all_that_a_login_and_a_sync_leave_is_the_owners_alone(
    spawn: Run, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store, WAL and index are held open by a second reader meanwhile, so that they are all there to be looked at."""
    home = tmp_path / "new" / "data"
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    token_file = tmp_path / "token"
    login = ("-s", "", "login", bodies.ALICE, "--homeserver", server.url, "--token-file", token_file)
    assert spawn(*login, stdin=PASSWORD, umask=0).code == 0
    (made,) = folder().glob("*.db")
    with SyncStore.open(made) as store:
        assert spawn("-s", "", "sync", "--record", folder() / "recorded", umask=0).code == 0
        store.backup(folder() / "copy.db")
        names = {one.name for one in folder().iterdir()}
        assert {made.name, f"{made.name}-wal", f"{made.name}-shm", "copy.db", "recorded"} < names
        assert len(list((folder() / "recorded").iterdir())) == 2
        assert _open_to_others(tmp_path / "new") == [] and _open_to_others(token_file) == []
    assert TOKEN not in "".join(one.read_bytes().decode("latin-1") for one in folder().rglob("*") if one.is_file())


def test_p28_a_data_folder_that_was_open_is_closed() -> None:
    folder().mkdir(parents=True, mode=0o777)
    assert _open_to_others(folder())
    make_folder()
    assert not _open_to_others(folder())


def test_p28_an_empty_file_becomes_the_owners_alone(path: Path) -> None:
    path.touch(0o666)
    SyncStore.open(path, user_id=bodies.ALICE).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_p28_a_link_that_leads_nowhere_is_not_followed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "theirs"
    path.symlink_to(target)
    with pytest.raises(SyncStoreError, match="a link that leads nowhere"):
        SyncStore.open(path, user_id=bodies.ALICE)
    assert not target.exists()


@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_p28_a_backup_goes_through_nothing_that_is_there(path: Path, tmp_path: Path, kind: str) -> None:
    target, theirs = tmp_path / "copy.db", tmp_path / "theirs"
    if kind != "dangling":
        theirs.write_bytes(b"")
    target.symlink_to(theirs) if kind != "file" else target.write_bytes(b"")
    with SyncStore.open(path, user_id=bodies.ALICE) as store, pytest.raises(SyncStoreError, match="cannot be written"):
        store.backup(target)
    assert not theirs.exists() or theirs.read_bytes() == b""


def test_p28_a_backup_named_like_a_url_is_one_private_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir(0o700)
    monkeypatch.chdir(inside)
    with SyncStore.open(path, user_id=bodies.ALICE) as store:
        store.backup("file:copy.db?mode=rwc")
    assert [one.name for one in inside.iterdir()] == ["file:copy.db?mode=rwc"] and not _open_to_others(inside)


def test_p28_a_recording_goes_through_nothing_that_is_there(tmp_path: Path) -> None:
    recorded, theirs = tmp_path / "r", tmp_path / "theirs"
    recorder = Recorder(recorded)
    (recorded / "000001.body.json").symlink_to(theirs)
    with pytest.raises(SyncStoreError, match="cannot be written"):
        recorder.keep(Recorded(b"{}"))
    assert not theirs.exists()


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_p28_a_planted_wal_is_not_gone_on_with(path: Path, tmp_path: Path, suffix: str) -> None:
    SyncStore.open(path, user_id=bodies.ALICE).close()
    theirs = tmp_path / "theirs"
    theirs.touch()
    Path(f"{path}{suffix}").symlink_to(theirs)
    with pytest.raises(SyncStoreError, match="was put there by somebody else"):
        SyncStore.open(path)
    assert theirs.read_bytes() == b""


def test_p28_a_file_of_somebody_else_never_becomes_a_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch(0o666)
    ours = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
    with pytest.raises(SyncStoreError, match="belongs to another user"):
        SyncStore.open(path, user_id=bodies.ALICE)
    assert path.read_bytes() == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to somebody else")
def test_p28_a_store_of_somebody_else_is_not_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SyncStore.open(path, user_id=bodies.ALICE).close()
    path.chmod(0o666)
    os.chown(path, 1234, 1234)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(SyncStoreError, match="belongs to another user"):
        SyncStore.open(path)
    SyncStore.open(path, read_only=True).close()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at the process in /proc")
def test_p28_a_command_leaves_no_core_dump(spawn: Run, path: Path) -> None:
    """A dump of a crash would hold the token and what was said."""
    import resource
    import subprocess
    import sys

    script = "import resource; from syncstore.cli.main import main; main(['accounts']); "
    script += "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
    )
    assert done.stdout.splitlines()[-1] == "0"
