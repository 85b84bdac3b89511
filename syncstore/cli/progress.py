"""What a person sees of a sync: on a terminal only, on standard error, so that output stays output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from syncstore.model.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Live

    from syncstore.model.records import Applied
    from syncstore.sync import Status

_WORDS = {"asking": "asking the server for everything", "storing": "storing what came"}


class Progress:
    """Follows a Syncer by its on_status and on_batch. A first sync has a spinner, each batch a line."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._live: Live | None = None

    def on_status(self, status: Status) -> None:
        """The loop began to ask, to store or to wait."""
        if not self._shown:
            return
        if status.kind == "waiting":
            self.stop()
            _say(f"waiting {status.seconds or 0:.0f} s: {status.error}")
        elif status.since is None:
            self._spin(_WORDS[status.kind])

    def on_batch(self, applied: Applied) -> None:
        """A batch was committed."""
        self.stop()
        if self._shown and applied.batch is not None:
            _say(summary(applied))

    def on_page(self, text: str) -> None:
        """A page of a back-fill was committed."""
        if self._shown:
            self._spin(text)

    def stop(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _spin(self, text: str) -> None:
        """A spinner with the time since the first step."""
        from rich.console import Console
        from rich.progress import Progress as Live
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        if self._live is None:
            looks = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
            self._live = Live(*looks, console=Console(stderr=True), transient=True)
            self._live.add_task(text, total=None)
            self._live.start()
        self._live.update(self._live.task_ids[0], description=text)


def summary(applied: Applied) -> str:
    """One line about a commit."""
    said = f"batch {applied.batch}: {applied.rooms} rooms, {applied.events} events, {applied.new_events} new"
    extra = {"quarantined": applied.quarantined, "redacted": applied.redacted}
    said += "".join(f", {count} {what}" for what, count in extra.items() if count)
    return said + (" (first sync)" if applied.initial else "")


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)  # noqa: T201
