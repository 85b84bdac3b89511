"""What `Syncer` asks of a store to fill gaps, complete members and mend drift."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from syncstore.later import Later
from syncstore.model.records import Drift, Gap
from syncstore.reads import Reads
from syncstore.store.connection import Connections

if TYPE_CHECKING:
    from syncstore import writing
    from syncstore.store import search
    from syncstore.store.gap import GapRow
else:
    search = Later("syncstore.store.search")
    writing = Later("syncstore.writing")


class Walking(Reads):
    """The part of `SyncStore` that is made for `syncstore.sync`. After each commit it wakes who waits."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections.read)
        self._connections = connections
        self._news = threading.Condition()
        self._unsettled = False  # redacted bytes may still be in the WAL

    # -- members -------------------------------------------------------------------------------------------------------

    def apply_members(self, room_id: str, body: bytes | bytearray, *, asked_at: int) -> None:
        """Commit an answer of /members: the room's list is then complete.

        asked_at: `seq` when the request was sent; members set by a later batch stay as they are (promise 10).
        """
        self._settle(writing.apply_members(self._connections, room_id, writing.parse_members(body, room_id), asked_at))

    def _complete_members(self, room_id: str, load: Callable[[str], Any]) -> None:
        """Ask for the whole member list, unless the store has it."""
        asked_at = self.seq
        answer = load(room_id)
        self.apply_members(room_id, getattr(answer, "body", answer), asked_at=asked_at)

    # -- gaps ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def lease_gap(self, gap: Gap, seconds: float) -> Iterator[GapRow | None]:
        """Hold a gap for one request, across processes; yields None while another one holds it."""
        leased = writing.lease_gap(self._connections, gap.id, seconds)
        if leased is None:
            yield None
            return
        row, until = leased
        try:
            yield row
        finally:
            writing.release_lease(self._connections, writing.gap_lease(gap.id), until)

    def renew_gap(self, gap: Gap, asked: str | None, answer: bytes | bytearray) -> str | None:
        """Give a gap whose token was null or refused the `start` of another answer; None if that holds none."""
        token = writing.parse_start(answer)
        if token is not None:
            writing.renew_walk(self._connections, gap.id, asked, token)
        return token

    def retry_gap(self, gap: Gap, asked: str | None, token: str) -> None:
        """Let a gap whose token was refused go on from another one, unless it moved meanwhile."""
        writing.renew_walk(self._connections, gap.id, asked, token)

    def give_up_gap(self, gap: Gap, reason: str) -> None:
        """Mark a gap that cannot be filled, with the reason."""
        writing.give_up(self._connections, gap.id, reason)
        self._notify()

    # -- drift ---------------------------------------------------------------------------------------------------------

    def state_drift(self, room_id: str, body: bytes | bytearray) -> list[Drift]:
        """What of a room's state is not as an answer of /state says. WireError for a body that is none."""
        with self._connections.read() as cursor:
            return writing.state_drift(cursor, room_id, writing.parse_state(body, room_id))

    def message_drift(self, room_id: str, body: bytes | bytearray) -> list[Drift]:
        """What an answer of /messages (dir=b) has that is neither stored nor in a gap, or was redacted unseen."""
        with self._connections.read() as cursor:
            return writing.message_drift(cursor, room_id, writing.parse_page(body, room_id))

    def restate(self, room_id: str, body: bytes | bytearray, *, asked_under: str) -> bool:
        """Make a room's state an answer of /state, and the room one that we are joined to.

        asked_under: the token stored when it was asked. False, and nothing is written, if a sync was committed since.
        """
        redacted = writing.restate(self._connections, room_id, writing.parse_state(body, room_id), asked_under)
        if redacted is not None:
            self._settle(redacted)
        return redacted is not None

    def mark_left(self, room_id: str) -> None:
        """Archive a room that the server says we are not in."""
        writing.mark_left(self._connections, room_id)
        self._notify()

    def apply_copies(self, room_id: str, body: bytes | bytearray) -> None:
        """Take redactions out of an answer of /messages (dir=b): pruned copies strip what is stored."""
        self._settle(writing.apply_context(self._connections, room_id, writing.parse_page(body, room_id)))

    def walk_again(self, room_id: str) -> None:
        """Open a gap over the whole history of a room in which something is missing that no gap shows."""
        writing.walk_again(self._connections, room_id)
        self._notify()

    def _settle(self, redacted: int) -> None:
        """After a commit: wake who waits; get redacted bytes out of index and WAL, now or once nobody is in the way."""
        self._unsettled = self._unsettled or bool(redacted)
        if self._unsettled:
            purged = search.purge(self._connections)
            self._unsettled = not (self._connections.checkpoint() and purged)
        self._notify()

    def _notify(self) -> None:
        with self._news:
            self._news.notify_all()
