"""What another process does to a store: run by spawn, so it shares nothing with the test."""

from __future__ import annotations

from syncstore import SyncStore
from syncstore.errors import StaleBatchError
from tests.store.bodies import ROOM, Body, message


def sync_until(path: str, last: int) -> int:
    """Sync a server whose nth response follows token s(n-1), until token s<last>; returns how many were taken here."""
    taken = 0
    with SyncStore.open(path) as store:
        while (token := store.token) != f"s{last}":
            number = int((token or "s0")[1:]) + 1
            body = Body(f"s{number}").join(ROOM, message(f"${number}")).to_device({"n": number})
            try:
                taken += not store.apply(body.done(), since=token, held=token).repeated
            except StaleBatchError:
                continue
    return taken


def hold_gap(path: str, room_id: str) -> bool:
    """Whether this process gets the room's gap for a request."""
    with SyncStore.open(path) as store, store.lease_gap(store.room(room_id).gaps()[0], 60) as row:
        return row is not None


def apply_one(path: str, body: bytes) -> None:
    with SyncStore.open(path) as store:
        store.apply(body)


def open_new(path: str, user_id: str, passphrase: str | None = None) -> str:
    with SyncStore.open(path, user_id=user_id, passphrase=passphrase) as store:
        return store.user_id
