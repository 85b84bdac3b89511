"""Encrypted stores by command: the passphrase comes from the keyring or a terminal, and shows up nowhere."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from syncstore import SyncStore
from syncstore.errors import PassphraseError

from . import bodies
from .conftest import ROOT, Run, refused

SECRET = 'it\'s "mine"'


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    return tmp_path / "ring.json"


def test_p29_every_command_finds_the_passphrase_in_the_keyring(
    store: Path, spawn: Run, ring: Path, tmp_path: Path
) -> None:
    done = spawn("encrypt", "--keyring", stdin=SECRET + "\n")
    assert done.code == 0 and "is encrypted" in done.out, done.err
    assert SECRET not in done.out + done.err
    assert json.loads(ring.read_text()) == {f"syncstore passphrase {store}": SECRET}
    assert bodies.ROOM in spawn("rooms", "--json").out
    assert spawn("sql", "select count(*) from rooms", "--csv").out.splitlines()[1] == "3"
    assert spawn("check").out == "ok\n"
    assert spawn("backup", tmp_path / "copy.db").code == 0
    with pytest.raises(PassphraseError):
        SyncStore.open(tmp_path / "copy.db")
    assert spawn("rekey", stdin="other\n").code == 0
    assert list(json.loads(ring.read_text()).values()) == ["other"]
    assert spawn("decrypt").code == 0
    assert json.loads(ring.read_text()) == {}
    assert bodies.ROOM in spawn("rooms", "--json").out


def test_p29_without_keyring_and_terminal_nothing_is_guessed(store: Path, spawn: Run) -> None:
    assert spawn("encrypt", stdin=SECRET + "\n").code == 0
    for command in (("rooms",), ("sql", "select 1"), ("check",), ("sync",)):
        assert "syncstore rekey --keyring" in refused(spawn(*command, stdin=SECRET + "\n"))
    assert "does not open" in refused(spawn("decrypt", stdin="wrong\n"))
    assert "no new passphrase" in refused(spawn("rekey", stdin=SECRET + "\n"))
    assert spawn("decrypt", stdin=SECRET + "\n").code == 0
    assert "is not encrypted" in refused(spawn("decrypt", stdin=SECRET + "\n"))
    assert "no new passphrase" in refused(spawn("encrypt"))


def test_p25_a_damaged_store_is_recovered_with_its_passphrase(store: Path, spawn: Run) -> None:
    assert spawn("encrypt", "--keyring", stdin=SECRET + "\n").code == 0
    with SyncStore.open(store, passphrase=SECRET) as filled:
        for number in range(40):
            told = {"type": "org.long", "sender": bodies.BOB, "content": {"text": "x" * 1000}}
            filled.apply(json.dumps({"next_batch": f"n{number}", "to_device": {"events": [told]}}))
    data = bytearray(store.read_bytes())
    data[-4096:] = bytes(4096)
    store.write_bytes(data)
    saved = {row["table"]: row["saved"] for row in json.loads(spawn("recover", store, "--json").out)}
    assert saved["event"] > 3 and saved["room"] == 3 and store.read_bytes() == data
    with pytest.raises(PassphraseError):
        SyncStore.open(f"{store}.recovered")
    with SyncStore.open(f"{store}.recovered", passphrase=SECRET) as new:
        assert new.check() == [] and new.user_id == bodies.ALICE


def test_p25_an_encrypted_file_without_its_passphrase_is_no_new_store(store: Path, spawn: Run) -> None:
    assert spawn("encrypt", stdin=SECRET + "\n").code == 0
    new = Path(f"{store}.recovered")
    assert "does not open with this passphrase" in refused(spawn("recover", store, stdin="wrong\n"))
    assert "no passphrase" in refused(spawn("recover", store)) and not new.exists()
    assert spawn("recover", store, stdin=SECRET + "\n").code == 0 and new.exists()


def test_p29_a_person_is_asked_once_and_types_unseen(store: Path, spawn: Run) -> None:
    assert spawn("encrypt", stdin=SECRET + "\n").code == 0
    person, terminal = pty.openpty()
    command = [sys.executable, "-m", "syncstore", "-s", str(store), "sql", "select room_id from rooms", "--csv"]
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, start_new_session=True
    ) as process:
        os.close(terminal)
        seen = b""
        while b"Passphrase: " not in seen:
            seen += os.read(person, 4096)
        os.write(person, SECRET.encode() + b"\n")
        try:
            while more := os.read(person, 4096):
                seen += more
        except OSError:
            pass  # the other end is closed
        assert process.wait(30) == 0
    os.close(person)
    assert bodies.ROOM in seen.decode() and SECRET not in seen.decode()
    assert seen.count(b"Passphrase") == 1
