"""The examples do what they say, against the real homeserver."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from examples.notes import Notes
from syncstore import Homeserver, Syncer, SyncStore

from .cable import Cable
from .sleeper import Scene
from .stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

ROOT = Path(__file__).parents[2]


def test_the_client_shows_fills_and_sends(stage: Stage, tmp_path: Path) -> None:
    scene, alice = Scene(stage.bob, stage.alice, name="Example room"), stage.alice
    scene.say(30)
    path = tmp_path / "alice.db"
    command = [sys.executable, "-m", "examples.client", alice.base_url, alice.user_id, alice.access_token, str(path)]
    typed = "rooms\nopen Example room\n" + "up\n" * 8 + "say hello\nopen nowhere\nstatus\nquit\n"
    done = subprocess.run(command, input=typed, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    shown = done.stdout
    assert "Example room" in shown
    assert "something is missing here" in shown and "-- fetched" in shown
    assert shown.index("message 29") < shown.index("message 0\n")
    assert "me: hello" in shown
    assert "the store has no room" in shown and done.stderr == ""


def test_the_client_works_without_a_server(stage: Stage, tmp_path: Path) -> None:
    scene, alice, path = Scene(stage.bob, stage.alice, name="Quiet room"), stage.alice, tmp_path / "alice.db"
    scene.say()
    with SyncStore.open(path, user_id=alice.user_id) as store:
        Syncer(Homeserver(alice.base_url, access_token=alice.access_token), store).run_once()
    command = [sys.executable, "-m", "examples.client", "http://127.0.0.1:9", alice.user_id, "token", str(path)]
    typed = "open Quiet room\nsay on the train\nreply still there\nup\nstatus\nquit\n"
    done = subprocess.run(command, input=typed, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    assert "me: on the train …" in done.stdout and "queued: still there" in done.stdout
    assert "2 to send" in done.stdout and "offline" in done.stdout and done.stderr == ""
    with SyncStore.open(path) as store:
        assert Syncer(Homeserver(alice.base_url, access_token=alice.access_token), store).flush().sent == 2
        first, second = store.outbox()
        assert second.content["m.relates_to"]["m.in_reply_to"]["event_id"] == first.event_id


def test_notes_of_two_devices_agree_after_an_absence(stage: Stage, tmp_path: Path) -> None:
    scene, alice, bob = Scene(stage.alice, stage.bob), stage.alice, stage.bob
    with Cable(alice.base_url, 1) as cable:
        devices = []
        for user in (alice, bob):
            store = SyncStore.open(tmp_path / f"{user.device_id}{user.user_id[1:4]}.db", user_id=user.user_id)
            notes = Notes(store, scene.id)
            notes.store.apply(user.sync())
            notes.sync(cable.url, user.access_token)
            devices.append((user, notes))
    for user, notes in devices:  # nobody can be reached
        notes.add(f"of {user.user_id}")
        notes.add("a slip")
        notes.change(1, f"of {user.user_id}, changed")
        notes.strike(2)
        assert list(notes.all().values()) == [f"of {user.user_id}, changed"]
    for user, notes in [*devices, *devices]:
        notes.sync(alice.base_url, user.access_token)
    found = [sorted(notes.all().values()) for _, notes in devices]
    assert found[0] == found[1] == sorted(f"of {user.user_id}, changed" for user in (alice, bob))
    for _, notes in devices:
        assert notes.store.outbox() == []
        notes.store.close()
