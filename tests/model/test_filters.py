from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncstore.errors import FilterError
from syncstore.model.filters import checked_filter, default_filter

ANY_EVENTS = {"limit": 1, "types": ["m.*"], "not_types": ["*"], "senders": [], "not_senders": ["@a:x"]}
ANY_ROOM_EVENTS = {**ANY_EVENTS, "rooms": ["!r:x"], "not_rooms": [], "contains_url": True, "lazy_load_members": True}
MEMBERS = {"lazy_load_members": True, "include_redundant_members": True}


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"room": {}},
        {"room": {"timeline": {}, "state": {}}},
        {"room": {"timeline": {"limit": 5}}},
        {"room": {"timeline": {"limit": 1000, "unread_thread_notifications": True}}},
        {"room": {"timeline": MEMBERS, "state": MEMBERS}},
        {"room": {"state": {"lazy_load_members": False}}},
        {"room": {"state": {"include_redundant_members": True}}},
        {"room": {"include_leave": True}},
        {"presence": ANY_EVENTS, "account_data": ANY_EVENTS},
        {"room": {"ephemeral": ANY_ROOM_EVENTS, "account_data": ANY_ROOM_EVENTS}},
    ],
)
def test_allowed(definition: dict[str, Any]) -> None:
    before = copy.deepcopy(definition)
    checked = checked_filter(definition)
    assert checked == definition == before
    assert json.loads(json.dumps(checked)) == checked
    assert checked is not definition


LOSES = "never come"
# definition, the key that the error names, a part of the reason
REFUSED: list[tuple[Any, str, str]] = [
    ({"event_fields": ["content.body"]}, "event_fields", "without the fields"),
    ({"event_format": "federation"}, "event_format", "changes what is stored"),
    ({"event_format": "client"}, "event_format", "changes what is stored"),
    ({"room": {"rooms": ["!r:x"]}}, "room.rooms", LOSES),
    ({"room": {"not_rooms": []}}, "room.not_rooms", LOSES),
    *(
        ({"room": {part: {key: value}}}, f"room.{part}.{key}", LOSES)
        for part in ("timeline", "state")
        for key, value in ANY_ROOM_EVENTS.items()
        if key not in ("limit", "lazy_load_members")
    ),
    ({"room": {"state": {"limit": 100}}}, "room.state.limit", LOSES),
    ({"room": {"state": {"unread_thread_notifications": True}}}, "room.state.unread_thread_notifications", "timeline"),
    ({"room": {"timeline": {"limit": 4}}}, "room.timeline.limit", "less than 5"),
    ({"room": {"timeline": {"limit": 0}}}, "room.timeline.limit", "greater than 0"),
    ({"room": {"timeline": {"limit": "20"}}}, "room.timeline.limit", "valid integer"),
    ({"room": {"timeline": {"limit": True}}}, "room.timeline.limit", "valid integer"),
    ({"room": {"state": {"lazy_load_members": True}}}, "room.state.lazy_load_members", LOSES),
    (
        {"room": {"state": {"lazy_load_members": True, "include_redundant_members": False}}},
        "room.state.lazy_load_members",
        LOSES,
    ),
    ({"room": {"timeline": {"lazy_load_members": True}, "state": MEMBERS}}, "room.timeline.lazy_load_members", LOSES),
    ({"room": {"state": {"lazy_load_members": "yes"}}}, "room.state.lazy_load_members", "valid boolean"),
    ({"room": {"include_leave": 1}}, "room.include_leave", "valid boolean"),
    ({"rooms": {}}, "rooms", "not known"),
    ({"room": {"timline": {"limit": 5}}}, "room.timline", "not known"),
    ({"room": {"timeline": {"org.example.x": 1}}}, "room.timeline.org.example.x", "not known"),
    ({"presence": {"type": ["m.presence"]}}, "presence.type", "not known"),
    ({"account_data": {"rooms": []}}, "account_data.rooms", "not known"),
    ({"room": {"ephemeral": {"\n\x1b": 1}}}, "room.ephemeral.\\n\\x1b", "not known"),
    ({"room": {"ephemeral": {"types": "m.typing"}}}, "room.ephemeral.types", "valid list"),
    ({"room": []}, "room", "should be an object"),
    ([], "", "not an object"),
    ("66696p746572", "", "not an object"),
]


@pytest.mark.parametrize(("definition", "key", "reason"), REFUSED)
def test_refused_with_the_key_and_the_reason(definition: Any, key: str, reason: str) -> None:
    with pytest.raises(FilterError) as caught:
        checked_filter(definition)
    text = str(caught.value)
    assert f"{key} " in text
    assert reason in text
    assert len(text.splitlines()) == 1


def test_a_null_is_left_out() -> None:
    assert checked_filter({"event_fields": None, "room": {"rooms": None, "timeline": None}}) == {"room": {}}


@pytest.mark.parametrize("full_members", [False, True])
@pytest.mark.parametrize("include_leave", [False, True])
def test_the_default_filter_is_allowed(full_members: bool, include_leave: bool) -> None:
    definition = default_filter(full_members=full_members, include_leave=include_leave)
    assert checked_filter(definition) == definition


def test_default_filter() -> None:
    assert default_filter() == {
        "room": {
            "timeline": {
                "limit": 20,
                "unread_thread_notifications": True,
                "lazy_load_members": True,
                "include_redundant_members": True,
            },
            "state": {"lazy_load_members": True, "include_redundant_members": True},
        }
    }
    assert default_filter(full_members=True, include_leave=True) == {
        "room": {"timeline": {"limit": 20, "unread_thread_notifications": True}, "include_leave": True}
    }


MAY_DROP = {"limit", "lazy_load_members", "include_redundant_members", "unread_thread_notifications"}
names = st.sampled_from(["room", "timeline", "state", "ephemeral", "account_data", "presence", "include_leave"])
names |= st.sampled_from(["limit", *sorted(MAY_DROP), "types", "rooms", "event_fields", "event_format", "other"])
values = st.none() | st.booleans() | st.integers(-1, 9) | st.lists(st.text(max_size=3), max_size=2)
filters = st.dictionaries(names, values | st.dictionaries(names, values | st.dictionaries(names, values)), max_size=3)


@given(filters)
def test_whatever_passes_loses_nothing(definition: dict[str, Any]) -> None:
    try:
        checked = checked_filter(definition)
    except FilterError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert checked.keys() <= {"presence", "account_data", "room"}
    room = checked.get("room", {})
    assert room.keys() <= {"timeline", "state", "ephemeral", "account_data", "include_leave"}
    assert room.get("timeline", {}).keys() <= MAY_DROP
    assert room.get("timeline", {}).get("limit", 5) >= 5
    assert room.get("state", {}).keys() <= {"lazy_load_members", "include_redundant_members"}
    for part in (room.get("timeline", {}), room.get("state", {})):
        assert part.get("include_redundant_members") or not part.get("lazy_load_members")
