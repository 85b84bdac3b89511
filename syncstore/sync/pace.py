"""Whether and when to ask again: waits double, with jitter, and are not less than the server asked for."""

from __future__ import annotations

import random

from syncstore.errors import (
    RateLimitedError,
    ServerError,
    StaleBatchError,
    StoreLockedError,
    SyncStoreError,
    UnreachableError,
    WireError,
)

_FIRST = 1.0
FAILURE_CAP, IDLE_CAP = 60.0, 5.0
# What a server may ask for at most: a number without sense must not end a sync for good.
_LONGEST = 3600.0


class Pace:
    """Waiting times of one loop for one reason, in seconds: from one up to `cap`."""

    def __init__(self, cap: float) -> None:
        self._cap = cap
        self._failures = 0

    def reset(self) -> bool:
        """The reason is gone; whether there was one."""
        failed, self._failures = bool(self._failures), 0
        return failed

    def next(self, at_least: float | None = None) -> float:
        """The time to wait once more: half of it random, so that clients do not march in step."""
        full: float = min(self._cap, _FIRST * 2 ** min(self._failures, 10))
        self._failures += 1
        return max(min(at_least or 0.0, _LONGEST), full * (0.5 + random.random() / 2))


def passing(error: SyncStoreError) -> bool:
    """Whether asking again later may help.

    An error without errcode is none of a homeserver: a proxy, a network that wants a login first. Only a redirect that
    is meant to last says that the address is wrong.
    """
    if isinstance(error, ServerError):
        return error.status not in (301, 308) and (error.errcode is None or error.status >= 500)
    return isinstance(error, UnreachableError | RateLimitedError | WireError | StaleBatchError | StoreLockedError)
