"""JSON text of stored events: read whatever was sent, write what every reader can read again."""

from __future__ import annotations

import json
import math
from typing import Any

# Digits that Python's own conversion takes, and beyond which an integer counts as infinite, as 1e400 does.
_SHORT, _LONGEST = 4000, 1_000_000


def any_int(digits: str) -> int | float:
    """An integer of up to a million digits, exact; a longer one as infinity: turning it into bits could take hours.

    Python's own conversion refuses more than some thousand digits, and Decimal's takes four times as long for twice as
    many.
    """
    if len(digits) <= _SHORT:
        return int(digits)
    if len(digits) > _LONGEST:
        return -math.inf if digits[0] == "-" else math.inf
    return -_joined(digits[1:]) if digits[0] == "-" else _joined(digits)


def _joined(digits: str) -> int:
    if len(digits) <= _SHORT:
        return int(digits)
    low = len(digits) // 2
    shift: int = 10**low
    return _joined(digits[:-low]) * shift + _joined(digits[-low:])


def decode(text: str) -> Any:
    """The value of JSON text as it was kept: integers exact; 1e400, and over a million digits, as infinity."""
    return _READER.decode(text)


def decode_writable(text: str) -> Any:
    """The value of JSON text that will be written again: a number that no reader could take becomes null."""
    return _COPIER.decode(text)


def encode(value: object) -> str:
    """JSON text as compact as servers send it; ASCII, so that a lone surrogate stays an escape."""
    return json.dumps(value, separators=(",", ":"))


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _short(digits: str) -> int | None:
    return int(digits) if len(digits) <= _SHORT else None


# Made once: json.loads makes such a decoder for every text, which costs more than a short text does.
_READER = json.JSONDecoder(parse_int=any_int)
_COPIER = json.JSONDecoder(parse_float=_finite, parse_int=_short)
