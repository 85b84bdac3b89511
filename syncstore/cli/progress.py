"""What a sync says while it runs: a spinner for a first sync on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from syncstore.cli import show
from syncstore.model.text import printable

if TYPE_CHECKING:
    from rich.status import Status as Spinner

    from syncstore import Applied
    from syncstore.sync import Status

_WORDS = {"asking": "asking the homeserver", "storing": "storing the answer", "waiting": "waiting"}


class Progress:
    """Follows a Syncer. `first`: this is the first sync, which may take minutes."""

    def __init__(self, *, first: bool) -> None:
        self._first = first
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._spinner: Spinner | None = None

    def __enter__(self) -> Progress:
        if self._terminal:
            from rich.console import Console

            self._spinner = Console(stderr=True).status("connecting")
            self._spinner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spinner is not None:
            self._spinner.stop()

    def status(self, status: Status) -> None:
        """The loop asks, stores, or waits after an error."""
        words = _WORDS[status.kind]
        if status.error is not None:
            words = f"{printable(status.error)}; again in {status.seconds:.0f} s"
            if not self._terminal:
                sys.stderr.write(f"syncstore: {words}\n")
        if self._spinner is not None:
            whole = "first sync: " if self._first else ""
            elapsed = time.monotonic() - self._started
            self._spinner.update(f"{whole}{words} … {elapsed:.0f} s".replace("[", r"\["))

    def batch(self, applied: Applied) -> None:
        """A batch was committed."""
        self._first = False
        self._started = time.monotonic()
        if self._terminal and applied.batch is not None:
            sys.stderr.write(f"batch {applied.batch}: {_counts(applied)}\n")

    def total(self, applied: Applied) -> None:
        """The one batch of `--once` was committed."""
        show.line(_counts(applied) if applied.batch is not None else "nothing new")


def _counts(applied: Applied) -> str:
    bad = f", {applied.quarantined} in quarantine" if applied.quarantined else ""
    return f"{applied.rooms} rooms, {applied.events} events ({applied.new_events} new){bad}"
