"""What keeps a file small and sound: compact, prune, recover."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from syncstore.cli import passphrase, places, show
from syncstore.cli.options import AsJson, SomeRoom, text

Keep = Annotated[int | None, typer.Option("--keep", metavar="N", min=1, help="Keep the newest N events of each room.")]
Before = Annotated[
    datetime | None,
    typer.Option("--before", metavar="DATE", formats=["%Y-%m-%d"], help="Drop what was sent before this day (UTC)."),
]
Damaged = Annotated[Path, typer.Argument(metavar="FILE", help="The damaged store; it is not changed.")]
New = Annotated[Path | None, typer.Argument(metavar="[NEW]", help="The new store; by default FILE.recovered.")]
User = Annotated[
    str | None, typer.Option("--user", metavar="USER", callback=text, help="Whose store it is, if the file is silent.")
]


def compact(context: typer.Context) -> None:
    """Give free space back to the disk; redacted bytes are then gone from the file."""
    with places.writing(context) as store:
        before, after = store.compact()
    show.line((f"{before} bytes before, {after} after", ""))


def prune(context: typer.Context, room: SomeRoom = None, keep: Keep = None, before: Before = None) -> None:
    """Drop old history; state stays, and a gap says what is missing."""
    if (keep is None) == (before is None):
        raise typer.BadParameter("say what to keep: --keep N or --before DATE")
    ts = None if before is None else int(before.replace(tzinfo=UTC).timestamp() * 1000)
    with places.writing(context) as store:
        room_id = None if room is None else store.room_named(room).room_id
        pruned = store.prune(room_id, keep=keep, before=ts)
    notes = f", {pruned.notes} notes of what changed" if pruned.notes else ""
    show.line((f"dropped {pruned.events} events of {pruned.rooms} rooms{notes}", ""))


def recover(damaged: Damaged, new: New = None, user: User = None, as_json: AsJson = False) -> None:
    """Save what can be read of a damaged store into a new one."""
    from syncstore.ingest import SyncStore

    target = new or Path(f"{damaged}.recovered")
    saved = passphrase.tried(
        damaged, lambda given: SyncStore.recover(damaged, target, user_id=user, passphrase=given), piped=True
    )
    if as_json:
        show.objects(one._asdict() for one in saved)
        return
    rows = ((one.table, one.saved, one.dropped, one.unreadable) for one in saved)
    show.table(("table", "saved", "dropped", "unreadable"), rows)
    show.line((f"wrote {target}: sync it", ""))
