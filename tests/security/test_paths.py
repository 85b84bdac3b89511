"""Ids of servers are no paths: on the disk they are one harmless name, in a URL one segment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncstore import SyncStore
from syncstore.cli.folder import folder, safe_name
from syncstore.cli.places import file_of
from syncstore.errors import OtherAccountError, RemoteError, SyncStoreError
from syncstore.net import Homeserver, discover
from syncstore.net.address import join_path
from syncstore.sync.recording import Recorded, Recorder, recorded
from tests.cli import bodies
from tests.cli.conftest import Run
from tests.cli.fake import PASSWORD, FakeServer

# Beside those of test_login.py::test_any_user_id_makes_a_safe_file_name.
EVIL = [
    "@../../x:server",
    "@..:..",
    "@/etc/passwd:x",
    "@\\\\host\\share:x",
    "@C:\\x:x",
    "@a:x/../../..",
    "@nul:x",
    "@com1.txt:x",
    "@a. :x",
    "@~root:x",
    "@$HOME:x",
    "@%2e%2e%2f:x",
    "@-rf:x",
    "@a\u202e:x",
    "@" + "a/" * 5000 + ":x",
]


@pytest.mark.parametrize("user_id", EVIL, ids=lambda user_id: ascii(user_id)[:20])
def test_p28_a_user_id_is_one_file_in_the_data_folder(user_id: str) -> None:
    where = file_of(user_id)
    assert where.parent == folder() and where.resolve().parent == folder().resolve()
    assert len(where.name.encode()) <= 255 and where.name.startswith("@") and not where.name.endswith((".", " "))
    assert where.name.isascii() and not set(where.name) & set('/\\:*?"<>|$~ ')


def test_p28_two_ids_are_two_files_also_where_case_is_folded() -> None:
    ids = ["@a:x", "@A:x", "@a:X", "@a%41:x", "@\u00e4:x", "@A\u0308:x", "@\u00c4:x", "@a%3ax", "@\u017f:x", "@s:x"]
    assert len({safe_name(one).casefold() for one in ids}) == len(ids)


@pytest.mark.parametrize("user_id", EVIL[:8], ids=ascii)
def test_p28_a_login_writes_nothing_outside(run: Run, tmp_path: Path, user_id: str, monkeypatch: Any) -> None:
    import io
    import sys

    server = FakeServer()
    server.user_id, server.device_id = user_id, "../../../device"
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    token = tmp_path / "token"
    before = {one for one in tmp_path.rglob("*") if one.is_file()}
    try:
        done = run("-s", "", "login", user_id, "--homeserver", server.url, "--token-file", token)
    finally:
        server.close()
    assert done.code == 0, done
    made = {one for one in tmp_path.rglob("*") if one.is_file()} - before - {token}
    assert len(made) == 2 and {one.parent for one in made} == {folder()}


def test_p28_a_name_that_meets_another_one_is_refused(path: Path) -> None:
    """Cut names carry a digest; should two ids meet all the same, the file knows whose it is."""
    SyncStore.open(path, user_id="@a:x").close()
    with pytest.raises(OtherAccountError):
        SyncStore.open(path, user_id="@b:x")


@pytest.mark.parametrize("value", ["\ud800", 7, None])
def test_p28_a_login_answer_that_no_column_holds_is_refused(
    run: Run, monkeypatch: Any, tmp_path: Path, value: Any
) -> None:
    import io
    import sys

    server = FakeServer()
    server.device_id = value
    monkeypatch.setattr(FakeServer, "answer", lambda self, path, token, asked: (200, self._login()))
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    done = run("login", bodies.ALICE, "--homeserver", server.url, "--token-file", tmp_path / "token")
    server.close()
    assert done.code == 1 and "the answer lacks 'device_id'" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("room_id", ["!a/../../b:x", "!a%2F..:x", "!a?x=1#f:x", "!\u00e4 \n:x", "!a\0:x"], ids=ascii)
def test_p28_an_id_is_one_segment_of_a_url(room_id: str) -> None:
    path = join_path("/root", "rooms", room_id, "state")
    assert path.isascii() and path.count("/") == 4 and not set(path) & set("?# \n\0")


@pytest.mark.parametrize("segment", ["", ".", "..", "\ud800"])
def test_p28_an_id_that_no_encoding_makes_harmless_is_refused(segment: str) -> None:
    with pytest.raises(RemoteError, match="is no id"):
        join_path("/root", segment)


@pytest.mark.parametrize(
    "name", ["a/../b", "a\\b", "user:pw@host", "a\nb", "a b", "a\0b", "\u202ea", "", "a?b", "a#b", "[::1", "x:99999999"]
)
def test_p28_a_server_name_that_is_none_is_not_asked(name: str) -> None:
    with pytest.raises(RemoteError, match="expected"):
        discover(name)


@pytest.mark.parametrize("body", [b"[]", b'{"since": {"a": 1}}', b"[" * 100_000, b'{"body": "x"}', b'{"joined": [7]}'])
def test_p28_a_recording_of_somebody_else_cannot_crash_a_replay(
    path: Path, run: Run, tmp_path: Path, body: bytes
) -> None:
    where = tmp_path / "recorded"
    Recorder(where).keep(Recorded(b'{"next_batch": "s"}'))
    (where / "000001.request.json").write_bytes(body)
    done = run("replay", where, "--user-id", bodies.ALICE)
    assert done.code == 1 and "cannot be read as a recorded request" in done.err and done.err.count("\n") == 1


def test_p28_a_recording_names_its_files_itself(tmp_path: Path) -> None:
    evil = "../../evil"
    recorder = Recorder(tmp_path / "r")
    recorder.keep(Recorded(b"{}", since=evil, held=evil, user_id=evil, device_id=evil))
    assert {one.name for one in (tmp_path / "r").iterdir()} == {"000001.body.json", "000001.request.json"}
    (one,) = recorded(tmp_path / "r")
    assert one.since == evil


def test_p28_media_is_a_text_and_never_fetched(path: Path) -> None:
    urls = ["file:///etc/passwd", "mxc://../../x", "http://127.0.0.1/", "javascript:x"]
    with SyncStore.open(path, user_id=bodies.ALICE) as store:
        for number, url in enumerate(urls):
            pile = [bodies.state(f"a{number}", "m.room.avatar", {"url": url})]
            joined = {bodies.ROOM: {"timeline": {"events": pile}}}
            store.apply(json.dumps({"next_batch": f"s{number}", "rooms": {"join": joined}}).encode())
            assert store.room(bodies.ROOM).avatar_url == url
    assert not hasattr(Homeserver, "media") and not hasattr(Homeserver, "download")


def test_p28_a_bad_user_id_is_refused_in_words(path: Path) -> None:
    with pytest.raises(SyncStoreError):
        SyncStore.open(path, user_id="@\ud800:x")
