"""How events relate to each other (Client-Server API, "Forming relationships between events" and "Rich replies")."""

from __future__ import annotations

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
