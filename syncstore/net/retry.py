"""When to try again: jittered exponential back-off, and what a server asks for."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

_MAX_DOUBLINGS = 32


@dataclass(frozen=True)
class Retry:
    """How often and how long: at most `attempts` requests, waits from `base` up to `cap` seconds."""

    attempts: int = 5
    base: float = 0.5
    cap: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 <= self.base <= self.cap:
            raise ValueError(f"{self}: expected attempts >= 1 and 0 <= base <= cap")

    def wait(self, failures: int, asked: float | None) -> float | None:
        """Return the seconds to wait after so many failures, None to give up.

        asked: seconds the server wants; never undercut, and above `cap` there is no next try.
        """
        if failures >= self.attempts or (asked is not None and asked > self.cap):
            return None
        top = min(self.cap, self.base * 2 ** min(failures - 1, _MAX_DOUBLINGS))
        return max(random.uniform(top / 2, top), asked or 0.0)


def asked_wait(headers: Mapping[str, str], error: Mapping[str, Any]) -> float | None:
    """Return the seconds a 429 or 503 asks to wait, None if it names none.

    Retry-After holds whole seconds or a date, retry_after_ms of older servers is finer: the longer one counts.
    Source: Client-Server API, Rate limiting; RFC 9110, 10.2.3.
    """
    named = (_from_header(headers.get("Retry-After"), headers.get("Date")), _from_body(error))
    return max((seconds for seconds in named if seconds is not None), default=None)


def _from_body(error: Mapping[str, Any]) -> float | None:
    ms = error.get("retry_after_ms")
    return ms / 1000 if isinstance(ms, int) and not isinstance(ms, bool) and 0 <= ms < 2**53 else None


def _from_header(value: str | None, date: str | None) -> float | None:
    """A date is told by the server's clock, so it is compared with that: ours may be wrong."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:16])
    until = _moment(value)
    if until is None:
        return None
    now = None if date is None else _moment(date)
    return max(0.0, until - (time.time() if now is None else now))


def _moment(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
