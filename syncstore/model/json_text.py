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
