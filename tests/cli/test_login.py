from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.cli.folder import safe_name
from syncstore.cli.places import file_of

from . import bodies
from .conftest import Run, refused
from .fake import PASSWORD, TOKEN, FakeServer


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    return tmp_path / "ring.json"


def test_login_sync_logout(path: Path, spawn: Run, server: FakeServer, ring: Path) -> None:
    done = spawn("login", bodies.ALICE, "--homeserver", server.url, stdin=PASSWORD + "\n")
    assert done.code == 0 and "device DEVICE" in done.out, done.err
    assert list(json.loads(ring.read_text()).values()) == [TOKEN]
    assert spawn("sync").code == 0  # knows the server, finds the token
    (account,) = json.loads(spawn("accounts", "--json").out)
    assert account["store"] == str(path) and account["token_file"] is None and TOKEN not in json.dumps(account)
    assert "logged out" in spawn("logout").out
    assert json.loads(ring.read_text()) == {} and json.loads(spawn("accounts", "--json").out) == []
    assert len(server.asked("/logout")) == 1
    with SyncStore.open(path, read_only=True) as store:
        assert store.token == "s1"
    assert "log in" in refused(spawn("sync"))


def test_a_second_login_keeps_the_device(spawn: Run, server: FakeServer) -> None:
    for _ in range(2):
        assert spawn("login", bodies.ALICE, "--homeserver", server.url, stdin=PASSWORD).code == 0
    assert [one.get("device_id") for one in server.asked("/login")] == [None, "DEVICE"]


def test_a_token_file_in_place_of_the_keyring(path: Path, spawn: Run, server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    login = spawn("login", bodies.ALICE, "--homeserver", server.url, "--token-file", file, stdin=PASSWORD)
    assert login.code == 0, login.err
    assert file.read_text().strip() == TOKEN and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (tmp_path / "ring.json").exists()
    assert spawn("sync").code == 0  # the login remembers the file
    assert spawn("logout").code == 0 and not file.exists()


def test_a_login_token_is_read_the_same_hidden_way(spawn: Run, server: FakeServer) -> None:
    assert spawn("login", bodies.ALICE, "--homeserver", server.url, "--token", stdin=PASSWORD).code == 0
    (asked,) = server.asked("/login")
    assert (asked["type"], asked["token"]) == ("m.login.token", PASSWORD)


def test_a_wrong_password_leaves_nothing(path: Path, spawn: Run, server: FakeServer, ring: Path) -> None:
    line = refused(spawn("login", bodies.ALICE, "--homeserver", server.url, stdin="wrong"))
    assert "M_FORBIDDEN" in line and "\\x1b[31m" in line and "wrong" not in line
    assert "no password" in refused(spawn("login", bodies.ALICE, "--homeserver", server.url, stdin=""))
    assert not path.exists() and not ring.exists()


def test_a_login_that_cannot_be_kept_is_ended(
    path: Path, spawn: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    assert "keyring" in refused(spawn("login", bodies.ALICE, "--homeserver", server.url, stdin=PASSWORD))
    assert len(server.asked("/logout")) == 1 and not path.exists()


def test_the_store_of_somebody_else_is_refused_before_anything_is_sent(
    store: Path, spawn: Run, server: FakeServer
) -> None:
    assert bodies.ALICE in refused(spawn("login", "@eve:x.org", "--homeserver", server.url, stdin=PASSWORD))
    assert server.seen == []


def test_the_server_must_call_the_account_the_same(path: Path, spawn: Run, server: FakeServer, ring: Path) -> None:
    assert bodies.ALICE in refused(spawn("login", "@Alice:x.org", "--homeserver", server.url, stdin=PASSWORD))
    assert len(server.asked("/logout")) == 1 and not path.exists() and not ring.exists()


def test_no_user_id(run: Run) -> None:
    assert run("login", "alice").code == 2


def test_without_a_store_the_account_gets_its_own(
    spawn: Run, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # -s "" stands for none: the environment names no store either.
    assert spawn("-s", "", "login", bodies.ALICE, "--homeserver", server.url, stdin=PASSWORD).code == 0
    made = file_of(bodies.ALICE)
    assert made.exists() and tmp_path in made.parents
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700 and stat.S_IMODE(made.stat().st_mode) == 0o600
    assert spawn("-s", "", "sync").code == 0
    assert bodies.ROOM in spawn("-s", "", "rooms").out


@pytest.mark.parametrize(
    "user_id",
    [
        "@a/../../b:x.org",
        "@A:x.org",
        "@a\x00\n:x.org:8448",
        "@ü:x.org",
        "@con.:x",
        "@" + "Ü" * 200 + ":x.org",
    ],
)
def test_any_user_id_makes_a_safe_file_name(user_id: str) -> None:
    name = safe_name(user_id)
    assert name.isascii() and name.isprintable() and len(name) <= 200
    assert not set(name) & set('/\\:*?"<>| ') and safe_name(user_id.swapcase()).lower() != name.lower()
