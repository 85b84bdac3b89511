"""Parts shared by responses, rooms and pages: lists, events without ids, and what becomes of a part that is bad."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from syncstore.model.batch import Bad, Typed
from syncstore.wire.content import BadPart, Source
from syncstore.wire.event import split_object, typed

_LIST = msgspec.json.Decoder(list[msgspec.Raw])


@contextmanager
def quarantine(
    bad: list[Bad],
    source: Source,
    raw: msgspec.Raw,
    section: str,
    room_id: str | None = None,
    event_id: str | None = None,
) -> Iterator[None]:
    """Turn a BadPart raised inside into a row of quarantine with the bytes of `raw`."""
    try:
        yield
    except BadPart as error:
        bad.append(Bad(room_id, section, event_id, error.code, str(error), source.raw(raw)))


def split_list(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """A list's items uncut; BadPart if it is none."""
    try:
        return _LIST.decode(raw)
    except msgspec.MsgspecError:
        raise BadPart("wrong_type", "not a list") from None


def typed_events(
    bad: list[Bad], source: Source, raw: msgspec.Raw, section: str, room_id: str | None = None
) -> list[Typed]:
    """The events of `{"events": […]}`; each that cannot be read goes to `bad` alone."""
    found: list[Typed] = []
    with quarantine(bad, source, raw, section, room_id):
        listed = split_object(raw).get("events")
        for event in [] if listed is None else split_list(listed):
            with quarantine(bad, source, event, section, room_id):
                found.append(typed(source, event))
    return found
