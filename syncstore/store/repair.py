"""What `verify` mends: a pile made equal to the server's, a room left unseen, history walked again (promise 22)."""

from __future__ import annotations

import time

from syncstore.errors import NotFoundError
from syncstore.model.batch import Page, membership_of
from syncstore.model.changes import BEFORE_TIMELINE, Step
from syncstore.store import room, stripped
from syncstore.store.account import write_quarantine
from syncstore.store.connection import Connections
from syncstore.store.ephemeral import clear_typing
from syncstore.store.event import known_events, write_events
from syncstore.store.impostor import is_itself, set_aside_impostors
from syncstore.store.naming import derive_rooms
from syncstore.store.redaction import apply_redactions
from syncstore.store.room import RoomRow
from syncstore.store.state import apply_steps
from syncstore.store.timeline import freeze, open_walk
from syncstore.store.write import Write, finish_page


def restate(connections: Connections, room_id: str, page: Page, asked_under: str) -> int | None:
    """Make the pile exactly an answer of /state, and the room one that we are joined to.

    asked_under: the stored token when it was asked. Returns how many events were stripped; None, and nothing is
    written, if a sync has been committed since: what it brought may be newer than the answer.
    """
    with connections.write() as cursor:
        write = Write(cursor, "repair", int(time.time() * 1000))
        if write.token != asked_under:
            return None
        row = room.find(write, room_id)
        new_room = row is None
        row = row or room.make(write, room_id, "join")
        write_quarantine(write, page.bad)
        if row.membership != "join" or new_room:
            _enter(write, row, asked_under)
        _restate_pile(write, row, page, new_room=new_room)
        row.members_synced = 1
        write.derive.add(row.id)
        room.save(write, row)
        apply_redactions(write)
        derive_rooms(write)
        finish_page(write)
        return write.stripped_count


def _enter(write: Write, row: RoomRow, token: str) -> None:
    """No sync told that we joined: what was said before now lies in a gap."""
    stripped.clear_piles(write, row)
    row.inviter, row.invited_directly = None, 0
    open_walk(write, row, row.covered_to, token)
    row.membership, row.covered_to, row.covered_batch = "join", None, None
    write.touch(row.id, "membership")


def _restate_pile(write: Write, row: RoomRow, page: Page, *, new_room: bool) -> None:
    events = {event.event_id: event for event in page.events if event.state_key is not None}
    known = known_events(write, row.id, events.values())
    ids = write_events(write, row.id, "state", list(events.values()), known)
    set_aside_impostors(write, row.room_id, events.values(), known)
    steps = [
        Step(one.type, one.state_key or "", one.event_id, membership_of(one.type, one.body), BEFORE_TIMELINE)
        for one in events.values()
        if is_itself(one, known.get(one.event_id))
    ]
    place = (None, None) if row.last_segment is None else (row.last_segment, row.last_position + 1)
    apply_steps(write, row, steps, ids, (), place, new_room=new_room, restates=True)


def mark_left(connections: Connections, room_id: str) -> None:
    """We are no longer in a room, and no sync has told: what we hold of it is archived."""
    with connections.write() as cursor:
        write = Write(cursor, "repair", int(time.time() * 1000))
        row = _found(write, room_id)
        if row.membership == "join" and row.covered_to is None:
            freeze(write, row, write.token)
        stripped.clear_piles(write, row)
        row.membership = "leave"
        clear_typing(write, row.id)
        write.touch(row.id, "membership")
        write.derive.add(row.id)
        room.save(write, row)
        derive_rooms(write)
        write.write_touched()


def walk_again(connections: Connections, room_id: str) -> None:
    """Open a gap over all that a room's history may lack; the mark of promise 19 has then become a gap."""
    with connections.write() as cursor:
        write = Write(cursor, "repair", int(time.time() * 1000))
        row = _found(write, room_id)
        assert write.token is not None
        open_walk(write, row, None, write.token)
        row.suspect = row.suspect_batch = None
        room.save(write, row)
        write.write_touched()


def _found(write: Write, room_id: str) -> RoomRow:
    row = room.find(write, room_id)
    if row is None:
        raise NotFoundError(f"the store has no room {room_id}")
    return row
