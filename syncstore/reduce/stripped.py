"""Invite and knock piles: stripped state, which never mixes with the state we have (promise 7)."""

from __future__ import annotations

from syncstore.model.batch import Bad, RoomEntry, Typed
from syncstore.model.changes import StrippedRow


def stripped_rows(entry: RoomEntry, bad: list[Bad]) -> list[StrippedRow]:
    """The pile as the server sent it, the newest event of each key; events without a state_key go to `bad`."""
    rows: dict[tuple[str, str], StrippedRow] = {}
    for event in entry.stripped:
        if event.state_key is None:
            reason = f"stripped {event.type} has no state_key"
            bad.append(
                Bad(entry.room_id, f"{entry.section}_state", None, "missing_key", reason, event.content.encode())
            )
            continue
        rows[event.type, event.state_key] = StrippedRow(
            event.type, event.state_key, event.sender, event.content, event.extra, event.odd
        )
    return list(rows.values())


def own_invite(entry: RoomEntry, user_id: str) -> Typed | None:
    """The stripped member event that invites us, if the server sent it."""
    for event in reversed(entry.stripped):
        if event.type == "m.room.member" and event.state_key == user_id:
            return event if event.body.get("membership") == "invite" else None
    return None
