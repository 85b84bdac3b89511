"""What a response says of the account itself: direct chats, ignored users, presence, to-device messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncstore.model.batch import Bad, Typed
from syncstore.model.changes import PresenceRow, ToDeviceRow
from syncstore.model.text import is_text


def _newest(events: Sequence[Typed], type_: str) -> Typed | None:
    return next((event for event in reversed(events) if event.type == type_), None)


def direct_rooms(events: Sequence[Typed]) -> list[tuple[str, str]] | None:
    """(room_id, user_id) of m.direct, or None if this response does not change it."""
    event = _newest(events, "m.direct")
    if event is None:
        return None
    pairs = {
        (room_id, user_id)
        for user_id, rooms in event.body.items()
        if isinstance(rooms, list)
        for room_id in rooms
        if is_text(room_id) and is_text(user_id)
    }
    return sorted(pairs)


def ignored_users(events: Sequence[Typed]) -> set[str] | None:
    """Who is ignored from now on, or None if this response does not change it."""
    event = _newest(events, "m.ignored_user_list")
    if event is None:
        return None
    users = event.body.get("ignored_users")
    return set(users) if isinstance(users, dict) else set()


def presence_rows(events: Iterable[Typed], bad: list[Bad]) -> list[PresenceRow]:
    """Presence by user; an event that names nobody goes to `bad`."""
    rows: dict[str, PresenceRow] = {}
    for event in events:
        if event.sender is None:
            bad.append(_nameless("presence", event))
            continue
        ago = event.body.get("last_active_ago")
        rows[event.sender] = PresenceRow(
            event.sender,
            _text(event.body.get("presence")),
            ago if isinstance(ago, int) and abs(ago) < 2**53 else None,
            _text(event.body.get("status_msg")),
            event.content,
        )
    return list(rows.values())


def to_device_rows(events: Iterable[Typed], bad: list[Bad]) -> list[ToDeviceRow]:
    """To-device messages in their order; one without a sender goes to `bad`."""
    rows: list[ToDeviceRow] = []
    for event in events:
        if event.sender is None:
            bad.append(_nameless("to_device", event))
        else:
            rows.append(ToDeviceRow(event.sender, event.type, event.content, event.extra, event.odd))
    return rows


def _nameless(section: str, event: Typed) -> Bad:
    return Bad(None, section, None, "missing_key", f"{event.type} has no sender", event.content.encode())


def _text(value: object) -> str | None:
    return value if is_text(value) else None
