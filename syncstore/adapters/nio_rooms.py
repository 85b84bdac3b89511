"""What matrix-nio shall know of a store: its rooms as nio's own objects, and a response in the form that nio reads.

nio's rooms are made of events, so they are filled by handing them the state that is stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import nio

from syncstore.errors import NotFoundError
from syncstore.ingest import SyncStore
from syncstore.model.records import StrippedEvent
from syncstore.room import Room

_MALFORMED = (AttributeError, KeyError, TypeError, ValueError, RecursionError)
_AFTER = ("state_after", "org.matrix.msc4222.state_after")


@dataclass
class Rooms:
    """Rooms by membership, each by its id."""

    joined: dict[str, nio.MatrixRoom] = field(default_factory=dict)
    invited: dict[str, nio.MatrixInvitedRoom] = field(default_factory=dict)
    knocked: dict[str, nio.MatrixInvitedRoom] = field(default_factory=dict)


@dataclass
class Batch:
    """A stored response as nio reads it, and the rooms that nio gets wrong by reading it; idle: it brought nothing."""

    response: nio.SyncResponse
    mended: Rooms
    idle: bool


def rooms_of(store: SyncStore) -> Rooms:
    """All rooms that nio shall know, as of one moment."""
    found, me = Rooms(), store.user_id
    with store.read() as snapshot:
        for room in snapshot.rooms():
            _add(found, room, me)
    return found


def told_before(store: SyncStore, body: bytes | bytearray) -> set[tuple[str, str]]:
    """What a response that is not stored yet repeats: room and event ids. Servers repeat after an absence."""
    found: set[tuple[str, str]] = set()
    with suppress(*_MALFORMED), store.read() as snapshot:  # what cannot be read is told of when it is stored
        sections = json.loads(body)["rooms"] if snapshot.seq else {}
        for room_id, entry in _entries(sections):
            ids = [one["event_id"] for one in _events(entry.get("timeline"))]
            known = (event for event_id in ids for event in snapshot.events(event_id))
            found.update((room_id, one.event_id) for one in known if one.room_id == room_id and one.segment is not None)
    return found


def read_batch(store: SyncStore, body: bytes | bytearray, told: set[tuple[str, str]], *, idle: bool) -> Batch:
    """Read a response that is stored already; what was told before is left out of its timelines.

    ValueError if nio cannot read it: one event that is not what nio expects is enough.
    """
    try:
        parsed = json.loads(body)
        sections = parsed.get("rooms", {})
        _translate(sections)
        doubtful = {*sections.get("knock", {}), *_misread(store, sections.get("join", {})), *(room for room, _ in told)}
        _leave_out(sections, told)
        response = nio.SyncResponse.from_dict(parsed)
    except Exception as error:  # whatever nio stumbles over: the response is stored
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not isinstance(response, nio.SyncResponse):
        raise ValueError(response.message)
    mended = Rooms()
    for room_id in doubtful:
        with suppress(NotFoundError):  # an id that is none
            _add(mended, store.room(room_id), store.user_id)
    return Batch(response, mended, idle)


def _leave_out(sections: dict[str, Any], told: set[tuple[str, str]]) -> None:
    rooms = {room_id for room_id, _ in told}
    for room_id, entry in _entries(sections):
        if room_id in rooms:
            timeline = entry["timeline"]
            timeline["events"] = [one for one in timeline["events"] if (room_id, one.get("event_id")) not in told]


def _translate(sections: dict[str, Any]) -> None:
    """Put `state_after` where nio looks for state, and blocks that are left out where nio demands them.

    nio fills in what is missing only for rooms whose id names a server: from room version 12 on none does.
    """
    for _, entry in _entries(sections):
        entry["state"] = next((entry[key] for key in (*_AFTER, "state") if key in entry), {})
        for block in entry["state"], entry.setdefault("timeline", {}):
            block.setdefault("events", [])
    for entry in sections.get("invite", {}).values():
        entry.setdefault("invite_state", {}).setdefault("events", [])


def _entries(sections: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rooms with a timeline: joined, and left."""
    for section in ("join", "leave"):
        yield from sections.get(section, {}).items()


def _misread(store: SyncStore, joined: dict[str, Any]) -> Iterator[str]:
    """The ids of the rooms that nio will get wrong.

    nio adds each state event of a timeline to its room, also one that lost against another; and it adds what restates
    a room to what the room had before.
    """
    for room_id, entry in joined.items():
        timeline = _events(entry.get("timeline"))
        last = {(one.get("type"), one["state_key"]): one.get("event_id") for one in timeline if "state_key" in one}
        restated = any(one.get("type") == "m.room.create" for one in _events(entry.get("state")))
        if restated or any(_stands(store, room_id, *key) != event_id for key, event_id in last.items()):
            yield room_id


def _events(block: Any) -> list[dict[str, Any]]:
    events = block.get("events", []) if isinstance(block, dict) else []
    return [one for one in events if isinstance(one, dict)]


def _stands(store: SyncStore, room_id: str, type_: Any, state_key: Any) -> str | None:
    event = store.room(room_id).state(type_, state_key)
    return None if event is None else event.event_id


def _add(rooms: Rooms, room: Room, me: str) -> None:
    if room.membership == "join":
        rooms.joined[room.room_id] = _joined(room, me)
    elif room.membership == "invite":
        rooms.invited[room.room_id] = _stripped(room.room_id, me, room.invite_state())
    elif room.membership == "knock":
        rooms.knocked[room.room_id] = _stripped(room.room_id, me, room.knock_state())


def _joined(room: Room, me: str) -> nio.MatrixRoom:
    made = nio.MatrixRoom(room.room_id, me, encrypted=room.encryption is not None)
    for (type_, state_key), event in room.state_map().items():
        if type_ == "m.room.member":
            _add_member(made, state_key, event.content)  # nio's parser takes long, and a room may have thousands
        else:
            _hand(made, nio.Event, event.json())
    heroes = room.heroes()
    if heroes is not None or room.name is not None:  # else nio had better count whom it knows
        made.summary = nio.responses.RoomSummary(room.invited_member_count, room.joined_member_count, heroes)
    made.unread_notifications, made.unread_highlights = room.notification_count, room.highlight_count
    made.members_synced = room.members_synced
    for type_ in ("m.tag", "m.fully_read"):
        if (content := room.account_data(type_)) is not None:
            made.handle_account_data(nio.AccountDataEvent.parse_event({"type": type_, "content": content}))
    for receipt in room.receipts():
        told = {"ts": receipt.ts or 0} | ({} if receipt.thread_id is None else {"thread_id": receipt.thread_id})
        content = {receipt.event_id: {receipt.receipt_type: {receipt.user_id: told}}}
        made.handle_ephemeral_event(nio.EphemeralEvent.parse_event({"type": "m.receipt", "content": content}))
    return made


def _add_member(room: nio.MatrixRoom, user_id: str, content: dict[str, Any]) -> None:
    if content.get("membership") not in ("join", "invite"):
        return
    name, avatar = (_text(content.get(key)) for key in ("displayname", "avatar_url"))
    room.add_member(user_id, name, avatar, invited=content["membership"] == "invite")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _hand(room: nio.MatrixRoom, kind: Any, told: dict[str, Any]) -> None:
    """Let a room have an event, if nio can read it."""
    with suppress(Exception):  # a room must not be lost for one event that nio stumbles over
        event = kind.parse_event(told)
        if isinstance(event, kind):
            room.handle_event(event)


def _stripped(room_id: str, me: str, events: Iterable[StrippedEvent]) -> nio.MatrixInvitedRoom:
    made = nio.MatrixInvitedRoom(room_id, me)
    for one in events:
        told = {"type": one.type, "state_key": one.state_key, "sender": one.sender, "content": one.content}
        _hand(made, nio.InviteEvent, told)
    return made
