"""Rooms: the list, the invites, the state, the members, and forgetting one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from syncstore.cli import places, show
from syncstore.cli.options import AsJson, RoomName, text

if TYPE_CHECKING:
    from syncstore.model.records import Event, StateAt
    from syncstore.room import Room

StateType = Annotated[str | None, typer.Argument(metavar="[TYPE]", callback=text, help="Event type: m.room.topic.")]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="EVENT_ID", callback=text, help="As it was when this event was sent."),
]
StateKey = Annotated[str | None, typer.Argument(metavar="[KEY]", callback=text, help="State key.")]


def rooms(context: typer.Context, as_json: AsJson = False) -> None:
    """List all rooms, the newest message first."""
    with places.reading(context) as store:
        found = store.rooms()
        if as_json:
            show.objects(show.columns(room.record()) for room in found)
            return
        titles = ("room_id", "membership", "members", "unread", "gaps", "newest", "name")
        show.table(titles, map(_room_row, found))


def _room_row(room: Room) -> show.Row:
    unread = f"{room.notification_count} ({room.highlight_count}!)" if room.highlight_count else room.notification_count
    members = f"{room.joined_member_count}+{room.invited_member_count}"
    newest = show.moment(room.recency_ts)
    return room.room_id, room.membership, members, unread, room.gap_count, newest, room.display_name


def invites(context: typer.Context, as_json: AsJson = False) -> None:
    """List the invites, each as the inviter's server described the room."""
    with places.reading(context) as store:
        found = store.rooms("invite")
        if as_json:
            show.objects(
                {
                    **show.columns(room.record()),
                    "invite_state": [show.columns(one) for one in room.invite_state()],
                }
                for room in found
            )
            return
        titles = ("room_id", "inviter", "direct", "archived", "name", "topic")
        show.table(titles, map(_invite_row, found))


def _invite_row(room: Room) -> show.Row:
    archived = bool(room.state_map())
    return room.room_id, room.inviter, room.is_direct, archived, room.display_name, room.topic


def state(
    context: typer.Context,
    room: RoomName,
    type: StateType = None,
    key: StateKey = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Show a room's state: current while joined, else archived; or as it was when an event was sent."""
    with places.reading(context) as store, store.read() as snapshot:
        one = snapshot.room_named(room)
        if at is not None:
            _state_at(one, at, type, key, as_json=as_json)
            return
        found = _wanted(one, type, key)
        if as_json:
            show.objects(map(show.columns, found))
            return
        if one.membership != "join":
            show.note(f"archived state; our membership is {one.membership}")
        titles = ("type", "state_key", "sender", "content")
        show.table(titles, ((event.type, event.state_key, event.sender, event.content_json) for event in found))


def _state_at(room: Room, at: str, type: str | None, key: str | None, *, as_json: bool) -> None:
    """Every key with what it held, or with why nobody can tell."""
    if type is not None and key is not None:
        found = {(type, key): room.state_at(at, type, key)}
    else:
        found = room.state_map_at(at, type)
    told = [(key, answer) for key, answer in found.items() if answer.event is not None or not answer.known]
    if as_json:
        show.objects(
            {
                "type": type,
                "state_key": key,
                "known": answer.known,
                "reason": answer.reason,
                "event": None if answer.event is None else show.columns(answer.event),
            }
            for (type, key), answer in told
        )
        return
    titles = ("type", "state_key", "sender", "content")
    show.table(titles, ((*key, *_told(answer)) for key, answer in told))


def _told(answer: StateAt) -> show.Row:
    if answer.event is None:
        return "", f"unknown: {answer.reason}"
    return answer.event.sender, answer.event.content_json


def _wanted(room: Room, type_: str | None, key: str | None) -> list[Event]:
    if type_ is None or key is None:
        return list(room.state_map(type_).values())
    event = room.state(type_, key)
    return [] if event is None else [event]


def members(context: typer.Context, room: RoomName, as_json: AsJson = False) -> None:
    """List the members that the store knows."""
    with places.reading(context) as store, store.read() as snapshot:
        one = snapshot.room_named(room)
        found = one.members()
        if as_json:
            show.objects(map(show.columns, found))
            return
        titles = ("user_id", "membership", "display_name")
        show.table(titles, ((member.user_id, member.membership, member.display_name) for member in found))
        if not one.members_synced:
            show.note("not the whole list: members are loaded when they speak; sync with --full-members has them all")


def forget(context: typer.Context, room: RoomName) -> None:
    """Delete a room from the store, wholly; the server is not told."""
    with places.writing(context) as store:
        room_id = store.room_named(room).room_id
        store.forget(room_id)
    show.line((f"forgot {room_id}", ""))
