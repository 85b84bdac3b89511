"""Pages beside /sync: /messages, /members, /rooms/{id}/state and /context, each to the one internal Page."""

from __future__ import annotations

import msgspec

from syncstore.errors import WireError
from syncstore.model.batch import Page
from syncstore.wire.content import BadPart, Source
from syncstore.wire.parts import split_list
from syncstore.wire.room import room_events
from syncstore.wire.sync import split_body

_STRING = msgspec.json.Decoder(str)


def parse_page(body: bytes | bytearray, room_id: str) -> Page:
    """An answer of GET /rooms/{roomId}/messages: `chunk` in its order, `start`, `end`.

    State that lazy loading adds to a page is not read: it never touches the piles (promise 10).
    """
    keys, source = split_body(body)
    page = Page([], _token(keys, source, "start"), _token(keys, source, "end"))
    return _fill(page, source, keys.get("chunk"), "messages", room_id)


def parse_members(body: bytes | bytearray, room_id: str) -> Page:
    """An answer of GET /rooms/{roomId}/members: member events in `chunk`."""
    keys, source = split_body(body)
    return _fill(Page([]), source, keys.get("chunk"), "members", room_id)


def parse_state(body: bytes | bytearray, room_id: str) -> Page:
    """An answer of GET /rooms/{roomId}/state: a list of state events."""
    keys, source = split_body(b'{"state":' + bytes(body) + b"}")
    return _fill(Page([]), source, keys["state"], "state", room_id)


def parse_context(body: bytes | bytearray, room_id: str) -> Page:
    """An answer of GET /rooms/{roomId}/context/{eventId}: a run of events, newest first, and the tokens around it."""
    keys, source = split_body(body)
    page = Page([], _token(keys, source, "start"), _token(keys, source, "end"))
    if "event" not in keys:
        raise WireError(f"/context of {room_id} holds no event")
    before, after = (_listed(keys.get(name), name, room_id) for name in ("events_before", "events_after"))
    page.events = room_events(page.bad, source, [*reversed(after), keys["event"], *before], "context", room_id)
    return page


def parse_start(body: bytes | bytearray) -> str | None:
    """The `start` of an answer of /messages or /context: the token before its first event."""
    keys, source = split_body(body)
    return _token(keys, source, "start")


def _listed(raw: msgspec.Raw | None, name: str, room_id: str) -> list[msgspec.Raw]:
    try:
        return [] if raw is None else split_list(raw)
    except BadPart:
        raise WireError(f"/context of {room_id}: {name} is not a list") from None


def _fill(page: Page, source: Source, chunk: msgspec.Raw | None, section: str, room_id: str) -> Page:
    if chunk is None:
        raise WireError(f"/{section} of {room_id} holds no chunk")
    try:
        page.events = room_events(page.bad, source, split_list(chunk), section, room_id)
    except BadPart:
        raise WireError(f"/{section} of {room_id}: chunk is not a list") from None
    return page


def _token(keys: dict[str, msgspec.Raw], source: Source, name: str) -> str | None:
    raw = keys.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        token = _STRING.decode(raw)
    except (msgspec.MsgspecError, UnicodeError):
        token = ""
    if not token or source.covered(raw):
        raise WireError(f"{name} is not a token")
    return token
