"""An event in one line, for the timeline."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncstore.model.records import Event, Gap

Content = dict[str, Any]
_SHORT = 120


def described(event: Event) -> str:
    """What happened; an event of an unknown kind, or with an odd content, by its type and the start of its content."""
    if event.redacted_by is not None:
        return f"(redacted {event.type} by {event.redacted_by})"
    words = _WORDS.get(event.decrypted_type or event.type)
    said = words(event, _content(event)) if words else None
    if said is None:
        return _generic(event)
    if event.rel_type == "m.replace":
        return f"* edited {event.relates_to}: {said}"
    return said + " (edited)" if event.edited_by else said


def gap_line(gap: Gap) -> str:
    """A hole, by what it takes to fill it."""
    beginning = "an unknown point" if gap.kind == "island" else "the beginning"
    ends = f"prev_batch {gap.prev_batch or 'unknown'}, since {gap.since or beginning}"
    reason = f": {gap.reason}" if gap.reason else ""
    return f"gap {gap.id} ({gap.kind}, {gap.status}{reason}) {ends}"


def _content(event: Event) -> Content:
    """Decrypted where it was, and as last edited; of an edit, what it puts in the place of the old."""
    try:
        sent = event.decrypted
        sent = event.content if sent is None else sent
        found = sent if event.edited is None else event.edited
        if event.rel_type == "m.replace":
            found = found.get("m.new_content", found)
    except ValueError:  # a number of thousands of digits
        return {}
    return found if isinstance(found, dict) else {}


def _generic(event: Event) -> str:
    key = f" {event.state_key}" if event.state_key else ""
    text = event.content_json if event.decrypted_json is None else event.decrypted_json
    return f"[{event.decrypted_type or event.type}{key}] {text if len(text) <= _SHORT else text[:_SHORT] + '…'}"


def _message(event: Event, content: Content) -> str | None:
    body, msgtype = content.get("body"), content.get("msgtype")
    if not isinstance(body, str) or not isinstance(msgtype, str):
        return None
    if msgtype == "m.emote":
        return f"* {body}"
    return body if msgtype in ("m.text", "m.notice") else f"[{msgtype}] {body}"


def _member(event: Event, content: Content) -> str | None:
    membership, user = content.get("membership"), event.state_key
    if membership == "leave":
        return f"* {user} left" if user == event.sender else f"* made {user} leave"
    words = {"join": "{} joined", "invite": "invited {}", "ban": "banned {}", "knock": "{} knocked"}
    return "* " + words[membership].format(user) if isinstance(membership, str) and membership in words else None


def _names(what: str, field: str) -> Callable[[Event, Content], str | None]:
    """A state event of one telling field."""

    def said(event: Event, content: Content) -> str | None:
        value = content.get(field)
        return f"* {what}: {value}" if isinstance(value, str) else None

    return said


def _create(event: Event, content: Content) -> str | None:
    return f"* created the room, version {json.dumps(content.get('room_version', '1'))}"


def _redaction(event: Event, content: Content) -> str | None:
    target = event.redacts or content.get("redacts")
    return f"* redacted {target}" if isinstance(target, str) else None


def _reaction(event: Event, content: Content) -> str | None:
    relation = content.get("m.relates_to")
    key = relation.get("key") if isinstance(relation, dict) else None
    return f"* reacted {key} to {event.relates_to}" if isinstance(key, str) and event.relates_to else None


_WORDS: dict[str, Callable[[Event, Content], str | None]] = {
    "m.room.message": _message,
    "m.room.encrypted": lambda event, content: "(encrypted)",
    "m.room.member": _member,
    "m.room.create": _create,
    "m.room.redaction": _redaction,
    "m.reaction": _reaction,
    "m.room.name": _names("name", "name"),
    "m.room.topic": _names("topic", "topic"),
    "m.room.canonical_alias": _names("alias", "alias"),
    "m.room.encryption": _names("encryption", "algorithm"),
    "m.room.join_rules": _names("join rule", "join_rule"),
    "m.room.history_visibility": _names("history visibility", "history_visibility"),
    "m.room.guest_access": _names("guest access", "guest_access"),
}
