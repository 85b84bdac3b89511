"""Comparing the store with the server, and mending what drifted (promise 22).

While we ask, rooms go on. So what differs is asked for a second time after another sync, and only what differs again
is drift.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from syncstore.errors import ServerError
from syncstore.ingest import SyncStore
from syncstore.model.records import Drift
from syncstore.net import Homeserver
from syncstore.sync.backfill import fill

_TRIES = 5
Sync = Callable[[], object]


def verify(server: Homeserver, store: SyncStore, sync: Sync, room_id: str | None, limit: int) -> list[Drift]:
    """Everything in which one room, or every room, differs from the server."""
    sync()
    found = _twice(sync, lambda: _memberships(server, store, room_id))
    lost = {drift.room_id for drift in found}
    if room_id is not None and room_id not in lost:
        store.room(room_id)
    for room in store.rooms("join"):
        if room_id in (None, room.room_id) and room.room_id not in lost:
            found += _room(server, store, sync, room.room_id, limit)
    return found


def _room(server: Homeserver, store: SyncStore, sync: Sync, room_id: str, limit: int) -> list[Drift]:
    found = _twice(sync, lambda: store.state_drift(room_id, server.state(room_id).body))
    found += _twice(sync, lambda: store.message_drift(room_id, _newest(server, store, room_id, limit)))
    suspect = store.room(room_id).suspect
    return found if suspect is None else [*found, Drift(room_id, "suspect", suspect)]


def _twice(sync: Sync, look: Callable[[], list[Drift]]) -> list[Drift]:
    found = look()
    if not found:
        return found
    sync()
    again = look()
    return [drift for drift in found if drift in again]


def _memberships(server: Homeserver, store: SyncStore, room_id: str | None) -> list[Drift]:
    there = set(server.joined_rooms())
    here = {room.room_id: room.membership for room in store.rooms()}
    found = [
        Drift(one, "membership", "joined here, not on the server")
        for one, membership in sorted(here.items())
        if membership == "join" and one not in there
    ]
    found += [
        Drift(one, "membership", f"joined on the server, {here.get(one, 'unknown')} here")
        for one in sorted(there)
        if here.get(one) != "join"
    ]
    return [drift for drift in found if room_id in (None, drift.room_id)]


def _newest(server: Homeserver, store: SyncStore, room_id: str, limit: int) -> bytes | bytearray:
    return server.messages(room_id, from_=store.token, dir="b", limit=limit).body


def repair(server: Homeserver, store: SyncStore, sync: Sync, found: list[Drift], limit: int, pages: int) -> list[Drift]:
    """Mend what was found, room by room; what cannot be mended stays as it was found."""
    mended: list[Drift] = []
    for room_id in dict.fromkeys(drift.room_id for drift in found):
        of_room = [drift for drift in found if drift.room_id == room_id]
        try:
            done = _repair_room(server, store, sync, room_id, {drift.kind for drift in of_room}, limit, pages)
        except ServerError as error:
            mended += [replace(drift, detail=f"{drift.detail}; not repaired: {error}") for drift in of_room]
        else:
            mended += [replace(drift, repaired=drift.kind in done) for drift in of_room]
    return mended


def _repair_room(
    server: Homeserver, store: SyncStore, sync: Sync, room_id: str, kinds: set[str], limit: int, pages: int
) -> set[str]:
    if "membership" in kinds and room_id not in server.joined_rooms():
        store.mark_left(room_id)
        return kinds
    done = set(kinds)
    if kinds & {"membership", "state"} and not _restate(server, store, sync, room_id):
        done -= {"membership", "state"}
    if "redaction" in kinds:
        store.apply_copies(room_id, _newest(server, store, room_id, limit))
    if kinds & {"missing", "suspect"}:
        store.walk_again(room_id)
    if kinds & {"missing", "suspect", "membership"}:
        _walk(server, store, room_id, limit, pages)
    return done


def _restate(server: Homeserver, store: SyncStore, sync: Sync, room_id: str) -> bool:
    """Take the server's state, unless a sync comes in between each time."""
    for _ in range(_TRIES):
        token = store.token
        if token is not None and store.restate(room_id, server.state(room_id).body, asked_under=token):
            return True
        sync()
    return False


def _walk(server: Homeserver, store: SyncStore, room_id: str, limit: int, pages: int) -> None:
    """Fill the newest gap as far as the pages go; the rest stays a gap, for back-fill."""
    gap = next(iter(store.room(room_id).gaps()), None)
    while gap is not None and gap.status == "open" and pages > 0:
        pages -= 1
        gap = fill(server, store, gap, limit).gap
