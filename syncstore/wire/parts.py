"""Parts shared by responses, rooms and pages: lists, events without ids, and what becomes of a part that is bad."""

from __future__ import annotations

import msgspec

from syncstore.model.batch import Bad, Typed
from syncstore.wire.content import BadPart, Source
from syncstore.wire.event import split_object, typed

_LIST = msgspec.json.Decoder(list[msgspec.Raw])


class quarantine:  # noqa: N801 - read as a statement; a class, for a generator costs three times as much per use
    """Turn a BadPart raised inside into a row of quarantine with the bytes of `raw`."""

    __slots__ = ("_bad", "_event_id", "_raw", "_room_id", "_section", "_source")

    def __init__(
        self,
        bad: list[Bad],
        source: Source,
        raw: msgspec.Raw,
        section: str,
        room_id: str | None = None,
        event_id: str | None = None,
    ) -> None:
        self._bad, self._source, self._raw = bad, source, raw
        self._section, self._room_id, self._event_id = section, room_id, event_id

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, BadPart):
            return False
        raw = self._source.raw(self._raw)
        # A key that is no text names nothing.
        section = "(unreadable)" if self._source.covered(self._section) else self._section
        self._bad.append(Bad(self._room_id, section, self._event_id, error.code, str(error), raw))
        return True


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
