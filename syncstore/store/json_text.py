"""JSON text of stored events, read and written again when a redaction changes it."""

from __future__ import annotations

import json
import math
from typing import Any


def decode(text: str) -> Any:
    """JSON as kept in the file; a number too large for a float is null, for no JSON text could hold it again."""
    return json.loads(text, parse_float=_finite, parse_int=_any_int)


def encode(value: object) -> str:
    """JSON text as compact as servers send it; ASCII, so that a lone surrogate stays an escape."""
    return json.dumps(value, separators=(",", ":"))


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _any_int(digits: str) -> int | None:
    """Python refuses integers of more than some thousand digits."""
    try:
        return int(digits)
    except ValueError:
        return None
