from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from syncstore import SyncStore
from syncstore.sync import Recorded, Recorder

from . import bodies
from .conftest import Run, refused


def _record(folder: Path, *responses: Recorded) -> Path:
    recorder = Recorder(folder)
    for one in responses:
        recorder.keep(one)
    return folder


def _pair(folder: Path) -> Path:
    one = Recorded(bodies.first(), user_id=bodies.ALICE, device_id="DEVICE")
    return _record(folder, one, replace(one, body=bodies.second(), since="s1", held="s1"))


def test_a_recording_makes_its_own_store(path: Path, run: Run, tmp_path: Path) -> None:
    assert run("replay", _pair(tmp_path / "r")).out == "2 applied, 0 already stored\n"
    with SyncStore.open(path, read_only=True) as store:
        assert (store.user_id, store.device_id, store.token) == (bodies.ALICE, "DEVICE", "s2")


def test_bare_bodies_in_the_order_given(path: Path, run: Run, tmp_path: Path) -> None:
    files = [tmp_path / "z.json", tmp_path / "a.json"]
    files[0].write_bytes(bodies.first())
    files[1].write_bytes(bodies.second())
    assert "--user-id" in refused(run("replay", *files))
    assert not path.exists()
    assert run("replay", *files, "--user-id", bodies.ALICE).out == "2 applied, 0 already stored\n"
    assert run("replay", files[1]).out == "0 applied, 1 already stored\n"


def test_a_response_out_of_order_is_named(store: Path, run: Run, tmp_path: Path) -> None:
    stray = Recorded(bodies.quiet("s9"), since="s8", held="s8", user_id=bodies.ALICE)
    assert "r (response 1): the response continues from s8 but the store is at s2" in refused(
        run("replay", _record(tmp_path / "r", stray))
    )


def test_bad_bodies_are_named_and_move_nothing(store: Path, run: Run, tmp_path: Path) -> None:
    for text in ("", "[]", "{}", "no json"):
        bad = tmp_path / "bad.json"
        bad.write_text(text)
        assert "bad.json: " in refused(run("replay", bad))
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(run("replay", empty))
    refused(run("replay", tmp_path / "none"))
    with SyncStore.open(store, read_only=True) as kept:
        assert kept.token == "s2"


def test_a_recording_of_another_account_is_refused(store: Path, run: Run, tmp_path: Path) -> None:
    other = Recorded(bodies.first("x"), user_id="@eve:x.org")
    assert "@eve:x.org" in refused(run("replay", _record(tmp_path / "r", other)))
