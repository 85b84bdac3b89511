"""Syncing once or for ever, and filling gaps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from syncstore.cli import places, show
from syncstore.cli.options import AsJson, ServerUrl, SomeRoom, TokenFile, text
from syncstore.errors import DriftError

if TYPE_CHECKING:
    from syncstore.cli.progress import Progress
    from syncstore.model.records import Gap
    from syncstore.sync import Syncer

Follow = Annotated[bool, typer.Option("--once/--follow", help="One sync, or on and on until SIGINT or SIGTERM.")]
Record = Annotated[
    Path | None,
    typer.Option("--record", metavar="DIR", help="Keep every response, as a bug report to be replayed."),
]
FullMembers = Annotated[bool, typer.Option("--full-members", help="All members of all rooms, not loaded lazily.")]
Rebind = Annotated[bool, typer.Option("--rebind", help="Take the store to the access token's device: a new login.")]
Pages = Annotated[int, typer.Option("--pages", min=1, help="Pages to fetch at most, over all gaps.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Events of a page at most.")]
Repair = Annotated[bool, typer.Option("--repair", help="Take the server's word, and record what is missing as gaps.")]
EventId = Annotated[
    str | None,
    typer.Option("--event", metavar="EVENT_ID", callback=text, help="Fetch what stands around this event instead."),
]
Date = Annotated[
    datetime | None,
    typer.Option(
        "--date",
        metavar="DATE",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        help="Fetch what stands around the first event of this moment (UTC) instead.",
    ),
]


def sync(
    context: typer.Context,
    once: Follow = True,
    record: Record = None,
    full_members: FullMembers = False,
    homeserver: ServerUrl = None,
    token_file: TokenFile = None,
    rebind: Rebind = False,
) -> None:
    """Fetch what is new and store it."""
    where = places.where(context)
    from syncstore.cli.progress import Progress
    from syncstore.cli.server import connected
    from syncstore.sync import Syncer

    progress = Progress()
    with connected(where, homeserver, token_file, create=True, rebind=rebind) as (server, store):
        syncer = Syncer(
            server,
            store,
            full_members=full_members,
            on_batch=progress.on_batch,
            on_status=progress.on_status,
            record=record,
        )
        try:
            if once:
                syncer.run_once()
                syncer.flush()
            else:
                _follow(syncer)
        finally:
            progress.stop()


class _Stop(BaseException):
    """Leaves a wait for the network; no library on the way takes it for a failure of its own."""


def _follow(syncer: Syncer) -> None:
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        # While a batch is being stored the loop ends by itself after the commit.
        if syncer.interruptible:
            raise _Stop

    with _signals(on_signal):
        try:
            syncer.run_forever(stop)
        except _Stop:
            return


@contextmanager
def _signals(on_signal: signal._HANDLER) -> Iterator[None]:
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def backfill(
    context: typer.Context,
    room: SomeRoom = None,
    pages: Pages = 10,
    limit: Limit = 100,
    event: EventId = None,
    date: Date = None,
    homeserver: ServerUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Fill the gaps of a room, or of all rooms, page by page from their newer end."""
    where = places.where(context)
    if (event is not None or date is not None) and (room is None or None not in (event, date)):
        raise typer.BadParameter("--event or --date needs a ROOM, and they cannot be combined")
    from syncstore.cli.progress import Progress
    from syncstore.cli.server import connected
    from syncstore.sync import Syncer

    progress = Progress()
    with connected(where, homeserver, token_file) as (server, store):
        syncer = Syncer(server, store)
        if room is not None and (event is not None or date is not None):
            _jump(syncer, store.room_named(room).room_id, event, date, limit)
            return
        gaps = store.gaps() if room is None else store.room_named(room).gaps()
        try:
            for gap in gaps:
                if gap.status == "open" and pages > 0:
                    pages -= _fill(syncer, gap, pages, limit, progress)
        finally:
            progress.stop()


def verify(
    context: typer.Context,
    room: SomeRoom = None,
    repair: Repair = False,
    pages: Pages = 100,
    homeserver: ServerUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare a room, or all rooms, with the server, and say where they differ."""
    where = places.where(context)
    from syncstore.cli.server import connected
    from syncstore.sync import Syncer

    with connected(where, homeserver, token_file) as (server, store):
        room_id = None if room is None else store.room_named(room).room_id
        found = Syncer(server, store).verify(room_id, repair=repair, pages=pages)
        path = store.path
    if as_json:
        show.objects(map(show.columns, found))
    elif not found:
        show.line(("no differences", ""))
    else:
        titles = ("room_id", "kind", "repaired", "detail")
        show.table(titles, ((one.room_id, one.kind, one.repaired, one.detail) for one in found))
    left = sum(not one.repaired for one in found)
    if left:
        raise DriftError(f"{path} differs from the server in {left} points")


def _jump(syncer: Syncer, room_id: str, event_id: str | None, date: datetime | None, limit: int) -> None:
    """Go to an event or a day, and say how to look at it."""
    if event_id is not None:
        found = syncer.jump(room_id, event_id, limit)
    else:
        assert date is not None
        found = syncer.jump_to_date(room_id, int(date.replace(tzinfo=UTC).timestamp() * 1000), limit)
    if found.segment is None:
        show.line((f"{found.event_id} is stored; only a sync can tell where it belongs", ""))
    else:
        show.line((f"timeline {room_id} --around {found.event_id}", ""))


def _fill(syncer: Syncer, gap: Gap, pages: int, limit: int, progress: Progress) -> int:
    """Fill one gap, say how far it came, and return how many pages that took."""
    added, asked = 0, 0
    now: Gap | None = gap
    while now is not None and now.status == "open" and asked < pages:
        filled = syncer.backfill(now, limit)
        asked, added = asked + 1, added + filled.events_added
        progress.on_page(f"gap {gap.id}: {asked} pages, {added} events")
        if filled.gap == now:
            break  # another process is at it
        now = filled.gap
    progress.stop()
    end = "closed" if now is None else now.status + (f": {now.reason}" if now.reason else "")
    show.line((f"gap {gap.id} ({gap.kind}) of {gap.room_id}: {added} events added, {end}", ""))
    return asked
