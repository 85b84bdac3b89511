"""A /sync response in any of the three forms to one Batch. The form is told from the body itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from syncstore.errors import WireError
from syncstore.model.batch import Bad, Batch, Form, RoomEntry, Section, Typed
from syncstore.wire.content import BadPart, Source
from syncstore.wire.cuts import Cuts
from syncstore.wire.entry import quick_rooms
from syncstore.wire.event import checked_id, split_object
from syncstore.wire.mask import Mask, is_utf8
from syncstore.wire.parts import quarantine, typed_events
from syncstore.wire.room import STATE_AFTER, parse_room
from syncstore.wire.turns import WINDOW, give_way

_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROOMS = msgspec.json.Decoder(dict[str, dict[str, msgspec.Raw]])
_STRING = msgspec.json.Decoder(str)
_STRINGS = msgspec.json.Decoder(list[str])
_COUNTS = msgspec.json.Decoder(dict[str, int])

# Sections in the order they are applied, whatever their order in the JSON, with the name of each form.
_SECTIONS: tuple[tuple[str, Section], ...] = (
    ("leave", "leave"),
    ("archived", "leave"),
    ("join", "join"),
    ("joined", "join"),
    ("invite", "invite"),
    ("invited", "invite"),
    ("knock", "knock"),
)
_NAMES = {name for name, _ in _SECTIONS}
_2015_SECTIONS = {"joined", "invited", "archived"}
# A body that tells of state_after has the end of both its names, or some letter of them written as an escape.
_STATE_AFTER = (b'state_after"', b"\\u00")
_SMALL, _LARGE = 1 << 16, 1 << 20  # bytes
_Unparsed = tuple[Section, str, dict[str, msgspec.Raw]]  # section, its name on the wire, room_id -> entry


def split_body(body: bytes | bytearray) -> tuple[dict[str, msgspec.Raw], Source]:
    """The top-level keys of a response; WireError if it is no JSON object."""
    try:
        if is_utf8(body):
            return _KEYS.decode(body), Source()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    mask = Mask(body)
    try:
        return _KEYS.decode(mask.body), Source(mask)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise WireError(f"the response is no JSON object: {error}") from None


def _split_large(body: bytes | bytearray) -> tuple[dict[str, msgspec.Raw], Source] | None:
    """The same for a response whose rooms can be cut out, None for any other."""
    if not is_utf8(body):
        return None
    cuts = Cuts(body)
    if not cuts.any:
        return None
    try:
        top = _KEYS.decode(cuts.rest)
        plain = _NAMES.issuperset(_ROOMS.decode(top["rooms"]))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, KeyError):
        return None
    if not plain:
        return None
    rooms = top.pop("rooms")
    return {"rooms": rooms} | {key: cuts.restore(raw) for key, raw in top.items()}, Source(cuts=cuts)


def parse(body: bytes | bytearray) -> Batch:
    """Read one /sync response.

    body: the bytes of the answer, a JSON object. Rooms are parsed one by one as `Batch.rooms` is iterated; what cannot
    be read is in `bad` of the batch or of its room. Raises WireError for a body that is no JSON object or lacks
    next_batch.
    Source: Client-Server API, GET /sync; the 2015 draft (docs/wire-forms.md).
    """
    large = _split_large(body) if len(body) > _LARGE else None
    top, source = large or split_body(body)
    next_batch = _token(source, top.pop("next_batch", None))
    batch = Batch(next_batch, "v3", len(body), iter(()))
    _read_rooms(batch, source, top.pop("rooms", None), body)
    batch.account_data = _events(batch, source, top, "account_data")
    batch.presence = _events(batch, source, top, "presence")
    batch.to_device = _events(batch, source, top, "to_device")
    _device_lists(batch, source, top)
    batch.one_time_keys = _kept_json(batch, source, top, "device_one_time_keys_count", _COUNTS)
    batch.fallback_keys = _kept_json(batch, source, top, "device_unused_fallback_key_types", _STRINGS)
    for key, value in top.items():
        with quarantine(batch.bad, source, value, key):
            batch.unknown.append((checked_id(source, "key", key), source.text(value)))
    return batch


def _token(source: Source, raw: msgspec.Raw | None) -> str:
    if raw is None:
        raise WireError("the response has no next_batch")
    try:
        token = _STRING.decode(raw)
    except (msgspec.MsgspecError, UnicodeError):
        token = ""
    if not token or source.covered(token):
        raise WireError("next_batch is not a string")
    return token


def _read_rooms(batch: Batch, source: Source, raw: msgspec.Raw | None, body: bytes | bytearray) -> None:
    """Set the form and the rooms: of a large response one by one, as somebody asks for them; of a small one at once."""
    if raw is None:
        return
    if len(body) <= _SMALL and not source.masked and (quick := quick_rooms(source, raw)) is not None:
        batch.form, rooms = quick
        batch.rooms = iter(rooms)
        return
    sections = _sections(batch, source, raw)
    batch.form = _form(body, source, sections)
    batch.rooms = _rooms(source, sections, batch.form)


def _sections(batch: Batch, source: Source, raw: msgspec.Raw) -> list[_Unparsed]:
    """The rooms of each section, unparsed, in the order of application."""
    found: list[_Unparsed] = []
    try:
        whole = _ROOMS.decode(raw)
    except (msgspec.MsgspecError, UnicodeError):
        whole = {}
    if whole and _NAMES.issuperset(whole):
        return [(section, name, whole[name]) for name, section in _SECTIONS if name in whole]
    with quarantine(batch.bad, source, raw, "rooms"):
        rooms = split_object(raw)
        for name, section in _SECTIONS:
            if (part := rooms.pop(name, None)) is not None:
                with quarantine(batch.bad, source, part, f"rooms.{name}"):
                    found.append((section, name, split_object(part)))
        for name, part in rooms.items():
            with quarantine(batch.bad, source, part, f"rooms.{name}"):
                batch.unknown.append((checked_id(source, "key", f"rooms.{name}"), source.text(part)))
    return found


def _form(body: bytes | bytearray, source: Source, sections: list[_Unparsed]) -> Form:
    """2015 by the names of its sections, state_after by a room that has that key, else classic."""
    if any(name in _2015_SECTIONS for _, name, _ in sections):
        return "2015"
    # The bytes are asked first: most classic bodies never hold the word, and no room is split twice for it.
    if any(_holds(body, sign) for sign in _STATE_AFTER):
        for _, _, rooms in sections:
            if any(_has_state_after(source.whole(raw)) for raw in rooms.values()):
                return "state_after"
    return "v3"


def _holds(body: bytes | bytearray, word: bytes) -> bool:
    """Whether a word occurs, looked for in pieces: other threads run in between."""
    for at in range(0, len(body), WINDOW):
        if body.find(word, at, at + WINDOW + len(word)) >= 0:
            return True
        if at:
            give_way()
    return False


def _has_state_after(raw: msgspec.Raw) -> bool:
    try:
        return not STATE_AFTER.isdisjoint(_KEYS.decode(raw))
    except (msgspec.MsgspecError, UnicodeError):
        return False


def _rooms(source: Source, sections: list[_Unparsed], form: Form) -> Iterator[RoomEntry]:
    for section, name, rooms in sections:
        for room_id, part in rooms.items():
            raw = source.whole(part)
            try:
                checked_id(source, "room_id", room_id)
            except BadPart as error:
                entry = RoomEntry("", section)
                entry.bad.append(Bad(None, f"rooms.{name}", None, error.code, str(error), source.raw(raw)))
                yield entry
            else:
                yield parse_room(source.inside, room_id, section, raw, form)


def _events(batch: Batch, source: Source, top: dict[str, msgspec.Raw], section: str) -> list[Typed]:
    raw = top.pop(section, None)
    return [] if raw is None else typed_events(batch.bad, source, raw, section)


def _device_lists(batch: Batch, source: Source, top: dict[str, msgspec.Raw]) -> None:
    raw = top.pop("device_lists", None)
    if raw is None:
        return
    with quarantine(batch.bad, source, raw, "device_lists"):
        lists = split_object(raw)
        batch.device_changed = _user_ids(source, lists.get("changed"))
        batch.device_left = _user_ids(source, lists.get("left"))


def _user_ids(source: Source, raw: msgspec.Raw | None) -> list[str]:
    if raw is None:
        return []
    try:
        return [checked_id(source, "user_id", user) for user in _STRINGS.decode(raw)]
    except (msgspec.MsgspecError, UnicodeError):
        raise BadPart("wrong_type", "not a list of user ids") from None


def _kept_json(
    batch: Batch, source: Source, top: dict[str, msgspec.Raw], key: str, shape: msgspec.json.Decoder[Any]
) -> str | None:
    raw = top.pop(key, None)
    if raw is None:
        return None
    with quarantine(batch.bad, source, raw, key):
        try:
            shape.decode(raw)
        except (msgspec.MsgspecError, UnicodeError):
            raise BadPart("wrong_type", f"{key} is not of its type") from None
        return source.text(raw)
    return None
