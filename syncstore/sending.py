"""The outbox as part of `SyncStore`: what a person does with it, and what `syncstore.sync` asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from syncstore.later import Later
from syncstore.model.outgoing import Attempt, Outgoing, Proof
from syncstore.store.connection import Connections
from syncstore.walking import Walking

if TYPE_CHECKING:
    from syncstore.store import lease as leases
    from syncstore.store import outbox as outbox_writes
    from syncstore.store import sending
    from syncstore.store.outbox import Wanted
    from syncstore.store.query import outbox as outbox_query
else:
    leases = Later("syncstore.store.lease")
    outbox_query = Later("syncstore.store.query.outbox")
    outbox_writes = Later("syncstore.store.outbox")
    sending = Later("syncstore.store.sending")


class Sending(Walking):
    """The part of `SyncStore` that keeps what is on its way. `Room` queues; `Syncer` sends."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self._writer = self

    def retry(self, transaction_id: str) -> None:
        """Send again what was parked; nothing happens to what is not. NotFoundError if it is not in the outbox."""
        outbox_writes.retry(self._connections, transaction_id)
        self._notify()

    def cancel(self, transaction_id: str) -> list[str]:
        """Take something out of the outbox, with what edits, answers, reacts to or redacts it: their transaction ids.

        Raises NotFoundError if it is not there, OutboxError if it may have reached the server.
        """
        gone = outbox_writes.cancel(self._connections, transaction_id)
        self._notify()
        return gone

    # -- for a room ----------------------------------------------------------------------------------------------------

    def _queue(self, wanted: Wanted) -> Outgoing:
        queued = outbox_writes.queue(self._connections, wanted)
        self._notify()
        return queued

    def _set_draft(self, room_id: str, content: Mapping[str, Any] | None) -> None:
        outbox_writes.set_draft(self._connections, room_id, content)
        self._notify()

    # -- for what only one may do at a time ----------------------------------------------------------------------------

    @contextmanager
    def lease(self, name: str, seconds: float) -> Iterator[bool]:
        """Hold a name for as long as the block lasts, across processes; yields False while another one holds it.

        seconds: after which others may have it though the block still lasts.
        """
        until = leases.take_lease(self._connections, name, seconds)
        try:
            yield until is not None
        finally:
            if until is not None:
                leases.release_lease(self._connections, name, until)

    # -- for the sender ------------------------------------------------------------------------------------------------

    def rooms_to_send(self) -> list[str]:
        """Rooms that have something to be sent now, the one that has waited longest first."""
        with self._connections.read() as cursor:
            return outbox_query.rooms_to_send(cursor)

    def next_to_send(self, room_id: str) -> Attempt | None:
        """A room's next, marked as being sent unless it is doubtful; None if it has none."""
        return sending.begin(self._connections, room_id)

    def mark_sent(self, attempt: Attempt, event_id: str | None) -> None:
        """The server took an attempt."""
        sending.accepted(self._connections, attempt, event_id)
        self._notify()

    def mark_rejected(self, attempt: Attempt, reason: str) -> None:
        """The server refused an attempt, and would again."""
        sending.rejected(self._connections, attempt, reason)
        self._notify()

    def mark_failed(self, attempt: Attempt, reason: str, *, known: bool) -> None:
        """An attempt brought no answer; known: it surely did nothing."""
        (sending.not_sent if known else sending.not_known)(self._connections, attempt, reason)
        self._notify()

    def prove(self, attempt: Attempt) -> Proof:
        """Whether a doubtful attempt arrived, after a sync that was asked for since."""
        proof = sending.prove(self._connections, attempt)
        self._notify()
        return proof
