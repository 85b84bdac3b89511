"""A response as mautrix reads it: decoded, `state_after` as its `state`, and only what was not handed over before.

mautrix runs a bot's handlers for every event that it is given, and gives up on the whole response at the first part of
a wrong type.
"""

from __future__ import annotations

from typing import Any

from syncstore.errors import NotFoundError
from syncstore.model.json_text import decode
from syncstore.reads import Snapshot
from syncstore.room import Room

Json = dict[str, Any]

_AFTER = ("state_after", "org.matrix.msc4222.state_after")
_OBJECTS = ("device_one_time_keys_count", "device_lists")
_LISTS = ("account_data", "ephemeral", "to_device")


def decoded(body: bytes | bytearray) -> Json | None:
    """A response's JSON; None if Python cannot read it as an object. What is no UTF-8 becomes U+FFFD."""
    try:
        found = decode(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def handed(response: Json, before: Snapshot) -> Json:
    """The response as mautrix's `handle_sync` shall get it. before: the store without it.

    An event that stands in the timeline is left out of the state: mautrix would hand it over twice. So is state that
    the store's pile holds already (lazily loaded members come again and again, a rejoin repeats the room), and an event
    that has its place in the stored timeline.
    """
    response |= {key: _object(response[key]) for key in _OBJECTS if key in response}
    response |= {key: _section(response[key]) for key in _LISTS if key in response}
    rooms = {section: _object(entries) for section, entries in _object(response.get("rooms")).items()}
    response["rooms"] = {
        section: {id: _object(entry) for id, entry in found.items()} for section, found in rooms.items()
    }
    for section, found in response["rooms"].items():
        for room_id, entry in found.items():
            _make_readable(section, entry, _room(before, room_id))
    return response


def _make_readable(section: str, entry: Json, room: Room | None) -> None:
    if section in ("invite", "knock"):
        pile = f"{section}_state"
        entry[pile] = _section(entry.get(pile))
        return
    timeline = [event for event in events(entry, "timeline") if not _has_place(room, event)]
    listed = {str(event.get("event_id")) for event in events(entry, "timeline")}
    block = next((key for key in _AFTER if key in entry), "state")
    state = [one for one in events(entry, block) if str(one.get("event_id")) not in listed and not _is_held(room, one)]
    entry["timeline"] = {**_object(entry.get("timeline")), "events": timeline}
    entry["state"] = {"events": state}
    entry["ephemeral"] = _section(entry.get("ephemeral"))


def events(holder: Json, key: str) -> list[Json]:
    """The events of a part, those that are objects."""
    return objects(_object(holder.get(key)).get("events"))


def objects(value: object) -> list[Json]:
    """What of a list is objects; nothing if it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _section(value: object) -> Json:
    return {"events": objects(_object(value).get("events"))}


def _room(before: Snapshot, room_id: str) -> Room | None:
    try:
        return before.room(room_id)
    except NotFoundError:
        return None


def _has_place(room: Room | None, event: Json) -> bool:
    stored = None if room is None else room.event(str(event.get("event_id")))
    return stored is not None and stored.segment is not None


def _is_held(room: Room | None, event: Json) -> bool:
    held = None if room is None else room.state(str(event.get("type")), str(event.get("state_key")))
    return held is not None and held.event_id == event.get("event_id")
