"""One event: cut out of the body, its known keys lifted, everything else kept as text.

Two ways to the same tuple. The fast one knows exactly the keys that servers send and refuses all others; the slow
one takes any object key by key, tells what is wrong with it, and keeps unknown keys in `extra`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from syncstore.model.batch import RoomEvent, Typed
from syncstore.model.relation import replied_to
from syncstore.model.text import is_text
from syncstore.wire.content import BadPart, Source, check_nesting, decode_notes, decode_object

MAX_BYTES = 255  # the spec's limit on ids, types and state keys
_INT64 = range(-(2**63), 2**63)
_SPECIAL = frozenset({"m.room.redaction", "m.room.encrypted"})
_UNSET = msgspec.UNSET
# A named tuple's own way to be made is a function in Python.
_new = tuple.__new__
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Short = Annotated[str, msgspec.Meta(max_length=MAX_BYTES)]  # in characters: bytes are counted where they differ
# Names that are short enough whatever they are written with; longer ones are rare, and read part by part.
_Tag = Annotated[str, msgspec.Meta(max_length=MAX_BYTES // 4)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_BYTES // 4)]


class CutEvent(msgspec.Struct, forbid_unknown_fields=True):
    """An event as servers send it, contents uncut."""

    type: _Tag
    sender: _Short
    content: msgspec.Raw
    origin_server_ts: Int64
    event_id: _Id | None = None
    state_key: _Short | msgspec.UnsetType = _UNSET
    unsigned: msgspec.Raw | msgspec.UnsetType = _UNSET
    redacts: str | msgspec.UnsetType = _UNSET


class CutTyped(msgspec.Struct, forbid_unknown_fields=True):
    """An event without an id as servers send it, content uncut."""

    type: _Short
    content: msgspec.Raw
    sender: _Short | None = None
    state_key: _Short | None = None


_EVENT = msgspec.json.Decoder(CutEvent)
_TYPED = msgspec.json.Decoder(CutTyped)
_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PLAIN = 150  # characters of an `unsigned` that cannot nest too deep
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
            # In the 2015 form an id inside the event is just another key: the slow way keeps it.
            if (event_id is None) is not (cut.event_id is None):
                cut.event_id = cut.event_id or event_id
                return lift_cut(cut)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
    return _room_event_slowly(source, raw, event_id)


def lift_cut(cut: CutEvent) -> RoomEvent:
    """An event whose names, types and lengths the decoder has checked, with its id. Raises BadPart or UnicodeError."""
    if cut.event_id is None:
        raise BadPart("missing_key", "no event_id")
    sender = cut.sender
    state_key = None if cut.state_key is _UNSET else cut.state_key
    if not (sender.isascii() and (state_key is None or state_key.isascii())):
        _check_lengths(cut.event_id, cut.type, state_key, sender)
    return _lift(
        cut.event_id,
        cut.type,
        state_key,
        sender,
        cut.origin_server_ts,
        str(cut.content, "utf-8"),
        None if cut.unsigned is _UNSET else str(cut.unsigned, "utf-8"),
        None,
        None if cut.redacts is _UNSET else cut.redacts,
    )


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
    redacts = _lenient(source, keys, "redacts", _STRING)
    ts = _lenient(source, keys, "origin_server_ts", _INTEGER)
    if ts is None or ts not in _INT64:
        ts = None
        _check_ts(source, keys)
    else:
        del keys["origin_server_ts"]
    if redacts is not None:
        del keys["redacts"]
    unsigned = keys.pop("unsigned", None)
    kept.update(keys)
    _check_lengths(event_id, type_, state_key, sender)
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
    body, odd = decode_object(content)
    special = type_ in _SPECIAL
    rel_type = relates_to = in_reply_to = transaction_id = replaces = redacted_because = None
    if "m.relates_to" in body and type(relation := body["m.relates_to"]) is dict:
        rel_type = _clean(relation.get("rel_type"))
        relates_to = _clean(relation.get("event_id"))
        in_reply_to = replied_to(relation)
    # Each key that is lifted has an underscore, unless it is written with escapes; so has an event that is bundled.
    if unsigned is not None and ("_" in unsigned or "\\" in unsigned or len(unsigned) > _PLAIN or unsigned[0] != "{"):
        special = True
        transaction_id, replaces, redacted_because = _lift_notes(unsigned)
    return _new(
        RoomEvent,
        (
            event_id,
            type_,
            sender,
            ts,
            content,
            unsigned,
            odd,
            state_key,
            extra,
            redacts,
            rel_type,
            relates_to,
            transaction_id,
            replaces,
            in_reply_to,
            redacted_because,
            special,
            body,
        ),
    )


def _lift_notes(unsigned: str) -> tuple[str | None, str | None, str | None]:
    """What has a column out of `unsigned`: (transaction_id, replaces, redacted_because)."""
    if unsigned == "null":
        return None, None, None
    notes = decode_notes(unsigned)
    transaction_id = _clean(notes.get("transaction_id", notes.get("txn_id")))
    replaces = _clean(notes.get("replaces_state"))
    if replaces is None and "prev_content" in notes:
        replaces = ""
    because = notes.get("redacted_because")
    if because is None:
        return transaction_id, replaces, None
    named = _clean(because.get("event_id")) if type(because) is dict else None
    return transaction_id, replaces, named or _clean(notes.get("redacted_by")) or ""


def typed(source: Source, raw: msgspec.Raw) -> Typed:
    """An event without an id; BadPart when it cannot be kept."""
    if not source.covered(raw):
        try:
            cut = _TYPED.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
        else:
            return lift_typed(source, cut)
    keys = split_object(raw)
    type_ = _required(source, keys, "type")
    sender = _optional(source, keys, "sender")
    state_key = _optional(source, keys, "state_key")
    content = keys.pop("content", None)
    if content is None:
        raise BadPart("missing_key", "no content")
    return _typed(type_, sender, state_key, source.text(content), _extra(source, keys))


def lift_typed(source: Source, cut: CutTyped) -> Typed:
    """An event without an id whose names and types the decoder has checked. Raises BadPart."""
    return _typed(cut.type, cut.sender, cut.state_key, source.text(cut.content), None)


def _typed(type_: str, sender: str | None, state_key: str | None, content: str, extra: str | None) -> Typed:
    _check_lengths("-", type_, state_key, sender)
    body, odd = decode_object(content)
    return Typed(type_, sender, state_key, content, extra, odd, body)


def checked_id(source: Source, name: str, value: str) -> str:
    """A room or event id that came as an object's key or in a list; BadPart if no column can hold it."""
    if source.covered(value):
        raise BadPart("bad_text", f"{name} is not valid text")
    if not value:
        raise BadPart("missing_key", f"{name} is empty")
    if len(value.encode()) > MAX_BYTES:
        raise BadPart("too_long", f"{name} is over {MAX_BYTES} bytes")
    return value


def _check_lengths(event_id: str, type_: str, state_key: str | None, sender: str | None) -> None:
    """BadPart for a name that the spec does not allow."""
    for name, value in (("event_id", event_id), ("type", type_), ("sender", sender), ("state_key", state_key)):
        if value is not None and len(value.encode()) > MAX_BYTES:
            raise BadPart("too_long", f"{name} is over {MAX_BYTES} bytes")
    if not event_id:
        raise BadPart("missing_key", "event_id is empty")


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


def _lenient(source: Source, keys: dict[str, msgspec.Raw], name: str, decoder: msgspec.json.Decoder[Any]) -> Any:
    """A value that gets a column if it fits one, and stays in `extra` if it does not."""
    try:
        # What is covered here is not what was sent.
        return decoder.decode(keys[name]) if name in keys and not source.covered(keys[name]) else None
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
