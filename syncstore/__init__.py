"""syncstore: a durable, queryable, local replica of one Matrix account in one SQLite file.

with SyncStore.open("alice.db", user_id="@alice:example.org") as store:
    Syncer(Homeserver("https://example.org", access_token=token), store).run_once()
    for room in store.rooms("join"):
        print(room.display_name)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syncstore.ingest import SyncStore
from syncstore.model.change import Arrival, Change, Consumer
from syncstore.model.outgoing import Outgoing
from syncstore.model.records import Applied, Event, Filled, Gap, Info, Page, StrippedEvent
from syncstore.model.room_records import Member, Receipt
from syncstore.reads import Snapshot
from syncstore.room import Room

if TYPE_CHECKING:
    from syncstore.encryption import decrypt, encrypt, rekey
    from syncstore.net import Homeserver
    from syncstore.sync import Syncer

# The network is loaded only when it is used: reading a store needs neither requests nor its parts.
_LATER = {
    "Homeserver": "syncstore.net",
    "Syncer": "syncstore.sync",
    **dict.fromkeys(("decrypt", "encrypt", "rekey"), "syncstore.encryption"),
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'syncstore' has no attribute {name!r}")


__all__ = [
    "Applied",
    "Arrival",
    "Change",
    "Consumer",
    "Event",
    "Filled",
    "Gap",
    "Homeserver",
    "Info",
    "Member",
    "Outgoing",
    "Page",
    "Receipt",
    "Room",
    "Snapshot",
    "StrippedEvent",
    "SyncStore",
    "Syncer",
    "decrypt",
    "encrypt",
    "rekey",
]
