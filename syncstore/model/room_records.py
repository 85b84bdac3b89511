"""What is read of rooms and their people; see records.py for events and what they make up.

Columns are those of the documented views (docs/schema.md). Timestamps are integer milliseconds since 1970.
"""

from __future__ import annotations

from msgspec import Struct

from syncstore.model.json_text import decode


class Member(Struct, frozen=True):
    """A member of a room: `display_name` as sent, `name` what to show.

    `name` has the id after it where another member who is here or invited has the same name, and is the id where there
    is no display name. Under lazy loading others of the same name may not be known yet.
    """

    room_id: str
    user_id: str
    membership: str | None
    display_name: str | None
    avatar_url: str | None
    event_id: str
    batch: int
    name: str


class Receipt(Struct, frozen=True):
    """How far a user has read; `thread_id` is None for a receipt that is not threaded."""

    room_id: str
    user_id: str
    receipt_type: str
    thread_id: str | None
    event_id: str
    ts: int | None
    batch: int


class RoomRecord(Struct, frozen=True):
    """A row of `rooms`."""

    room_id: str
    membership: str
    display_name: str | None
    name: str | None
    topic: str | None
    avatar_url: str | None
    canonical_alias: str | None
    room_type: str | None
    room_version: str | None
    encryption: str | None
    inviter: str | None
    is_direct: bool
    joined_member_count: int
    invited_member_count: int
    members_synced: bool
    notification_count: int
    highlight_count: int
    recency_ts: int | None
    latest_event_id: str | None
    gap_count: int
    batch: int
    suspect: str | None
    tags_json: str | None
    marked_unread: bool
    predecessor: str | None
    successor: str | None

    @property
    def tags(self) -> dict[str, float | None]:
        """Our tags of this room (m.favourite, m.lowpriority, u.…) with their order, None where that is no number."""
        found = decode(self.tags_json) if self.tags_json else {}
        return {name: _order(tag) for name, tag in found.items()} if isinstance(found, dict) else {}


def _order(tag: object) -> float | None:
    order = tag.get("order") if isinstance(tag, dict) else None
    # Some clients write the number as a text.
    try:
        return float(order) if isinstance(order, int | float | str) and not isinstance(order, bool) else None
    except (ValueError, OverflowError):
        return None


class SpaceChild(Struct, frozen=True):
    """A room that a space names. `via`: servers to join it through. `order`: None if it is no legal one."""

    room_id: str
    via: list[str]
    order: str | None
    suggested: bool


class SpaceParent(Struct, frozen=True):
    """A space that a room says it belongs to; `canonical` is its main one."""

    room_id: str
    via: list[str]
    canonical: bool


class SpaceNode(Struct, frozen=True):
    """A place in the tree of spaces: a room, known to the store or not, and what it names as its children, in order."""

    room_id: str
    via: list[str]
    suggested: bool
    room: RoomRecord | None
    children: list[SpaceNode]
