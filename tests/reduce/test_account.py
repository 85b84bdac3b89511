"""What a response says beside rooms: receipts, typing, direct chats, presence, stripped state."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncstore.model.batch import Batch, Typed
from syncstore.reduce import reduce
from syncstore.wire import parse


def typed(type: str, content: dict[str, Any], sender: str | None = None) -> dict[str, Any]:
    return {"type": type, "content": content, **({"sender": sender} if sender else {})}


def batch(**top: Any) -> Batch:
    return parse(json.dumps({"next_batch": "s1", **top}).encode())


def test_receipts_are_one_per_user_type_and_thread_the_newest() -> None:
    content = {
        "$old": {"m.read": {"@ann:hs": {"ts": 1}}},
        "$new": {"m.read": {"@ann:hs": {"ts": 2}, "@bob:hs": {"ts": 1, "thread_id": "main"}}},
        "$odd": {"m.read": "text", "m.read.private": {"@ann:hs": 5}},
    }
    entry = {"ephemeral": {"events": [typed("m.receipt", content), typed("m.typing", {"user_ids": ["@b", "@a", 5]})]}}
    (room,) = reduce(batch(rooms={"join": {"!r": entry}}), "@me:hs").rooms
    assert {(row.user_id, row.receipt_type, row.thread_id, row.event_id) for row in room.receipts} == {
        ("@ann:hs", "m.read", "", "$new"),
        ("@bob:hs", "m.read", "main", "$new"),
        ("@ann:hs", "m.read.private", "", "$odd"),
    }
    assert room.typing == ["@a", "@b"]


def test_what_is_not_said_is_none() -> None:
    changes = reduce(batch(rooms={"join": {"!r": {}}}), "@me:hs")
    (room,) = changes.rooms
    assert (room.typing, room.summary, room.unread, room.thread_unread) == (None, None, None, None)
    assert (changes.direct, changes.ignored, changes.one_time_keys) == (None, None, None)


def test_direct_chats_and_ignored_users() -> None:
    events = [
        typed("m.direct", {"@ann:hs": ["!a", "!b", 5], "@bob:hs": "!c"}),
        typed("m.ignored_user_list", {"ignored_users": {"@eve:hs": {}}}),
    ]
    changes = reduce(batch(account_data={"events": events}), "@me:hs")
    assert changes.direct == [("!a", "@ann:hs"), ("!b", "@ann:hs")]
    assert changes.ignored == {"@eve:hs"}


def test_what_names_nobody_is_bad() -> None:
    changes = reduce(
        batch(presence={"events": [typed("m.presence", {})]}, to_device={"events": [typed("x", {})]}), "@m"
    )
    assert [bad.section for bad in changes.bad] == ["presence", "to_device"]
    assert not changes.presence
    assert not changes.to_device


def test_the_inviter_is_who_sent_our_stripped_member_event() -> None:
    own = {**typed("m.room.member", {"membership": "invite", "is_direct": True}, "@ann:hs"), "state_key": "@me:hs"}
    keyless = typed("m.room.name", {"name": "x"}, "@ann:hs")
    entry = {"invite_state": {"events": [own, keyless]}}
    (room,) = reduce(batch(rooms={"invite": {"!r": entry}}), "@me:hs").rooms
    assert (room.membership, room.pile, room.inviter, room.invited_directly) == ("invite", "invite", "@ann:hs", True)
    assert [row.type for row in room.stripped] == ["m.room.member"]
    assert [bad.code for bad in room.bad] == ["missing_key"]


@pytest.mark.parametrize(
    ("size", "at_once", "then"), [(1 << 20, [], ["!a"]), (1 << 10, ["!a", "!b"], ["!a", "!b"])], ids=["large", "small"]
)
def test_rooms_of_a_large_response_stay_lazy(size: int, at_once: list[str], then: list[str]) -> None:
    reached: list[str] = []

    def entries() -> Any:
        for room in batch(rooms={"join": {"!a": {}, "!b": {}}}).rooms:
            reached.append(room.room_id)
            yield room

    whole = Batch("s1", "v3", size, entries(), account_data=[Typed("a", None, None, "{}", None, 0, {})])
    changes = reduce(whole, "@me:hs")
    assert reached == at_once
    assert next(changes.rooms).room_id == "!a"
    assert reached == then
