"""What it takes to hold: the peak of a large first sync over the network, and of opening a large store. Linux only."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.children import numbers
from benchmarks.loopback import serving
from benchmarks.page import Bar, Json, Measured, prose
from benchmarks.workload import USER, long_account, long_body, one_room
from syncstore import SyncStore

MB = 1_000_000
_BODY = 200 * MB
_MEMBERS = 100_000
_ROOMS, _EVENTS = 1_000, 1_000_000

_FIRST_SYNC = """
import sys
from syncstore import Homeserver, SyncStore, Syncer, writing
from benchmarks.rss import now, peak
before = now()
url, path, user, rooms = sys.argv[1:]
with SyncStore.open(path, user_id=user) as store:
    Syncer(Homeserver(url, access_token="secret"), store).run_once()
    assert len(store.rooms()) == int(rooms)
print(peak() - before)
"""
_OPEN = """
import sys
import sqlalchemy
from benchmarks.rss import now, peak
before = now()
from syncstore import SyncStore
with SyncStore.open(sys.argv[1]) as store:
    page = store.rooms()[0].timeline(limit=50)
    assert len(page.items) == 50
print(peak() - before)
"""


def first_sync(at_least: int) -> tuple[int, int]:
    """Bytes of a first sync's body, and by how much its process grew at most, over what it had after its imports."""
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body.json"
        return _synced(body, long_body(body, at_least))


def large_room(members: int) -> tuple[int, int]:
    """The same two numbers of a first sync that has one room of so many members."""
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body.json"
        one_room(body, members)
        return _synced(body, 1)


def _synced(body: Path, rooms: int) -> tuple[int, int]:
    with serving(body) as url:
        grown = numbers(_FIRST_SYNC, url, body.with_name("store.db"), USER, rooms)[0]
    return body.stat().st_size, int(grown)


def open_large(path: Path) -> int:
    """By how many bytes a process that opens a store, lists rooms and shows a page grows over `import sqlalchemy`."""
    return int(numbers(_OPEN, path)[0])


def measure(rounds: int) -> Measured:
    """A first sync, `rounds` times; a large store, made once and opened `rounds` times."""
    synced = [first_sync(_BODY) for _ in range(rounds)]
    rooms = [large_room(_MEMBERS) for _ in range(rounds)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.db"
        with SyncStore.open(path, user_id=USER) as store:
            for response in long_account(_ROOMS, _EVENTS):
                store.apply(response)
        size = path.stat().st_size
        opened = [open_large(path) for _ in range(rounds)]
    result = {
        "rounds": rounds,
        "body_mb": round(synced[0][0] / MB, 1),
        "sync_mb": round(statistics.median(grown for _, grown in synced) / MB, 1),
        "sync_ratio": round(statistics.median(grown / body for body, grown in synced), 3),
        "members": _MEMBERS,
        "room_body_mb": round(rooms[0][0] / MB, 1),
        "room_mb": round(statistics.median(grown for _, grown in rooms) / MB, 1),
        "rooms": _ROOMS,
        "events": _EVENTS,
        "file_mb": round(size / MB, 1),
        "open_mb": round(statistics.median(opened) / MB, 1),
    }
    bars = [
        Bar("peak of the first sync of a 200 MB body, over the body", result["sync_ratio"], 1.6),
        Bar("peak of opening a million events, above `import sqlalchemy`", result["open_mb"], 80, " MB"),
    ]
    return Measured(result, bars)


def section(result: Json) -> str:
    """The three peaks."""
    body, synced, file, opened = (f"{result[key]:.0f} MB" for key in ("body_mb", "sync_mb", "file_mb", "open_mb"))
    sync = f"""
        A first sync of {body} of JSON, by `Homeserver` and `Syncer` from a server on loopback: {synced} over what the
        process had after its imports, {result["sync_ratio"]:.2f} times the body. The body is held once; 64 MiB are the
        cache of the connection that writes; rooms are parsed one by one.
    """
    room = f"""
        A room is held whole while it is written: a first sync of {result["room_body_mb"]:.0f} MB that is one room of
        {result["members"]:,} members takes {result["room_mb"]:.0f} MB.
    """
    store = f"""
        A store of {result["events"]:,} events in {result["rooms"]:,} rooms, a file of {file}: opened, rooms listed, a
        page of 50 shown, with {opened} over what `import sqlalchemy` alone takes.
    """
    intro = f"By how much a fresh process grew at most (resident, on Linux); medians of {result['rounds']}."
    return "\n".join(["## Memory", "", intro, "", *(prose(text, "- ") for text in (sync, room, store))])
