"""Timelines: what was said, with the holes where they are; single events; the list of holes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from syncstore.cli import places, show
from syncstore.cli.describe import described, gap_line
from syncstore.cli.options import AsJson, RoomName, SomeRoom, text
from syncstore.errors import NotFoundError
from syncstore.model.records import Event, Gap, Page

if TYPE_CHECKING:
    from collections.abc import Mapping

Around = Annotated[
    str | None,
    typer.Option("--around", metavar="EVENT_ID", callback=text, help="This event, and what stands around it."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Events at most; gaps do not count.")]
Before = Annotated[
    str | None,
    typer.Option("--before", metavar="EVENT_ID", callback=text, help="Only what is older than this event."),
]
EventId = Annotated[str, typer.Argument(metavar="EVENT_ID", callback=text, help="Id of an event.")]


def timeline(
    context: typer.Context,
    room: RoomName,
    limit: Limit = 50,
    before: Before = None,
    around: Around = None,
    as_json: AsJson = False,
) -> None:
    """Show a room's timeline, the newest event last, each gap in its place."""
    if before is not None and around is not None:
        raise typer.BadParameter("--before and --around cannot be combined")
    with places.reading(context) as store, store.read() as snapshot:
        page = snapshot.room_named(room).timeline(limit, before=before, around=around)
    if as_json:
        show.objects(_page_objects(page))
        return
    if page.older is not None:
        show.note(f"older: --before {page.older}")
    for item in reversed(page.items):
        if isinstance(item, Gap):
            show.note(gap_line(item))
        else:
            mark = " (on its way)" if item.source == "outbox" else ""
            show.line((show.moment(item.origin_server_ts), "dim"), (item.sender, "bold"), (described(item) + mark, ""))


def _page_objects(page: Page) -> Iterator[Mapping[str, object]]:
    if page.older is not None:
        yield {"older": page.older}
    for item in reversed(page.items):
        yield {"gap" if isinstance(item, Gap) else "event": show.columns(item)}


def event(context: typer.Context, event_id: EventId, as_json: AsJson = False) -> None:
    """Show the events of an id: ids are per room, so there may be several."""
    with places.reading(context) as store:
        found = store.events(event_id)
    if not found:
        raise NotFoundError(f"the store has no event {event_id}")
    if as_json:
        show.objects(map(show.columns, found))
        return
    for one in found:
        _show_event(one)


def _show_event(one: Event) -> None:
    columns = show.columns(one)
    bodies = {name: columns.pop(name) for name in ("content", "unsigned", "extra")}
    columns["origin_server_ts"] = f"{one.origin_server_ts} ({show.moment(one.origin_server_ts)})"
    show.pairs((name, value) for name, value in columns.items() if value is not None)
    for name, body in bodies.items():
        if isinstance(body, str):
            show.line((name, "bold"))
            for text_line in _indented(body).split("\n"):
                show.line((f"  {text_line}", ""))


def _indented(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:  # a number of thousands of digits
        return body


def gaps(context: typer.Context, room: SomeRoom = None, as_json: AsJson = False) -> None:
    """List the gaps of a room, or of all rooms: where history is missing, and from which token to fetch it."""
    with places.reading(context) as store, store.read() as snapshot:
        found = snapshot.gaps() if room is None else snapshot.room_named(room).gaps()
    if as_json:
        show.objects(map(show.columns, found))
        return
    titles = ("gap", "room_id", "kind", "status", "prev_batch", "since", "oldest_after", "reason")
    show.table(titles, map(_gap_row, found))


def _gap_row(gap: Gap) -> show.Row:
    return gap.id, gap.room_id, gap.kind, gap.status, gap.prev_batch, gap.since, gap.oldest_after, gap.reason
