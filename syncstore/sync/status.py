"""Where a sync stands, as values that a person can be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Status:
    """What the loop begins to do: `asking`, `storing` or `waiting` (after `error`, for `seconds`)."""

    kind: str
    since: str | None = None
    error: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """How we stand with the server: `stopped`, `connecting` (no answer yet), `online`, or `offline` after `error`.

    seconds: after which an offline loop asks again. Everything that is stored can be read in every state, and whatever
    is sent is queued.
    """

    state: Literal["stopped", "connecting", "online", "offline"] = "stopped"
    error: str | None = None
    seconds: float | None = None

    def after(self, status: Status) -> Connection:
        """The connection once the loop has told a status."""
        if status.kind == "waiting":
            return Connection("offline", status.error, status.seconds)
        if status.kind == "storing":
            return Connection("online")
        return Connection("connecting") if self.state == "stopped" else self
