"""How events relate to each other (Client-Server API, "Forming relationships between events" and "Rich replies")."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from syncstore.model.text import is_text


def replied_to(relation: Mapping[str, Any]) -> str | None:
    """The event that an `m.relates_to` answers; None for the fallback of a thread, which answers nobody."""
    if relation.get("rel_type") == "m.thread" and relation.get("is_falling_back") is True:
        return None
    reply = relation.get("m.in_reply_to")
    event_id = reply.get("event_id") if isinstance(reply, dict) else None
    return event_id if is_text(event_id) else None


def targets_of(content: Mapping[str, Any]) -> list[str]:
    """The events that a content names in its `m.relates_to`: what it relates to, and what it answers."""
    relation = content.get("m.relates_to")
    if not isinstance(relation, dict):
        return []
    return [holder["event_id"] for holder in _holders(relation) if is_text(holder.get("event_id"))]


def with_target(content: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """The content with another event in the places where it named one."""
    changed = copy.deepcopy(dict(content))
    relation = changed.get("m.relates_to")
    for holder in _holders(relation) if isinstance(relation, dict) else ():
        if holder.get("event_id") == old:
            holder["event_id"] = new
    return changed


def _holders(relation: dict[str, Any]) -> list[dict[str, Any]]:
    reply = relation.get("m.in_reply_to")
    return [relation, reply] if isinstance(reply, dict) else [relation]
