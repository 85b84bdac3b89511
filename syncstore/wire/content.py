"""One JSON value: its text as sent, its decoded form, and whether SQL may look into it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from syncstore.model.batch import ODD_DUPLICATE_KEY, ODD_NUL, ODD_SURROGATE
from syncstore.model.json_text import any_int
from syncstore.wire.cuts import Cuts
from syncstore.wire.mask import Mask, lone_surrogates, nesting

MAX_NESTING = 500
_ANY = msgspec.json.Decoder()


class BadPart(Exception):  # noqa: N818 - not an error of the caller: it becomes a row of quarantine
    """A part of a response that cannot be read; `code` is stable, the text is for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Source:
    """The body that parts are cut from: gives their bytes and text back as they were sent."""

    def __init__(self, mask: Mask | None = None, cuts: Cuts | None = None) -> None:
        self._mask, self._cuts = mask, cuts

    def whole(self, part: msgspec.Raw) -> msgspec.Raw:
        """A room with all that was cut out of the body; it is then read as from a body of its own, `inside`."""
        return part if self._cuts is None else self._cuts.restore(part)

    @property
    def inside(self) -> Source:
        """What the parts of a whole room are read from."""
        return self if self._cuts is None else Source()

    @property
    def masked(self) -> bool:
        """Whether places of the body are covered: each part must then be asked."""
        return self._mask is not None

    def raw(self, part: msgspec.Raw | bytes) -> bytes:
        """The bytes as sent."""
        return bytes(part) if self._mask is None else self._mask.restore(bytes(part))

    def text(self, part: msgspec.Raw) -> str:
        """The JSON text as sent; BadPart if it is not UTF-8."""
        try:
            return str(part, "utf-8") if self._mask is None else self._mask.restore(bytes(part)).decode()
        except UnicodeDecodeError as error:
            raise BadPart("bad_utf8", f"not UTF-8: {error.reason} at byte {error.start}") from None

    def covered(self, part: str | bytes | msgspec.Raw) -> bool:
        """Whether the part holds a place that the decoder would have refused."""
        if self._mask is None:
            return False
        return self._mask.touches(part.encode() if isinstance(part, str) else bytes(part))


def decode_object(text: str) -> tuple[dict[str, Any], int]:
    """Decode a JSON object for reading: (value, odd bits). BadPart if it is no object or nests too deep.

    The duplicate-key test compares the keys decoded with the `":` in the text; only when they differ, or when a quote
    stands before white space and the count proves nothing, is the slow, exact decoder asked.
    """
    opened = text.count("{")
    if len(text) > 200 and (opened > 100 or text.count("[") > 100):
        check_nesting(text)
    try:
        value = _ANY.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return _decode_slowly(text)
    if type(value) is not dict:
        raise BadPart("wrong_type", "not a JSON object")
    keys = len(value) if opened == 1 else _count_keys(value)
    if keys != text.count('":') or '" ' in text or "\n" in text or "\t" in text or "\r" in text:
        return _decode_slowly(text)
    return value, ODD_NUL if "\\" in text and "\\u0000" in text else 0


def decode_notes(text: str) -> dict[str, Any]:
    """Decode an `unsigned` for reading: SQL never looks into it, so nothing needs to be flagged."""
    try:
        value = _ANY.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return decode_object(text)[0]
    return value if type(value) is dict and text.count("{") + text.count("[") < 100 else decode_object(text)[0]


def check_nesting(text: str) -> None:
    """BadPart for JSON that some SQLite would refuse to look into."""
    if (depth := nesting(text)) > MAX_NESTING:
        raise BadPart("too_deep", f"nested {depth} levels deep, more than {MAX_NESTING}")


def _count_keys(value: object) -> int:
    if type(value) is dict:
        return len(value) + sum(map(_count_keys, value.values()))
    if type(value) is list:
        return sum(map(_count_keys, value))
    return 0


def _decode_slowly(text: str) -> tuple[dict[str, Any], int]:
    odd = ODD_NUL if "\\u0000" in text else 0
    if lone_surrogates(text):
        odd |= ODD_SURROGATE

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal odd
        made = dict(items)
        if len(made) != len(items):
            odd |= ODD_DUPLICATE_KEY
        return made

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_int=any_int, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        if isinstance(error, RecursionError):
            return {}, odd | ODD_DUPLICATE_KEY  # legal but too deep for this stack: kept, not looked into
        raise BadPart("not_json", f"not JSON: {error}") from None
    if type(value) is not dict:
        raise BadPart("wrong_type", "not a JSON object")
    return value, odd


def _no_json(name: str) -> float:
    """NaN and its like: Python reads them, SQLite may not."""
    raise ValueError(f"{name} is no JSON")
