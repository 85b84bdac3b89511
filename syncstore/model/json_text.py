"""JSON text of stored events: read whatever was sent, write what every reader can read again."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any


def any_int(digits: str) -> int:
    """An integer of any length: Python's own conversion refuses more than some thousand digits."""
    return int(Decimal(digits)) if len(digits) > 4000 else int(digits)


def decode(text: str) -> Any:
    """The value of JSON text as it was kept: integers exact, 1e400 as infinity."""
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
    return int(digits) if len(digits) <= 4000 else None


# Made once: json.loads makes such a decoder for every text, which costs more than a short text does.
_READER = json.JSONDecoder(parse_int=any_int)
_COPIER = json.JSONDecoder(parse_float=_finite, parse_int=_short)
