from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncstore import SyncStore

from . import bodies
from .conftest import ROOT, Run, on_terminal, refused
from .fake import TOKEN, FakeServer


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCSTORE_ACCESS_TOKEN", TOKEN)


def _token(path: Path) -> str | None:
    with SyncStore.open(path, read_only=True) as store:
        return store.token


def test_a_new_store_belongs_to_the_owner_of_the_token(path: Path, run: Run, server: FakeServer) -> None:
    done = run("sync", "--homeserver", server.url + "/")
    assert (done.code, done.out, done.err) == (0, "", "")
    with SyncStore.open(path, read_only=True) as store:
        assert (store.user_id, store.device_id, store.homeserver) == (bodies.ALICE, "DEVICE", server.url)
        assert store.token == "s1"
    assert run("sync", "--once").code == 0  # the store knows its server now
    assert _token(path) == "s2"


def test_what_is_missing_is_said(path: Path, run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--homeserver" in refused(run("sync"))
    store.unlink()
    assert "--homeserver" in refused(run("sync"))
    monkeypatch.delenv("SYNCSTORE_ACCESS_TOKEN")
    assert "log in" in refused(run("sync", "--homeserver", "http://127.0.0.1:9"))
    assert not path.exists()


def test_a_token_of_another_account_or_device(store: Path, run: Run, server: FakeServer) -> None:
    server.user_id = "@eve:x.org"
    assert "@eve:x.org" in refused(run("sync", "--homeserver", server.url))
    server.user_id, server.device_id = bodies.ALICE, "NEW"
    assert "syncstore sync --rebind" in refused(run("sync", "--homeserver", server.url))
    assert _token(store) == "s2" and not server.asked("/sync")
    assert run("sync", "--homeserver", server.url, "--rebind").code == 0
    with SyncStore.open(store, read_only=True) as kept:
        assert kept.device_id == "NEW"


def test_a_token_file_is_for_its_owner_alone(store: Path, run: Run, server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o644)
    assert "chmod 600" in refused(run("sync", "--homeserver", server.url, "--token-file", file))
    file.chmod(0o600)
    assert run("sync", "--homeserver", server.url, "--token-file", file).code == 0


def test_the_token_is_in_no_output_and_no_file(
    path: Path, run: Run, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "record"
    assert run("sync", "--homeserver", server.url, "--record", folder).code == 0
    monkeypatch.setenv("SYNCSTORE_ACCESS_TOKEN", "syt_other")
    done = run("sync")
    assert "syt_other" not in refused(done)
    for file in [path, *folder.iterdir()]:
        assert TOKEN.encode() not in file.read_bytes()
    other = tmp_path / "b.db"
    assert run("-s", other, "replay", folder).out == "1 applied, 0 already stored\n"


def test_no_server(store: Path, run: Run, server: FakeServer) -> None:
    server.close()
    assert "connection refused" in refused(run("sync", "--homeserver", server.url))


def test_full_members(path: Path, run: Run, server: FakeServer) -> None:
    run("sync", "--homeserver", server.url)
    run("sync", "--full-members")
    lazy, full = (json.dumps(one) for one in server.asked("/filter"))
    assert '"lazy_load_members": true' in lazy and '"lazy_load_members": true' not in full


def test_backfill_closes_a_gap_and_says_so(store: Path, run: Run, server: FakeServer) -> None:
    older = bodies.message("older", "between")
    server.pages = [
        json.dumps({"start": "p2", "end": "p9", "chunk": [older]}).encode(),
        b'{"start": "p9", "chunk": []}',
        json.dumps({"start": "p2", "end": "p9", "chunk": [older]}).encode(),
        b'{"start": "p1", "chunk": []}',
    ]
    done = run("backfill", bodies.ROOM, "--pages", 3, "--homeserver", server.url)
    assert done.code == 0, done.err
    assert done.out.endswith(f"(limited) of {bodies.ROOM}: 1 events added, closed\n")
    assert "between" in run("timeline", bodies.ROOM).out
    assert "closed" in run("backfill", bodies.ROOM).out
    assert run("backfill", bodies.ROOM).out == ""


def test_verify_says_what_differs_and_repairs_it(path: Path, run: Run, server: FakeServer) -> None:
    """The server knows of no room any more: it purged them without a word."""
    assert run("sync", "--homeserver", server.url).code == 0
    server.syncs = [b'{"next_batch": "v%d"}' % number for number in range(9)]
    done = run("verify")
    assert (done.code, "joined here, not on the server" in done.out, "differs from the server" in done.err) == (
        1,
        True,
        True,
    )
    told = json.loads(run("verify", "--json").out)
    assert {(one["kind"], one["repaired"]) for one in told} == {("membership", False)}
    assert run("verify", "--repair").code == 0
    assert run("verify").out == "no differences\n"
    assert "no room" in refused(run("verify", "Nowhere"))


def test_backfill_goes_to_an_event_or_a_day(store: Path, run: Run, server: FakeServer) -> None:
    run("sync", "--homeserver", server.url)  # remembers where the account lives
    far = bodies.message("far", "long ago")
    server.pages = [json.dumps({"event": far, "start": "p5"}).encode()]
    event_id = far["event_id"]
    assert run("backfill", bodies.ROOM, "--event", event_id).out == f"timeline {bodies.ROOM} --around {event_id}\n"
    assert "long ago" in run("timeline", bodies.ROOM, "--around", event_id).out
    server.pages = [
        json.dumps({"event_id": event_id, "origin_server_ts": 1}).encode(),
        json.dumps({"event": far, "start": "p5"}).encode(),
    ]
    assert event_id in run("backfill", bodies.ROOM, "--date", "2026-01-31").out
    both = [bodies.ROOM, "--event", "x", "--date", "2026-01-31"]
    for wrong in (["--event", "x"], [bodies.ROOM, "--date", "soon"], both):
        assert run("backfill", *wrong).code == 2


@contextmanager
def _following(path: Path, server: FakeServer) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "syncstore",
        "-s",
        str(path),
        "sync",
        "--follow",
        "--homeserver",
        server.url,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_follow_leaves_a_long_poll_at_once(path: Path, server: FakeServer, number: signal.Signals) -> None:
    with _following(path, server) as process:
        assert server.polling.wait(20)
        process.send_signal(number)
        out, err = process.communicate(timeout=15)  # the poll would last twenty seconds more
    assert (process.returncode, out, err) == (0, "", "")
    assert not path.with_name("a.db-wal").exists()  # the last connection was closed
    assert _token(path) == "s2"


def test_a_signal_while_storing_waits_for_the_commit(path: Path, server: FakeServer) -> None:
    """The signal comes out of on_status: exactly between the answer and its commit."""
    script = """
import os, signal, sys
from syncstore import Syncer
from syncstore.cli.main import main
tell = Syncer._tell
def told(self, status):
    tell(self, status)
    if status.kind == "storing":
        os.kill(os.getpid(), signal.SIGTERM)
Syncer._tell = told
sys.exit(main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", script, "-s", str(path), "sync", "--follow", "--homeserver", server.url]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert _token(path) == "s1"


def test_follow_stops_at_a_token_that_is_no_longer_valid(
    store: Path, run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer: Callable[..., tuple[int, bytes]] = server.answer

    def ended(path: str, token: str | None, asked: object) -> tuple[int, bytes]:
        return answer(path, token if path.endswith(("whoami", "filter")) else None, asked)

    monkeypatch.setattr(server, "answer", ended)
    assert "M_UNKNOWN_TOKEN" in refused(run("sync", "--follow", "--homeserver", server.url))


def test_a_person_sees_a_first_sync_go_on(path: Path, server: FakeServer) -> None:
    seen = on_terminal("-s", str(path), "sync", "--homeserver", server.url)
    assert "asking the server for everything" in seen and "storing what came" in seen
    assert "batch 1: 3 rooms, " in seen and TOKEN not in seen
