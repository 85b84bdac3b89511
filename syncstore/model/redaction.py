"""Which keys of a content survive a redaction, for room versions 1 to 12.

Source: the "Redactions" part of each page under spec.matrix.org/latest/rooms/. The lists changed in versions 6, 8, 9
and 11; the versions between repeat the one before. Only the content is dealt with here: the top-level keys that a
redaction also takes (`unsigned`, `extra`) belong to whoever stores them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NEWEST = 12
# Top-level keys that a redaction leaves in every version; what else an event carried is gone.
TOP_LEVEL_KEPT = frozenset(
    [
        "auth_events",
        "content",
        "depth",
        "event_id",
        "hashes",
        "origin",
        "origin_server_ts",
        "prev_events",
        "prev_state",
        "room_id",
        "sender",
        "signatures",
        "state_key",
        "type",
    ]
)
# Every other version goes as the newest, org.matrix.hydra.11 too, which became 12.
_NUMBERS = {str(number): number for number in range(1, NEWEST + 1)}
_NUMBERS |= {"org.matrix.msc3757.10": 10, "org.matrix.msc3757.11": 11}

_POWER_LEVELS = ("ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default")
# type -> (first version with this list, the keys it keeps), newest first. A type that is not here keeps nothing.
_KEPT: dict[str, tuple[tuple[int, tuple[str, ...]], ...]] = {
    "m.room.member": ((9, ("membership", "join_authorised_via_users_server")), (1, ("membership",))),
    "m.room.create": ((1, ("creator",)),),  # up to 10: see redact_content
    "m.room.join_rules": ((8, ("join_rule", "allow")), (1, ("join_rule",))),
    "m.room.power_levels": ((11, (*_POWER_LEVELS, "invite")), (1, _POWER_LEVELS)),
    "m.room.history_visibility": ((1, ("history_visibility",)),),
    "m.room.aliases": ((6, ()), (1, ("aliases",))),
    "m.room.redaction": ((11, ("redacts",)), (1, ())),
}


def redact_content(room_version: str | None, type: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a redaction leaves of an event's content: a new dict, its values shared with `content`.

    `room_version` is as in m.room.create, where a missing one means "1"; None (we hold no create event) and unknown
    versions go as the newest. A content that is no object leaves {}.
    """
    if not isinstance(content, Mapping):
        return {}
    version = _number(room_version) or NEWEST
    if type == "m.room.create" and version >= 11:
        return dict(content)
    kept = {key: content[key] for key in _kept_keys(version, type) if key in content}
    if type == "m.room.member" and version >= 11:
        kept.update(_signed_part(content.get("third_party_invite")))
    return kept


def redacts_of(
    room_version: str | None, type: str, top_level_redacts: object, content: Mapping[str, Any]
) -> str | None:
    """Return the event_id that an m.room.redaction names, None for another type or one that names nothing.

    Version 11 moved it from the top level into the content. Servers copy it to the other place for clients, yet only
    the version's own place was checked against the sender's power: trusting the copy would let any member strip any
    event here. Both places count, the content first, only where the version is None or unknown.
    """
    if type != "m.room.redaction":
        return None
    inner = content.get("redacts") if isinstance(content, Mapping) else None
    version = _number(room_version)
    places = (inner, top_level_redacts) if version is None else (inner if version >= 11 else top_level_redacts,)
    return next((place for place in places if isinstance(place, str)), None)


def _number(room_version: str | None) -> int | None:
    if not isinstance(room_version, str):
        return None  # a room_version of another type is the server's mistake, and as good as unknown
    return _NUMBERS.get(room_version)


def _kept_keys(version: int, type: str) -> tuple[str, ...]:
    return next((keys for first, keys in _KEPT.get(type, ()) if version >= first), ())


def _signed_part(third_party_invite: object) -> dict[str, Any]:
    if not isinstance(third_party_invite, Mapping):
        return {}
    # An object without `signed` stays as {}: the key itself is not redacted, and servers do the same.
    return {"third_party_invite": {key: third_party_invite[key] for key in ("signed",) if key in third_party_invite}}
