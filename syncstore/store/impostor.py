"""Events that come under the id of another one: the first stays, the other one's content is set aside (promise 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from syncstore.model.batch import Bad, RoomEvent
from syncstore.model.changes import Step
from syncstore.store.account import write_quarantine
from syncstore.store.event import Known
from syncstore.store.write import Write


def is_itself(one: Step | RoomEvent, stored: Known | None) -> bool:
    """Whether it is of the type and key that are stored under its id: a key must not point to another's event."""
    return stored is None or (stored.type, stored.state_key) == (one.type, one.state_key)


def set_aside_impostors(write: Write, room_id: str, events: Iterable[RoomEvent], known: Mapping[str, Known]) -> None:
    """Put the contents of those that are not what is stored under their ids into quarantine."""
    for one in events:
        if not is_itself(one, known.get(one.event_id)):
            stored = known[one.event_id]
            reason = f"stored as {stored.type} {stored.state_key!r}, now sent as {one.type} {one.state_key!r}"
            bad = Bad(room_id, "state", one.event_id, "other_event", reason, one.content.encode())
            write_quarantine(write, [bad])
