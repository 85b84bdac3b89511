"""Recorded requests and short answers that were tampered with: read, or refused with an error of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncstore import Homeserver, SyncStore
from syncstore.cli.replay import _applied
from syncstore.errors import SyncStoreError
from syncstore.net import Answer
from syncstore.sync.recording import recorded
from tests.account.events import ME
from tests.conftest import Counted
from tests.fuzz import seeds
from tests.fuzz.judge import World, watched
from tests.fuzz.odd import STEPS, Step, mutate
from tests.fuzz.tree import dump, parse
from tests.property.profile import effort
from tests.torture import times

REQUEST = b'{"since": null, "held": null, "full_state": false, "joined": ["!a:x"], "user_id": "%s", "device_id": "DEV"}'


def changed(body: bytes, steps: list[Step]) -> bytes:
    root = [parse(body)]
    for step in steps:
        mutate(root, step)
    return dump(root[0]) if root else b""


def test_p05_a_recording_is_replayed_or_refused(tmp_path: Path, counted: Counted) -> None:
    folder = tmp_path / "record"
    folder.mkdir()
    seen = {"replayed": 0, "refused": 0}

    @effort(times(120, 2500))
    @given(st.sampled_from(["body", "request"]), st.lists(STEPS, min_size=1, max_size=3))
    def one(which: str, steps: list[Step]) -> None:
        files = {"body": seeds.first(), "request": REQUEST % ME.encode()}
        files[which] = changed(files[which], steps)
        for name, content in files.items():
            (folder / f"000001.{name}.json").write_bytes(content)
        target = tmp_path / "me.db"
        for path in tmp_path.glob("me.db*"):
            path.unlink()
        with SyncStore.open(target, user_id=ME, device_id="DEV") as store, watched():
            try:
                for response in recorded(folder):
                    _applied(store, "here", response)
                seen["replayed"] += 1
            except SyncStoreError as error:
                assert str(error)
                assert store.seq == 0 and store.token is None, "refused, and something was written"
                seen["refused"] += 1
            assert store.check() == []

    one()
    assert all(seen.values())
    for verdict, number in seen.items():
        counted(number, f"recordings {verdict}")


def test_p05_joined_rooms_of_any_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: Counted) -> None:
    seen = 0
    with World(tmp_path) as world, Homeserver("http://127.0.0.1:9") as server:

        @effort(times(100, 3000))
        @given(st.lists(STEPS, min_size=1, max_size=3))
        def one(steps: list[Step]) -> None:
            nonlocal seen
            answer = Answer(changed(b'{"joined_rooms": ["!a:x", "!b:x"]}', steps), 200, 1, "/joined_rooms", {})
            monkeypatch.setattr(server, "_get", lambda *_: answer)
            try:
                joined = server.joined_rooms()
            except SyncStoreError:
                return
            seen += 1
            world.sync(seeds.first().replace(b'"next_batch": "', b'"next_batch": "9'), joined=joined)

        one()
    assert seen
    counted(seen, "answers of /joined_rooms taken")
