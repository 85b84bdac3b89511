"""The token and the password are in no text that a program shows, keeps or dumps."""

from __future__ import annotations

import copy
import logging
import pickle
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.errors import RemoteError
from syncstore.net import Homeserver, Retry
from syncstore.sync import Syncer
from tests.cli import bodies
from tests.cli.conftest import ROOT, Run
from tests.cli.fake import TOKEN, FakeServer
from tests.net.fake import Fake, Reply, answer

PASSWORD = "-".join(("hunter", "2", "and", "more"))  # a traceback quotes this file


@pytest.fixture
def fake() -> Iterator[Fake]:
    fake = Fake()
    yield fake
    fake.close()


def _dump(error: BaseException | None) -> str:
    """What a collector of crashes sends home: every frame with its local variables, every cause and context."""
    if error is None:
        return ""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown = "".join(told.format()) + repr(error) + str(vars(error)) + str(error.args)
    return shown + _dump(error.__cause__) + _dump(error.__context__)


@pytest.mark.parametrize("auth", ["header", "query"])
def test_p28_no_dump_of_a_crash_holds_the_token(fake: Fake, caplog: pytest.LogCaptureFixture, auth: Any) -> None:
    """With tests/net/test_credentials.py::test_no_failure_shows_the_token, which looks at every kind of failure."""
    caplog.set_level(logging.DEBUG)
    fake.say(Reply(502), Reply(200, b"<html"), Reply(302, headers={"Location": "http://evil/"}), Reply(500))
    with Homeserver(fake.url, access_token=TOKEN, auth=auth, retry=Retry(1)) as server:
        for _ in range(4):
            with pytest.raises(RemoteError) as caught:
                server.sync(since="s")
            assert TOKEN not in _dump(caught.value) + caplog.text
        shown = [repr(server), str(server), f"{server}", repr(vars(server)), repr(vars(server._transport))]
        assert TOKEN not in "".join(shown) + repr(copy.copy(server))
        with pytest.raises((TypeError, AttributeError)):  # by whichever part is met first
            pickle.dumps(server)
    assert TOKEN in str([(seen.headers, seen.query) for seen in fake.seen])


def test_p28_no_dump_of_a_failed_login_holds_the_password(fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fake.say(answer({"errcode": "M_FORBIDDEN", "error": "wrong password"}, 403))
    with Homeserver(fake.url, retry=Retry(1)) as server, pytest.raises(RemoteError) as caught:
        server.login("a", PASSWORD)
    inner = caught.traceback[-1]
    assert PASSWORD not in repr(inner.locals) + caplog.text
    assert PASSWORD in fake.seen[0].body.decode()


def test_p28_store_recording_and_log_hold_no_token(
    fake: Fake, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With tests/cli/test_sync.py::test_the_token_is_in_no_output_and_no_file, here for the query of 2015 too."""
    caplog.set_level(logging.DEBUG)
    for auth in ("header", "query"):
        fake.say(
            answer({"filter_id": "1", "joined_rooms": []}), Reply(body=bodies.first()), Reply(body=bodies.second())
        )
        where = path.with_name(f"{auth}.db")
        with (
            Homeserver(fake.url, access_token=TOKEN, auth=auth, retry=Retry(1)) as server,
            SyncStore.open(where, user_id=bodies.ALICE) as store,
        ):
            store.bind(server.base_url, "DEVICE")
            Syncer(server, store, record=tmp_path / f"recorded-{auth}").run_once()
            kept = [one for one in tmp_path.rglob("*") if one.is_file()]
            assert {f"{auth}.db", f"{auth}.db-wal", "000001.request.json"} <= {one.name for one in kept}
            assert not [one for one in kept if TOKEN.encode() in one.read_bytes()]
    assert TOKEN not in caplog.text and len(caplog.records) > 4


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks at processes in /proc")
def test_p28_the_list_of_processes_shows_no_token(path: Path, tmp_path: Path, store_of: FakeServer) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    words = ["-s", str(path), "sync", "--follow", "--homeserver", store_of.url, "--token-file", str(token)]
    command = [sys.executable, "-m", "syncstore", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            assert store_of.polling.wait(60)
            seen = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        finally:
            process.terminate()
            process.wait(30)
    assert b"--follow" in seen and TOKEN.encode() not in seen


@pytest.fixture
def store_of() -> Iterator[FakeServer]:
    server = FakeServer(bodies.first())
    yield server
    server.close()


def test_p28_no_command_takes_a_secret_as_an_argument(run: Run) -> None:
    from typer.main import get_command

    from syncstore.cli.app import app

    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    flags = {one for command in commands.values() for option in command.params for one in option.opts}
    assert {"--token-file", "--token"} <= flags
    assert not [one for one in flags if "password" in one or "secret" in one or "passphrase" in one]
    (by_token,) = [option for option in commands["login"].params if "--token" in option.opts]
    assert by_token.is_flag, "what it names comes by standard input"
    assert run("login", bodies.ALICE, "--token", TOKEN).code == 2
