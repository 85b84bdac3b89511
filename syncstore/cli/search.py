"""Searching messages."""

from __future__ import annotations

from typing import Annotated

import typer

from syncstore.cli import places, show
from syncstore.cli.describe import described
from syncstore.cli.options import AsJson, text

Words = Annotated[
    list[str],
    typer.Argument(metavar="WORD…", callback=lambda words: [text(word) for word in words], help="All of them."),
]
InRoom = Annotated[
    str | None, typer.Option("--room", metavar="ROOM", callback=text, help="Id, alias or unique name; else all rooms.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Messages at most.")]


def search(
    context: typer.Context, words: Words, room: InRoom = None, limit: Limit = 50, as_json: AsJson = False
) -> None:
    """Find messages that have all the words, the newest last. WORD* fits what begins so, '"two words"' a phrase."""
    try:
        with places.writing(context) as store:
            room_id = None if room is None else store.room_named(room).room_id
            found = store.search(" ".join(words), room_id=room_id, limit=limit)[::-1]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        show.objects(map(show.columns, found))
        return
    for one in found:
        sent = (show.moment(one.origin_server_ts), "dim")
        show.line(sent, (one.room_id, ""), (one.sender, "bold"), (described(one), ""))
