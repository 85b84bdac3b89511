"""The spec's Filter, and which filters a store may be fed with (promise 18).

A server never sends again what a filter left out: state that went by unseen stays wrong for good. So a filter is
allowed key by key, and everything that is not known to be harmless is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from syncstore.errors import FilterError
from syncstore.model.text import printable

DEFAULT_LIMIT = 20
MIN_LIMIT = 5


class _Closed(BaseModel):
    # An unknown key is a typing error or newer than this list: nobody knows what it leaves out.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EventFilter(_Closed):
    """Of events that stand outside of rooms."""

    limit: int | None = Field(None, gt=0)
    types: list[str] | None = None
    not_types: list[str] | None = None
    senders: list[str] | None = None
    not_senders: list[str] | None = None


class RoomEventFilter(EventFilter):
    """Of events of a room."""

    rooms: list[str] | None = None
    not_rooms: list[str] | None = None
    contains_url: bool | None = None
    lazy_load_members: bool | None = None
    include_redundant_members: bool | None = None
    unread_thread_notifications: bool | None = None


class StateFilter(RoomEventFilter):
    """Of the state of a room; the spec gives it the keys of RoomEventFilter."""


class RoomFilter(_Closed):
    """Of rooms, and of what stands in each."""

    rooms: list[str] | None = None
    not_rooms: list[str] | None = None
    include_leave: bool | None = None
    timeline: RoomEventFilter | None = None
    state: StateFilter | None = None
    ephemeral: RoomEventFilter | None = None
    account_data: RoomEventFilter | None = None


class Filter(_Closed):
    """A filter as it is uploaded or sent with /sync."""

    event_fields: list[str] | None = None
    event_format: Literal["client", "federation"] | None = None
    presence: EventFilter | None = None
    account_data: EventFilter | None = None
    room: RoomFilter | None = None


_LOSES_EVENTS = "the events it leaves out, state among them, never come again"
_LOSES_STATE = "the state it leaves out never comes again"
_LOSES_ROOMS = "what happens in the rooms it leaves out never comes again"
_OUTSIDE = frozenset({"presence", "account_data", "room.ephemeral", "room.account_data"})
_ALLOWED = _OUTSIDE | {
    "room.include_leave",
    "room.timeline.limit",
    "room.timeline.unread_thread_notifications",
    *(
        f"room.{part}.{key}"
        for part in ("timeline", "state")
        for key in ("lazy_load_members", "include_redundant_members")
    ),
}
_REASONS = {
    "event_fields": "events would be stored without the fields it leaves out",
    "event_format": "any format but the server's default changes what is stored",
    "room.rooms": _LOSES_ROOMS,
    "room.not_rooms": _LOSES_ROOMS,
    "room.state.unread_thread_notifications": "it belongs to room.timeline",
}


def checked_filter(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a filter that is safe to sync a store with; nulls are left out.

    FilterError, naming the key and the reason, for a key that loses events or state or changes what is stored, for an
    unknown key, and for a value of the wrong type.
    """
    if not isinstance(definition, Mapping):
        raise FilterError("the filter is not an object")
    try:
        checked = Filter.model_validate(dict(definition)).model_dump(exclude_none=True)
    except ValidationError as error:
        raise FilterError(_first_fault(error)) from None
    for path in _paths(checked):
        if path not in _ALLOWED:
            raise FilterError(f"filter key {path} is refused: {_reason(path)}")
    _check_values(checked.get("room", {}))
    return checked


def default_filter(*, full_members: bool = False, include_leave: bool = False) -> dict[str, Any]:
    """Return the filter of the fetcher: short timelines, and only the members that the events need.

    `full_members` asks for all members of every room, `include_leave` for the rooms that were left.
    """
    # Without the redundant ones a server remembers whom it sent, and whom a lost response held never comes again.
    members = {} if full_members else {"lazy_load_members": True, "include_redundant_members": True}
    timeline = {"limit": DEFAULT_LIMIT, "unread_thread_notifications": True, **members}
    room: dict[str, Any] = {"timeline": timeline}
    if members:
        room["state"] = dict(members)
    if include_leave:
        room["include_leave"] = True
    return {"room": room}


def _paths(definition: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every key that has a value, and of each free part as a whole."""
    for key, value in definition.items():
        path = prefix + key
        if isinstance(value, dict) and path not in _OUTSIDE:
            yield from _paths(value, path + ".")
        else:
            yield path


def _reason(path: str) -> str:
    return _REASONS.get(path) or (_LOSES_STATE if path.startswith("room.state.") else _LOSES_EVENTS)


def _check_values(room: Mapping[str, Any]) -> None:
    limit = room.get("timeline", {}).get("limit", DEFAULT_LIMIT)
    if limit < MIN_LIMIT:
        raise FilterError(
            f"filter key room.timeline.limit is {limit}, less than {MIN_LIMIT}: with too short a timeline servers leave"
            " out rooms that were left and changes of state"
        )
    for part in ("timeline", "state"):
        chosen = room.get(part, {})
        if chosen.get("lazy_load_members") and not chosen.get("include_redundant_members"):
            raise FilterError(
                f"filter key room.{part}.lazy_load_members is refused without include_redundant_members: the members of"
                " a lost response never come again"
            )


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = printable(".".join(map(str, fault["loc"])))
    if fault["type"] == "extra_forbidden":
        return f"filter key {path} is refused: it is not known to the spec, nobody can say what it leaves out"
    if fault["type"] == "model_type":
        return f"filter key {path} should be an object"
    return f"filter key {path} {fault['msg'].removeprefix('Input ')}"
