"""A token is kept where only its owner reads it, and every broken place says what to use instead."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null

from syncstore.errors import RemoteError, UnknownTokenError
from syncstore.net.tokens import SERVICE, VARIABLE, drop_token, find_token, keep_token

ALICE = ("@alice:example.org", "DEVICE")
SECRET = "syt_S3cret"


class Memory(KeyringBackend):
    """A keyring in a dict."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Broken(Memory):
    """A keyring whose desktop is not there."""

    def get_password(self, service: str, username: str) -> str | None:
        raise ConnectionError(f"no D-Bus\nfor {SECRET}")

    set_password = get_password  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.delenv(VARIABLE, raising=False)
    memory = Memory()
    # Not set_keyring: the one before would have to be chosen first, and stay for tests that choose another.
    monkeypatch.setattr(keyring.core, "_keyring_backend", memory)
    return memory


def test_the_keyring_keeps_finds_and_drops(memory: Memory) -> None:
    keep_token(*ALICE, SECRET)
    assert memory.kept == {(SERVICE, "@alice:example.org DEVICE"): SECRET}
    assert find_token(*ALICE) == SECRET
    with pytest.raises(UnknownTokenError):
        find_token("@alice:example.org", "OTHER")
    drop_token(*ALICE)
    drop_token(*ALICE)
    assert memory.kept == {}


def test_none_kept_says_what_to_do() -> None:
    with pytest.raises(UnknownTokenError, match=f"log in, set {VARIABLE} or use a token file") as caught:
        find_token(*ALICE)
    assert caught.value.soft_logout


def test_the_file_counts_before_the_environment_and_that_before_the_keyring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_token(*ALICE, "of-keyring")
    keep_token(*ALICE, "of-file", tmp_path / "token")
    monkeypatch.setenv(VARIABLE, "of-environment")
    assert find_token(*ALICE) == "of-environment"
    assert find_token(*ALICE, tmp_path / "token") == "of-file"


def test_a_file_is_made_for_its_owner_alone(tmp_path: Path, memory: Memory) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o644)
    keep_token(*ALICE, SECRET, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert find_token(*ALICE, str(path)) == SECRET
    assert [entry.name for entry in tmp_path.iterdir()] == ["token"]
    drop_token(*ALICE, path)
    drop_token(*ALICE, path)
    assert not path.exists()
    assert memory.kept == {}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    path.write_text(SECRET)
    path.chmod(mode)
    with pytest.raises(RemoteError, match=f"open to others .mode {mode:o}.: chmod 600") as caught:
        find_token(*ALICE, path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_ones_own_is_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    path.chmod(mode)
    assert find_token(*ALICE, path) == SECRET


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"a\nb", b"\xff\xfe"])
def test_a_file_without_a_token(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(RemoteError, match="expected one line"):
        find_token(*ALICE, path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="No such file"):
        find_token(*ALICE, tmp_path / "token")
    with pytest.raises(RemoteError, match="No such file"):
        keep_token(*ALICE, SECRET, tmp_path / "folder" / "token")


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "token" / "inside").mkdir(parents=True)
    with pytest.raises(RemoteError, match="token file"):
        keep_token(*ALICE, SECRET, tmp_path / "token")
    assert [entry.name for entry in tmp_path.iterdir()] == ["token"]


@pytest.mark.parametrize("bad", ["", "two words", "a\nb", "ä"])
def test_a_token_that_cannot_be_sent_is_not_kept(memory: Memory, bad: str) -> None:
    with pytest.raises(RemoteError, match="access token is empty or holds"):
        keep_token(*ALICE, bad)
    assert memory.kept == {}


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring, Broken])
def test_a_keyring_that_does_not_work(backend: type[KeyringBackend]) -> None:
    keyring.set_keyring(backend())
    with pytest.raises(RemoteError, match=f"keyring .*: set {VARIABLE} or use a token file") as caught:
        keep_token(*ALICE, SECRET)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_keyring_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        if name == "keyring":
            raise ImportError(name)
        return plain(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(RemoteError, match=r"not installed \(pip install 'syncstore\[cli\]'\): set"):
        find_token(*ALICE)
    monkeypatch.setenv(VARIABLE, SECRET)
    assert find_token(*ALICE) == SECRET, "the environment needs no keyring"


def test_the_keyring_is_imported_when_needed() -> None:
    code = "import sys, syncstore.net, syncstore.net.tokens; print('keyring' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
