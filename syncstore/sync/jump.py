"""Going to an event, or to a day, that no sync and no walk has brought yet (promise 21)."""

from __future__ import annotations

from syncstore.errors import NotFoundError, ServerError
from syncstore.ingest import SyncStore
from syncstore.model.records import Event, Gap
from syncstore.net import Homeserver


def jump(server: Homeserver, store: SyncStore, room_id: str, event_id: str, limit: int) -> Event:
    """Fetch what stands around an event, unless it is all stored."""
    room = store.room(room_id)
    if not _surrounded(store, room_id, event_id, limit):
        store.apply_context(room_id, server.context(room_id, event_id, limit=limit).body)
    found = room.event(event_id)
    if found is None:
        raise NotFoundError(f"{event_id} could not be read: see the quarantine")
    return found


def _surrounded(store: SyncStore, room_id: str, event_id: str, limit: int) -> bool:
    try:
        page = store.room(room_id).timeline(limit, around=event_id)
    except NotFoundError:
        return False
    return not any(isinstance(item, Gap) for item in page.items)


def jump_to_date(server: Homeserver, store: SyncStore, room_id: str, ts: int, limit: int) -> Event:
    """Fetch the first event of a moment (ms) or after it; the last one before it if nothing came later."""
    try:
        event_id = server.event_at(room_id, ts, dir="f")
    except ServerError as error:
        if error.status != 404:
            raise
        event_id = server.event_at(room_id, ts, dir="b")
    return jump(server, store, room_id, event_id, limit)
