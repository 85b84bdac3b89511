"""Events as a server sends them, and what redaction leaves of them. Every text that redaction must remove is unique."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]

ME = "@me:example.org"
OTHERS = ("@ann:example.org", "@bob:example.org", "@cat:example.org")
CREATE: Key = ("m.room.create", "")

# Which keys of a content outlive a redaction. Client-Server API, room versions 10 and 11, "Redactions".
_KEPT_10 = {
    "m.room.member": {"membership", "join_authorised_via_users_server"},
    "m.room.create": {"creator"},
    "m.room.join_rules": {"join_rule", "allow"},
    "m.room.history_visibility": {"history_visibility"},
}
_KEPT_11 = _KEPT_10 | {"m.room.redaction": {"redacts"}}
_KEPT_TOP = {"event_id", "type", "state_key", "sender", "origin_server_ts", "content", "unsigned"}


def key_of(event: Json) -> Key | None:
    """The state key of an event, None for one that is no state event."""
    return (event["type"], event["state_key"]) if "state_key" in event else None


def kept_content(event: Json, version: str) -> Json:
    """What redaction leaves of an event's content in a room of this version (10 or 11)."""
    content: Json = event["content"]
    if version == "11" and event["type"] == "m.room.create":
        return content
    kept = (_KEPT_11 if version == "11" else _KEPT_10).get(event["type"], set())
    return {name: value for name, value in content.items() if name in kept}


def pruned(event: Json, version: str, redaction: Json) -> Json:
    """The copy that a server hands out after `redaction`."""
    copy = {name: deepcopy(value) for name, value in event.items() if name in _KEPT_TOP}
    copy["content"] = deepcopy(kept_content(event, version))
    copy["unsigned"] = {"age": 7, "redacted_by": redaction["event_id"], "redacted_because": deepcopy(redaction)}
    return copy


def redaction_target(event: Json) -> str | None:
    """The event that a redaction, as received, names; None if it is none or was itself pruned."""
    if event["type"] != "m.room.redaction":
        return None
    target = event.get("redacts", event["content"].get("redacts"))
    return target if isinstance(target, str) else None


def secrets(event: Json, version: str) -> set[str]:
    """The texts of an event that must be gone once it is redacted."""
    return _texts(event["content"]) - _texts(kept_content(event, version))


def _texts(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value} if value.startswith("secret-") else set()
    if isinstance(value, dict):
        return set().union(*map(_texts, value.values()))
    return set()
