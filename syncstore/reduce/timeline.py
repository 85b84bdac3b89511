"""Which events of a room entry shall have a place, and in which order."""

from __future__ import annotations

from syncstore.model.batch import RoomEntry, RoomEvent
from syncstore.model.changes import TimelineChange


def timeline_change(entry: RoomEntry) -> TimelineChange | None:
    """The timeline of a join or leave entry.

    A joined room always gets one, also when the entry brought none: whether that leaves a hole is for the store to know
    (promise 12). A leave entry without events that is not limited says nothing of the timeline.
    """
    if entry.section == "join" or entry.timeline or entry.limited:
        return TimelineChange(entry.timeline, entry.limited, entry.prev_batch, entry.has_timeline)
    return None


def once(events: list[RoomEvent]) -> list[RoomEvent]:
    """Each event once: its first mention counts, for an event has at most one place."""
    if len(events) < 2 or len({event.event_id for event in events}) == len(events):
        return events
    found: dict[str, RoomEvent] = {}
    for event in events:
        found.setdefault(event.event_id, event)
    return list(found.values())


def beside_timeline(entry: RoomEntry) -> list[RoomEvent]:
    """Events of the state block that the timeline does not hold: stored without a place."""
    if not entry.state:
        return []
    placed = {event.event_id for event in entry.timeline}
    return [event for event in entry.state if event.event_id not in placed]
