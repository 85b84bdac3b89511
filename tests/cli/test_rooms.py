from __future__ import annotations

import json
from pathlib import Path

import pytest

from syncstore import SyncStore

from . import bodies
from .conftest import Run, refused

SHOWN = "a\\x1b[2J\\x1b]0;t\\x07\\u202eb\\x9b\\nc"


def test_rooms_are_aligned_whole_and_never_raw(store: Path, run: Run) -> None:
    done = run("rooms")
    head, *rows = done.out.splitlines()
    assert head.split() == ["ROOM_ID", "MEMBERSHIP", "MEMBERS", "UNREAD", "GAPS", "NEWEST", "NAME"]
    assert len(rows) == 3
    row = next(row for row in rows if row.startswith(bodies.ROOM))
    assert row.endswith(f"Plans {SHOWN}")
    assert row.index("join") == head.index("MEMBERSHIP")
    assert "\x1b" not in done.out and "\u202e" not in done.out


def test_rooms_as_json_have_the_columns_of_the_view(store: Path, run: Run) -> None:
    rooms = {room["room_id"]: room for room in json.loads(run("rooms", "--json").out)}
    assert {room_id: room["membership"] for room_id, room in rooms.items()} == {
        bodies.ROOM: "join",
        bodies.LEFT: "leave",
        bodies.INVITED: "invite",
    }
    assert rooms[bodies.ROOM]["gap_count"] == 2 and "_cursors" not in rooms[bodies.ROOM]


def test_an_invite_shows_its_own_state(store: Path, run: Run) -> None:
    assert "Party [red]" in run("invites").out
    (invite,) = json.loads(run("invites", "--json").out)
    assert [one["content"] for one in invite["invite_state"] if one["type"] == "m.room.name"] == [
        {"name": "Party [red]"}
    ]


@pytest.mark.parametrize("room", [bodies.ROOM, f"Plans {bodies.NASTY}"])
def test_a_room_is_meant_by_id_or_unique_name(store: Path, run: Run, room: str) -> None:
    (topic,) = json.loads(run("state", room, "m.room.topic", "--json").out)
    assert topic["content"] == {"topic": "sea"} and topic["room_id"] == bodies.ROOM


def test_state_by_type_and_key(store: Path, run: Run) -> None:
    assert [row.split()[1] for row in run("state", bodies.ROOM, "m.room.member").out.splitlines()[1:]] == [
        bodies.ALICE,
        bodies.BOB,
    ]
    (bob,) = json.loads(run("state", bodies.ROOM, "m.room.member", bodies.BOB, "--json").out)
    assert bob["state_key"] == bodies.BOB
    assert json.loads(run("state", bodies.ROOM, "m.room.none", "", "--json").out) == []


def test_state_as_it_was_when_an_event_was_sent(store: Path, run: Run) -> None:
    newest = json.loads(run("timeline", bodies.ROOM, "--limit", 1, "--json").out)[-1]["event"]["event_id"]
    told = json.loads(run("state", bodies.ROOM, "m.room.topic", "--at", newest, "--json").out)
    assert [(one["known"], one["event"]["content"]) for one in told] == [(True, {"topic": "sea"})]
    assert "sea" in run("state", bodies.ROOM, "m.room.topic", "", "--at", newest).out
    assert "m.room.create" in run("state", bodies.ROOM, "--at", newest).out
    assert "no place" in refused(run("state", bodies.ROOM, "--at", "$nowhere"))


def test_archived_state_says_so(store: Path, run: Run) -> None:
    assert "-- archived state; our membership is leave --" in run("state", "Old").out


def test_members_tell_whether_the_list_is_whole(store: Path, run: Run) -> None:
    done = run("members", bodies.ROOM)
    assert f"{bodies.BOB}" in done.out
    assert json.loads(run("members", bodies.ROOM, "--json").out)[1]["display_name"] == "bob"


def test_an_unknown_room_is_one_line_without_escapes(store: Path, run: Run) -> None:
    assert "\\x1b" in refused(run("timeline", "no\x1b[2Jroom"))


def test_forget_deletes_the_room_and_nothing_else(store: Path, run: Run) -> None:
    assert run("forget", "Old").out == f"forgot {bodies.LEFT}\n"
    assert run("forget", "Old").code == 1
    with SyncStore.open(store, read_only=True) as left:
        assert {room.room_id for room in left.rooms()} == {bodies.ROOM, bodies.INVITED}


def test_an_argument_that_is_no_text_is_wrong_usage(store: Path, run: Run) -> None:
    done = run("state", "\udcff")
    assert done.code == 2 and "UTF-8" in done.err
