"""Commands that read rooms: what is in the store, without any network."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from syncstore.cli import show
from syncstore.cli.options import Json, MaybeRoom, RoomName, store_of
from syncstore.cli.places import open_to_read, open_to_write
from syncstore.errors import NotFoundError
from syncstore.model.records import Event, Gap

_MEMBERSHIP = Annotated[str | None, typer.Option("--membership", help="Only these: join, invite, knock, leave or ban.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (rooms, invites, state, members, timeline, event, gaps, forget):
        app.command()(command)


def rooms(context: typer.Context, membership: _MEMBERSHIP = None, json: Json = False) -> None:
    """List the rooms, the one with the newest message first."""
    with open_to_read(store_of(context)) as store:
        found = [room.record() for room in store.rooms(membership)]
    if json:
        show.print_json([asdict(room) for room in found])
        return
    columns = ("room_id", "membership", "name", "members", "unread", "gaps", "newest message")
    show.table(
        columns,
        (
            (
                room.room_id,
                room.membership,
                room.display_name,
                room.joined_member_count,
                room.notification_count or "",
                room.gap_count or "",
                show.when(room.recency_ts),
            )
            for room in found
        ),
    )


def invites(context: typer.Context, json: Json = False) -> None:
    """List pending invites with what the server tells of the rooms: stripped state, apart from any archived one."""
    with open_to_read(store_of(context)) as store, store.read() as snapshot:
        found = [(room, room.invite_state()) for room in snapshot.rooms("invite")]
    rows = [
        (room.room_id, room.display_name, room.inviter, event.type, event.state_key, event.content)
        for room, events in found
        for event in events
    ]
    show.table(("room_id", "name", "inviter", "type", "state_key", "content"), rows, as_json=json)


def state(
    context: typer.Context,
    room: RoomName,
    type: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="Only events of this type.")] = None,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Only this state key.")] = None,
    json: Json = False,
) -> None:
    """Show the state of a room: current if joined, else archived as of leaving."""
    with open_to_read(store_of(context)) as store, store.read() as snapshot:
        events = snapshot.room_named(room).state_map(type).values()
    chosen = [one for one in events if key is None or one.state_key == key]
    if json:
        show.print_json([one.json() for one in chosen])
    else:
        rows = ((one.type, one.state_key, one.sender, show.when(one.origin_server_ts), one.content) for one in chosen)
        show.table(("type", "state_key", "sender", "sent", "content"), rows)


def members(context: typer.Context, room: RoomName, membership: _MEMBERSHIP = None, json: Json = False) -> None:
    """List the members that the store knows of a room."""
    with open_to_read(store_of(context)) as store, store.read() as snapshot:
        found = snapshot.room_named(room)
        listed = found.members(membership)
        whole = found.members_synced
    columns = ("user_id", "membership", "display_name")
    show.table(columns, ((one.user_id, one.membership, one.display_name) for one in listed), as_json=json)
    if not whole and not json:
        show.line("(not all members are known: the server sends them as they speak)")


def timeline(
    context: typer.Context,
    room: RoomName,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many events at most.")] = 50,
    before: Annotated[str | None, typer.Option("--before", metavar="CURSOR", help="Older than this cursor.")] = None,
    json: Json = False,
) -> None:
    """Show the timeline of a room, the newest last, each gap in its place."""
    with open_to_read(store_of(context)) as store, store.read() as snapshot:
        page = snapshot.room_named(room).timeline(limit, before=before)
    if json:
        show.print_json([_item_json(item) for item in reversed(page.items)])
        return
    if page.older is not None:
        show.line(f"(older: --before {page.older})")
    for item in reversed(page.items):
        show.line(_gap_line(item) if isinstance(item, Gap) else _event_line(item))


def event(
    context: typer.Context, event_id: Annotated[str, typer.Argument(metavar="EVENT_ID")], json: Json = False
) -> None:
    """Show an event as it arrived, with what the store knows of it."""
    with open_to_read(store_of(context)) as store:
        found = store.events(event_id)
    if not found:
        raise NotFoundError(f"the store has no event {event_id}")
    if json:
        show.print_json([one.json() for one in found])
        return
    for one in found:
        place = "none" if one.segment is None else f"segment {one.segment}, position {one.position}"
        show.facts({"room": one.room_id, "place": place, "source": one.source, "batch": one.batch})
        show.print_json(one.json())


def gaps(context: typer.Context, room: MaybeRoom = None, json: Json = False) -> None:
    """List the holes in the timelines, both ends of each."""
    with open_to_read(store_of(context)) as store, store.read() as snapshot:
        found = snapshot.gaps() if room is None else snapshot.room_named(room).gaps()
    columns = ("id", "room_id", "kind", "prev_batch", "since", "newest_before", "oldest_after", "status", "reason")
    show.table(columns, ([getattr(gap, column) for column in columns] for gap in found), as_json=json)


def forget(context: typer.Context, room: RoomName) -> None:
    """Delete a room from the store wholly. The server is not told."""
    with open_to_write(store_of(context)) as store:
        found = store.room_named(room)
        store.forget(found.room_id)
    show.line(f"forgotten: {found.room_id}")


def _item_json(item: Event | Gap) -> dict[str, Any]:
    return {"gap": asdict(item)} if isinstance(item, Gap) else item.json()


def _gap_line(gap: Gap) -> str:
    why = f", {gap.status}: {gap.reason}" if gap.reason else ""
    ends = f"from prev_batch {gap.prev_batch} back to {gap.since or 'the beginning'}"
    return f"--- gap {gap.id} ({gap.kind}{why}) {ends} ---"


def _event_line(event: Event) -> str:
    return f"{show.when(event.origin_server_ts)}  {event.sender}: {_words(event)}"


def _words(event: Event) -> str:
    content = event.content
    if event.redacted_by is not None:
        return f"[{event.type}, redacted]"
    if event.type == "m.room.message" and isinstance(content.get("body"), str):
        return str(content["body"])
    if event.type == "m.room.member":
        return f"[{event.state_key} is now: {content.get('membership')}]"
    key = f" {event.state_key!r}" if event.state_key else ""
    return f"[{event.type}{key}] {show.text(content)}"
