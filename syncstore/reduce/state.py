"""How a state block and a timeline change the state pile, in each of the three forms.

All forms come down to one list of steps in the order of application:

- classic: the block stands before the timeline; then every state event of the timeline.
- state_after: the block is the end. Timeline events are not applied, except on the way to the block's own event of the
  same key: they were the state in between, and "state as of this event" needs them. They never decide the end.
- 2015: the block is the end too, but a timeline event whose key the block does not name counts. A block event that is
  also in the timeline has the last word for its key (docs/decisions/0002).
"""

from __future__ import annotations

from collections.abc import Iterator

from syncstore.model.batch import RoomEntry, RoomEvent, membership_of
from syncstore.model.changes import BEFORE_TIMELINE, Step
from syncstore.reduce.timeline import beside_timeline

_Key = tuple[str, str | None]


def steps(entry: RoomEntry, user_id: str) -> list[Step]:
    """The changes of the state pile that this join or leave entry asks for, in order."""
    return list(_classic_steps(entry) if entry.state_as_of == "start" else _end_steps(entry, user_id))


def brings_create(entry: RoomEntry) -> bool:
    """Whether the entry restates the room: its block, or its classic or 2015 timeline, holds m.room.create."""
    told = entry.state if entry.state_as_of == "after" else entry.state + entry.timeline
    return any(event.type == "m.room.create" and event.state_key == "" for event in told)


def own_membership(entry: RoomEntry, user_id: str) -> str | None:
    """The membership that our newest own member event of this entry tells, None if it has none."""
    for event in (*reversed(entry.timeline), *reversed(entry.state)):
        if _key(event) == ("m.room.member", user_id):
            return membership_of(event.type, event.body)
    return None


def _classic_steps(entry: RoomEntry) -> Iterator[Step]:
    # Under lazy loading the block repeats member events of the timeline: their place there is the true one.
    for event in beside_timeline(entry):
        yield _step(event, BEFORE_TIMELINE)
    for at, event in enumerate(entry.timeline):
        if event.state_key is not None:
            yield _step(event, at)


def _end_steps(entry: RoomEntry, user_id: str) -> Iterator[Step]:
    last_word = {_key(event): event.event_id for event in entry.state}
    placed = {event.event_id: at for at, event in enumerate(entry.timeline)}
    for event in beside_timeline(entry):
        yield _step(event, BEFORE_TIMELINE)
    for at, event in enumerate(entry.timeline):
        if event.state_key is not None and _counts(entry, event, at, last_word, placed, user_id):
            yield _step(event, at)


def _counts(
    entry: RoomEntry, event: RoomEvent, at: int, last_word: dict[_Key, str], placed: dict[str, int], user_id: str
) -> bool:
    """Whether a timeline event of these forms is ever the state of its key."""
    # A leave entry's state_after can lack our own leave: promise 8 applies it in every form.
    if entry.section == "leave" and _key(event) == ("m.room.member", user_id):
        return True
    final = last_word.get(_key(event))
    if final is None or final not in placed:
        return entry.state_as_of == "2015"
    return at <= placed[final]


def _key(event: RoomEvent) -> _Key:
    return event.type, event.state_key


def _step(event: RoomEvent, at: int) -> Step:
    assert event.state_key is not None
    return Step(event.type, event.state_key, event.event_id, membership_of(event.type, event.body), at)
