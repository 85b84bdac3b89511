"""Push rules: each kind of rule and condition, with what the specification says of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from syncstore.model.push_rules import PushActions, PushContext, push_actions

ME = "@me:x"
HIGHLIGHT = ["notify", {"set_tweak": "sound", "value": "default"}, {"set_tweak": "highlight"}]
CONTEXT = PushContext(ME, "Me Self", 3, {"users": {"@admin:x": 50}, "notifications": {"room": 40}})


def event(content: object = None, **more: Any) -> dict[str, Any]:
    made = {"type": "m.room.message", "sender": "@ann:x", "room_id": "!r:x", "content": content or {"body": "hello"}}
    return made | more


def rules(kind: str = "underride", **rule: Any) -> dict[str, Any]:
    return {"global": {kind: [{"rule_id": "r", "actions": ["notify"], **rule}]}}


def holds(condition: dict[str, Any], one: dict[str, Any], context: PushContext = CONTEXT) -> bool:
    return push_actions(rules(conditions=[condition]), one, context).notify


@pytest.mark.parametrize(
    ("key", "pattern", "content", "expected"),
    [
        ("content.body", "cake", {"body": "I like CAKE!"}, True),
        ("content.body", "cake", {"body": "cakes"}, False),
        ("content.body", "ca?e*", {"body": "a cakewalk"}, True),
        ("content.body", "cake", {"body": 5}, False),
        ("content.body", "*ak*", {"body": "cakes"}, True),
        ("content.body", "c*k*s", {"body": "some ckaks!"}, True),
        ("content.body", "c*k*s", {"body": "some ckaksx"}, False),
        ("content.body", "*", {"body": "x"}, True),
        ("content.msgtype", "*.t*t", {"msgtype": "m.text"}, True),
        ("content.msgtype", "m.*", {"msgtype": "m.text"}, True),
        ("content.msgtype", "text", {"msgtype": "m.text"}, False),
        ("content.m\\.relates_to.rel_type", "m.thread", {"m.relates_to": {"rel_type": "m.thread"}}, True),
        ("content.a.b", "x", {"a.b": "x"}, False),
        ("content.a\\\\b", "x", {"a\\b": "x"}, True),
        ("type", "m.room.message", {}, True),
        ("content", "x", {"body": "x"}, False),
    ],
)
def test_event_match(key: str, pattern: str, content: dict[str, Any], expected: bool) -> None:
    assert holds({"kind": "event_match", "key": key, "pattern": pattern}, event(content)) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"kind": "event_property_is", "key": "content.flag", "value": True}, True),
        ({"kind": "event_property_is", "key": "content.flag", "value": 1}, False),
        ({"kind": "event_property_contains", "key": "content.m\\.mentions.user_ids", "value": ME}, True),
        ({"kind": "event_property_contains", "key": "content.m\\.mentions.user_ids", "value": "@bob:x"}, False),
        ({"kind": "event_property_contains", "key": "content.flag", "value": True}, False),
        ({"kind": "contains_display_name"}, True),
        ({"kind": "room_member_count", "is": "3"}, True),
        ({"kind": "room_member_count", "is": ">=3"}, True),
        ({"kind": "room_member_count", "is": "<3"}, False),
        ({"kind": "room_member_count", "is": "many"}, False),
        ({"kind": "sender_notification_permission", "key": "room"}, False),
        ({"kind": "org.example.unknown"}, False),
    ],
)
def test_conditions(condition: dict[str, Any], expected: bool) -> None:
    content = {"flag": True, "m.mentions": {"user_ids": [ME]}, "body": "hi, me self?"}
    assert holds(condition, event(content)) is expected


def test_no_body_makes_a_pattern_run_away() -> None:
    condition = {"kind": "event_match", "key": "content.body", "pattern": "x*y*z*w"}
    began = time.process_time()
    assert not holds(condition, event({"body": "x y z " * 1500}))
    assert time.process_time() - began < 5


def test_who_may_notify_a_room() -> None:
    condition = {"kind": "sender_notification_permission", "key": "room"}
    assert holds(condition, event(sender="@admin:x"))
    without = PushContext(ME, None, 3, {"users": {"@admin:x": 50}})
    assert holds(condition, event(sender="@admin:x"), without)
    assert not holds(condition, event(), without)


def test_the_first_enabled_rule_counts_in_the_order_of_the_kinds() -> None:
    found: dict[str, Any] = {
        "global": {
            "underride": [{"rule_id": "u", "actions": ["notify"], "conditions": []}],
            "sender": [{"rule_id": "@ann:x", "actions": ["notify"]}],
            "room": [{"rule_id": "!r:x", "actions": []}],
            "content": [{"rule_id": "c", "pattern": "hello", "actions": HIGHLIGHT, "enabled": False}],
            "override": [{"rule_id": "o", "actions": [], "conditions": [{"kind": "unknown"}]}],
        }
    }
    assert push_actions(found, event(), CONTEXT) == PushActions(rule_id="!r:x")
    found["global"]["content"][0]["enabled"] = True
    assert push_actions(found, event(), CONTEXT) == PushActions(True, True, "default", "c")
    assert push_actions(found, event(room_id="!other:x", content={"body": "x"}), CONTEXT).rule_id == "@ann:x"
    assert push_actions(found, event(sender=ME), CONTEXT) == PushActions()


@pytest.mark.parametrize(
    "odd", [None, 5, {}, {"global": []}, {"global": {"override": {}}}, {"global": {"override": [5]}}]
)
def test_rules_that_are_none_notify_of_nothing(odd: object) -> None:
    assert push_actions(odd, event(), CONTEXT) == PushActions()
