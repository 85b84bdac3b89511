"""One event: cut out of the body, its known keys lifted, everything else kept as text.

Two ways to the same tuple. The fast one knows exactly the keys that servers send and refuses all others; the slow
one takes any object key by key, tells what is wrong with it, and keeps unknown keys in `extra`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from syncstore.model.batch import RoomEvent, Typed
from syncstore.model.relation import replied_to
from syncstore.model.text import is_text
from syncstore.wire.content import BadPart, Source, check_nesting, decode_notes, decode_object

_MAX_BYTES = 255  # the spec's limit on ids, types and state keys
_INT64 = range(-(2**63), 2**63)
_UNSET = msgspec.UNSET


class _Event(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    sender: str
    content: msgspec.Raw
    origin_server_ts: int
    event_id: str | msgspec.UnsetType = _UNSET
    state_key: str | msgspec.UnsetType = _UNSET
    unsigned: msgspec.Raw | msgspec.UnsetType = _UNSET
    redacts: str | msgspec.UnsetType = _UNSET


class _Typed(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    content: msgspec.Raw
    sender: str | None = None
    state_key: str | None = None


_EVENT = msgspec.json.Decoder(_Event)
_TYPED = msgspec.json.Decoder(_Typed)
_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_INTEGER = msgspec.json.Decoder(int)


def split_object(raw: msgspec.Raw | bytes) -> dict[str, msgspec.Raw]:
    """An object's keys with their values uncut; BadPart if it is none."""
    try:
        return _KEYS.decode(raw)
    except UnicodeDecodeError:
        raise BadPart("bad_utf8", "a key is not UTF-8") from None
    except msgspec.MsgspecError:
        raise BadPart("wrong_type", "not a JSON object") from None


def room_event(source: Source, raw: msgspec.Raw, event_id: str | None = None) -> RoomEvent:
    """An event of a state block, a timeline or a page.

    `event_id` is given in the 2015 form, where the id is the key of event_map and not in the event.
    Raises BadPart when the event cannot be kept.
    """
    if not source.covered(raw):
        try:
            cut = _EVENT.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
        else:
            # In the 2015 form an id inside the event is just another key: the slow way keeps it.
            if (event_id is None) is not (cut.event_id is _UNSET) and cut.origin_server_ts in _INT64:
                state_key = None if cut.state_key is _UNSET else cut.state_key
                redacts = None if cut.redacts is _UNSET else cut.redacts
                unsigned = None if cut.unsigned is _UNSET else source.text(cut.unsigned)
                named = event_id if event_id is not None else str(cut.event_id)
                return _lift(
                    named,
                    cut.type,
                    state_key,
                    cut.sender,
                    cut.origin_server_ts,
                    source.text(cut.content),
                    unsigned,
                    None,
                    redacts,
                )
    return _room_event_slowly(source, raw, event_id)


def _room_event_slowly(source: Source, raw: msgspec.Raw, event_id: str | None) -> RoomEvent:
    keys = split_object(raw)
    kept: dict[str, msgspec.Raw] = {}
    if event_id is None:
        event_id = _required(source, keys, "event_id")
    type_ = _required(source, keys, "type")
    sender = _required(source, keys, "sender")
    state_key = _optional(source, keys, "state_key")
    content = keys.pop("content", None)
    if content is None:
        raise BadPart("missing_key", "no content")
    redacts = _lenient(keys, "redacts", _STRING)
    ts = _lenient(keys, "origin_server_ts", _INTEGER)
    if ts is None or ts not in _INT64:
        ts = None
        _check_ts(source, keys)
    else:
        del keys["origin_server_ts"]
    if redacts is not None:
        del keys["redacts"]
    unsigned = keys.pop("unsigned", None)
    kept.update(keys)
    return _lift(
        event_id,
        type_,
        state_key,
        sender,
        ts,
        source.text(content),
        None if unsigned is None else source.text(unsigned),
        _extra(source, kept),
        redacts,
    )


def _lift(
    event_id: str,
    type_: str,
    state_key: str | None,
    sender: str,
    ts: int | None,
    content: str,
    unsigned: str | None,
    extra: str | None,
    redacts: str | None,
) -> RoomEvent:
    """Read what has a column out of content and unsigned."""
    for name, value in (
        ("event_id", event_id),
        ("type", type_),
        ("sender", sender),
        ("state_key", state_key),
    ):
        if value is not None and (
            len(value) > _MAX_BYTES or (not value.isascii() and len(value.encode()) > _MAX_BYTES)
        ):
            raise BadPart("too_long", f"{name} is over {_MAX_BYTES} bytes")
    if not event_id:
        raise BadPart("missing_key", "event_id is empty")
    body, odd = decode_object(content)
    rel_type = relates_to = in_reply_to = None
    relation = body.get("m.relates_to")
    if type(relation) is dict:
        rel_type = _clean(relation.get("rel_type"))
        relates_to = _clean(relation.get("event_id"))
        in_reply_to = replied_to(relation)
    transaction_id = replaces = redacted_because = None
    if unsigned is not None and unsigned != "null":
        notes = decode_notes(unsigned)
        transaction_id = _clean(notes.get("transaction_id", notes.get("txn_id")))
        replaces = _clean(notes.get("replaces_state"))
        if replaces is None and "prev_content" in notes:
            replaces = ""
        if (because := notes.get("redacted_because")) is not None:
            redacted_because = (
                (_clean(because.get("event_id")) if type(because) is dict else None)
                or _clean(notes.get("redacted_by"))
                or ""
            )
    return RoomEvent(
        event_id,
        type_,
        state_key,
        sender,
        ts,
        content,
        unsigned,
        extra,
        odd,
        redacts,
        rel_type,
        relates_to,
        transaction_id,
        replaces,
        in_reply_to,
        redacted_because,
        body,
    )


def typed(source: Source, raw: msgspec.Raw) -> Typed:
    """An event without an id; BadPart when it cannot be kept."""
    if not source.covered(raw):
        try:
            cut = _TYPED.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
        else:
            return _typed(cut.type, cut.sender, cut.state_key, source.text(cut.content), None)
    keys = split_object(raw)
    type_ = _required(source, keys, "type")
    sender = _optional(source, keys, "sender")
    state_key = _optional(source, keys, "state_key")
    content = keys.pop("content", None)
    if content is None:
        raise BadPart("missing_key", "no content")
    return _typed(type_, sender, state_key, source.text(content), _extra(source, keys))


def _typed(type_: str, sender: str | None, state_key: str | None, content: str, extra: str | None) -> Typed:
    for name, value in (("type", type_), ("sender", sender), ("state_key", state_key)):
        if value is not None and len(value.encode()) > _MAX_BYTES:
            raise BadPart("too_long", f"{name} is over {_MAX_BYTES} bytes")
    body, odd = decode_object(content)
    return Typed(type_, sender, state_key, content, extra, odd, body)


def checked_id(source: Source, name: str, value: str) -> str:
    """A room or event id that came as an object's key or in a list; BadPart if no column can hold it."""
    if source.covered(value):
        raise BadPart("bad_text", f"{name} is not valid text")
    if not value:
        raise BadPart("missing_key", f"{name} is empty")
    if len(value.encode()) > _MAX_BYTES:
        raise BadPart("too_long", f"{name} is over {_MAX_BYTES} bytes")
    return value


def _required(source: Source, keys: dict[str, msgspec.Raw], name: str) -> str:
    value = _optional(source, keys, name)
    if value is None:
        raise BadPart("missing_key", f"no {name}")
    return value


def _optional(source: Source, keys: dict[str, msgspec.Raw], name: str) -> str | None:
    raw = keys.get(name)
    if raw is None or bytes(raw) == b"null":
        return None  # a null stays among the unknown keys: what came can be read back
    del keys[name]
    if source.covered(raw):
        raise BadPart("bad_text", f"{name} is not valid text")
    try:
        return _STRING.decode(raw)
    except UnicodeDecodeError:
        raise BadPart("bad_utf8", f"{name} is not UTF-8") from None
    except msgspec.MsgspecError:
        raise BadPart("wrong_type", f"{name} is not a string") from None


def _lenient(keys: dict[str, msgspec.Raw], name: str, decoder: msgspec.json.Decoder[Any]) -> Any:
    """A value that gets a column if it fits one, and stays in `extra` if it does not."""
    try:
        return decoder.decode(keys[name]) if name in keys else None
    except (msgspec.MsgspecError, UnicodeError):
        return None


def _check_ts(source: Source, keys: dict[str, msgspec.Raw]) -> None:
    if "origin_server_ts" not in keys:
        raise BadPart("missing_key", "no origin_server_ts")
    if bytes(keys["origin_server_ts"])[:1] not in b"-0123456789":
        raise BadPart("wrong_type", "origin_server_ts is not a number")


def _extra(source: Source, keys: dict[str, msgspec.Raw]) -> str | None:
    if not keys:
        return None
    text = source.text(
        msgspec.Raw(b"{" + b",".join(msgspec.json.encode(k) + b":" + bytes(v) for k, v in keys.items()) + b"}")
    )
    check_nesting(text)
    return text


def _clean(value: object) -> str | None:
    """A string that any column can hold, else None: it stays readable in the JSON."""
    return value if is_text(value) else None
