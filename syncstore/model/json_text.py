"""JSON text of stored events: read whatever was sent, write what every reader can read again."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

# The work of a conversion grows with the square of the digits: a million of them would take half a minute.
_EXACT_DIGITS = 10_000


def any_int(digits: str) -> int | float:
    """An integer, of more digits than Python itself would take; infinity, as 1e400, from 10,000 digits on."""
    if len(digits) <= 4000:
        return int(digits)
    return int(Decimal(digits)) if len(digits) <= _EXACT_DIGITS else float(digits)


def decode(text: str) -> Any:
    """The value of JSON text as it was kept: integers exact up to 10,000 digits, 1e400 as infinity."""
    return json.loads(text, parse_int=any_int)


def decode_writable(text: str) -> Any:
    """The value of JSON text that will be written again: a number that no reader could take becomes null."""
    return json.loads(text, parse_float=_finite, parse_int=_short)


def encode(value: object) -> str:
    """JSON text as compact as servers send it; ASCII, so that a lone surrogate stays an escape."""
    return json.dumps(value, separators=(",", ":"))


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _short(digits: str) -> int | None:
    return int(digits) if len(digits) <= 4000 else None
