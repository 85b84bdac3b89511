"""What is said from the command line: queued at once, carried to the server by `sync`."""

from __future__ import annotations

from typing import Annotated

import typer

from syncstore.cli import places, show
from syncstore.cli.options import AsJson, RoomName, SomeRoom, text

Text = Annotated[str, typer.Argument(metavar="TEXT", callback=text, help="What to say.")]
Transaction = Annotated[
    str, typer.Argument(metavar="TRANSACTION_ID", callback=text, help="The first column of `outbox`.")
]


def send(context: typer.Context, room: RoomName, body: Text) -> None:
    """Queue a message; the next `sync` sends it."""
    with places.writing(context) as store:
        queued = store.room_named(room).send_text(body)
    show.line((f"queued as {queued.transaction_id}", ""))


def outbox(context: typer.Context, room: SomeRoom = None, as_json: AsJson = False) -> None:
    """List what is on its way to the server."""
    with places.reading(context) as store, store.read() as snapshot:
        found = snapshot.outbox() if room is None else snapshot.room_named(room).outbox()
    if as_json:
        show.objects(map(show.columns, found))
        return
    titles = ("transaction_id", "room_id", "type", "state", "attempts", "created", "reason")
    rows = (
        (one.transaction_id, one.room_id, one.type, one.state, one.attempts, show.moment(one.created_ts), one.reason)
        for one in found
    )
    show.table(titles, rows)


def retry(context: typer.Context, transaction_id: Transaction) -> None:
    """Queue something again that was parked."""
    with places.writing(context) as store:
        store.retry(transaction_id)


def cancel(context: typer.Context, transaction_id: Transaction) -> None:
    """Take something out of the outbox, with what waits for it."""
    with places.writing(context) as store:
        gone = store.cancel(transaction_id)
    show.line((f"cancelled {len(gone)}", ""))
