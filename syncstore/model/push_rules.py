"""What of an event to notify its reader of, by the account's push rules.

Source: Client-Server API, Push notifications, Push rules; conditions, and the order in which kinds of rules count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_KINDS = ("override", "content", "room", "sender", "underride")
_COUNT = re.compile(r"(==|<=|>=|<|>)?([0-9]{1,15})")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": int.__eq__,
    "<": int.__lt__,
    ">": int.__gt__,
    "<=": int.__le__,
    ">=": int.__ge__,
}
_FLAGS = re.IGNORECASE | re.DOTALL
_BEGIN, _END = r"(?:^|\W)", r"(?:\W|$)"  # of a word
_DEFAULT_LEVEL = 50  # that who notifies a room must have
_Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PushActions:
    """What to do about an event: notify, highlight, play a sound; rule_id: by which rule, None for none."""

    notify: bool = False
    highlight: bool = False
    sound: str | None = None
    rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class PushContext:
    """What conditions ask besides the event: who reads it, and of its room."""

    user_id: str
    display_name: str | None
    joined_member_count: int
    power_levels: Mapping[str, Any]


def push_actions(rules: object, event: Mapping[str, Any], context: PushContext) -> PushActions:
    """Evaluate m.push_rules for an event as a client gets it, with its room_id. Our own events notify nobody."""
    if event.get("sender") == context.user_id:
        return PushActions()
    for kind, rule in _enabled(rules):
        if _matches(kind, rule, event, context):
            return _actions(rule)
    return PushActions()


def _enabled(rules: object) -> Iterator[tuple[str, _Rule]]:
    rules_of = rules.get("global") if isinstance(rules, dict) else None
    for kind in _KINDS if isinstance(rules_of, dict) else ():
        found = rules_of.get(kind) if isinstance(rules_of, dict) else None
        for rule in found if isinstance(found, list) else ():
            if isinstance(rule, dict) and rule.get("enabled", True) is True:
                yield kind, rule


def _matches(kind: str, rule: _Rule, event: Mapping[str, Any], context: PushContext) -> bool:
    if kind == "content":
        return _event_match({"key": "content.body", "pattern": rule.get("pattern")}, event, context)
    if kind in ("room", "sender"):
        return bool(rule.get("rule_id") == event.get("room_id" if kind == "room" else "sender"))
    conditions = rule.get("conditions", [])
    return isinstance(conditions, list) and all(_holds(one, event, context) for one in conditions)


def _holds(condition: object, event: Mapping[str, Any], context: PushContext) -> bool:
    """Whether a condition holds; one of an unknown kind never does."""
    if not isinstance(condition, dict):
        return False
    check = _CONDITIONS.get(str(condition.get("kind")))
    return check is not None and check(condition, event, context)


def _event_match(condition: _Rule, event: Mapping[str, Any], context: PushContext) -> bool:
    key, pattern, value = condition.get("key"), condition.get("pattern"), _property(condition, event)
    if not isinstance(pattern, str) or not isinstance(value, str):
        return False
    if key == "content.body":
        begin = "" if pattern[:1] == "*" else _BEGIN
        end = "" if pattern[-1:] == "*" else _END
        return re.search(begin + _glob(pattern.strip("*")) + end, value, _FLAGS) is not None
    return re.fullmatch(_glob(pattern), value, _FLAGS) is not None


def _is(condition: _Rule, event: Mapping[str, Any], context: PushContext) -> bool:
    return _same(_property(condition, event), condition.get("value"))


def _contains(condition: _Rule, event: Mapping[str, Any], context: PushContext) -> bool:
    found = _property(condition, event)
    return isinstance(found, list) and any(_same(one, condition.get("value")) for one in found)


def _contains_display_name(condition: _Rule, event: Mapping[str, Any], context: PushContext) -> bool:
    content = event.get("content")
    body = content.get("body") if isinstance(content, dict) else None
    return (
        bool(context.display_name) and isinstance(body, str) and _has_word(re.escape(context.display_name or ""), body)
    )


def _member_count(condition: _Rule, event: Mapping[str, Any], context: PushContext) -> bool:
    told = _COUNT.fullmatch(str(condition.get("is")))
    return told is not None and _COMPARE[told[1] or "=="](context.joined_member_count, int(told[2]))


def _permission(condition: _Rule, event: Mapping[str, Any], context: PushContext) -> bool:
    levels, key = context.power_levels, condition.get("key")
    needed = _level(levels.get("notifications"), key, _DEFAULT_LEVEL)
    default = _level(levels, "users_default", 0)
    return _level(levels.get("users"), event.get("sender"), default) >= needed


_CONDITIONS: dict[str, Callable[[_Rule, Mapping[str, Any], PushContext], bool]] = {
    "event_match": _event_match,
    "event_property_is": _is,
    "event_property_contains": _contains,
    "contains_display_name": _contains_display_name,
    "room_member_count": _member_count,
    "sender_notification_permission": _permission,
}


def _level(holder: object, key: object, default: int) -> int:
    found = holder.get(key) if isinstance(holder, Mapping) and isinstance(key, str) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def _property(condition: _Rule, event: Mapping[str, Any]) -> Any:
    """What stands at a dotted path; a dot or a backslash inside a name is written after a backslash."""
    key = condition.get("key")
    found: Any = event
    for name in re.findall(r"(?:\\.|[^.\\])+", key) if isinstance(key, str) else ():
        found = found.get(re.sub(r"\\([.\\])", r"\1", name)) if isinstance(found, Mapping) else None
    return None if found is event else found


def _glob(pattern: str) -> str:
    """A pattern of the rules as a regular expression, which a long body cannot make try every way to divide itself."""
    parts = ["".join("." if char == "?" else re.escape(char) for char in part) for part in pattern.split("*")]
    first, *middle = parts
    last = ".*?" + middle.pop() if middle else ""
    return first + "".join(f"(?>.*?{part})" for part in middle) + last


def _same(one: object, other: object) -> bool:
    """Equal and of one type: JSON's true is not 1."""
    return type(one) is type(other) and one == other


def _has_word(pattern: str, text: str) -> bool:
    return re.search(_BEGIN + pattern + _END, text, _FLAGS) is not None


def _actions(rule: _Rule) -> PushActions:
    actions = rule.get("actions")
    actions = actions if isinstance(actions, list) else []
    tweaks = {one.get("set_tweak"): one.get("value", True) for one in actions if isinstance(one, dict)}
    sound, rule_id = tweaks.get("sound"), rule.get("rule_id")
    return PushActions(
        notify="notify" in actions,
        highlight=tweaks.get("highlight", False) is True,
        sound=sound if isinstance(sound, str) else None,
        rule_id=rule_id if isinstance(rule_id, str) else None,
    )
