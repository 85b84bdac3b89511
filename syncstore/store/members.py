"""The whole member list of a room, asked for on demand under lazy loading (promise 10)."""

from __future__ import annotations

import time

from syncstore.errors import NotFoundError
from syncstore.model.batch import Page, RoomEvent, membership_of
from syncstore.model.changes import BEFORE_TIMELINE, Step
from syncstore.store import room
from syncstore.store.account import write_quarantine
from syncstore.store.connection import Connections
from syncstore.store.event import known_events, write_events
from syncstore.store.impostor import is_itself, set_aside_impostors
from syncstore.store.naming import derive_rooms
from syncstore.store.redaction import apply_redactions
from syncstore.store.state import restate_members
from syncstore.store.write import Write, finish_page


def apply_members(connections: Connections, room_id: str, page: Page, asked_at: int) -> int:
    """Commit an answer of /members: the list becomes exactly that, but for members set since it was asked.

    asked_at: the newest batch when the request was sent. What a later batch set is newer than the answer and stays.
    Returns how many events were stripped by redactions that came to light.
    """
    with connections.write() as cursor:
        write = Write(cursor, "members", int(time.time() * 1000))
        row = room.find(write, room_id)
        if row is None:
            raise NotFoundError(f"the store has no room {room_id}")
        write_quarantine(write, page.bad)
        events = list({event.event_id: event for event in page.events if _is_member(event)}.values())
        known = known_events(write, row.id, events)
        ids = write_events(write, row.id, "members", events, known)
        set_aside_impostors(write, room_id, events, known)
        steps = [_step(event) for event in events if is_itself(event, known.get(event.event_id))]
        restate_members(write, row, steps, ids, asked_at)
        row.members_synced = 1
        write.touch(row.id, "members")
        room.save(write, row)
        apply_redactions(write)
        derive_rooms(write)
        finish_page(write)
        return write.stripped_count


def _is_member(event: RoomEvent) -> bool:
    return event.type == "m.room.member" and event.state_key is not None


def _step(event: RoomEvent) -> Step:
    membership = membership_of(event.type, event.body)
    return Step(event.type, event.state_key or "", event.event_id, membership, BEFORE_TIMELINE)
