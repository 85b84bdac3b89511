"""Sending what is queued: room by room in order, each thing once (promise 37).

A request whose outcome nobody knows is sent again under its transaction id while the server surely still knows that.
Later, and for state events, which have none, a sync and the pages of its gaps must first show that it did not arrive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from syncstore.errors import (
    RateLimitedError,
    RemoteError,
    ServerError,
    SyncStoreError,
    UnknownTokenError,
    UnreachableError,
)
from syncstore.ingest import SyncStore
from syncstore.model.json_text import decode
from syncstore.model.outgoing import Attempt, Proof
from syncstore.model.records import Gap
from syncstore.net import Homeserver
from syncstore.sync.backfill import fill
from syncstore.sync.pace import FAILURE_CAP, Pace, passing

_LEASE = "outbox"
# Longer than a request may take: a lease that outlives its process ends by itself.
_LEASE_SECONDS = 600.0
_PAGES = 50  # at most, to prove one attempt; the rest of a long gap is for the next time
_PAGE_LIMIT = 100
_LOOK_SECONDS = 0.1  # another process may queue something


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a flush did: `sent` were taken by the server, `parked` were refused or must not go."""

    sent: int = 0
    parked: int = 0


class Sender:
    """Sends the outbox of one store. catch_up: syncs once."""

    def __init__(self, server: Homeserver, store: SyncStore, catch_up: Callable[[], object]) -> None:
        self._server = server
        self._store = store
        self._catch_up = catch_up

    def flush(self) -> Flushed:
        """Send all that can be sent now. While another process does so nothing is done.

        Raises RemoteError kinds if the server is out of reach: what was not sent waits.
        """
        if not self._store.rooms_to_send():
            return Flushed()
        outcomes: list[bool] = []
        failure: ServerError | None = None
        with self._store.lease(_LEASE, _LEASE_SECONDS) as held:
            for room_id in self._store.rooms_to_send() if held else ():
                try:
                    outcomes.extend(self._flush_room(room_id))
                except ServerError as error:
                    failure = error  # it may be this room's alone: the others go on
        if failure is not None:
            raise failure
        return Flushed(outcomes.count(True), outcomes.count(False))

    def _flush_room(self, room_id: str) -> Iterator[bool]:
        """Send what a room has, the oldest first: of each, whether the server took it."""
        while (attempt := self._store.next_to_send(room_id)) is not None:
            if not attempt.doubtful:
                yield self._send(attempt)
            elif self._prove(attempt) == "hole":
                return

    def _send(self, attempt: Attempt) -> bool:
        """One request: True if the server took it, False if it is parked. Raises what may pass."""
        try:
            event_id = self._ask(attempt)
        except RemoteError as error:
            if _is_refusal(error):
                self._store.mark_rejected(attempt, str(error))
                return False
            self._store.mark_failed(attempt, str(error), known=_did_nothing(error))
            raise
        self._store.mark_sent(attempt, event_id)
        return True

    def _ask(self, attempt: Attempt) -> str | None:
        """The request of an attempt: the event_id, None for a receipt."""
        server, room_id, content = self._server, attempt.room_id, decode(attempt.content)
        if attempt.kind == "state":
            return server.send_state(room_id, attempt.type, attempt.state_key or "", content)
        if attempt.kind == "event":
            return server.send_event(room_id, attempt.type, attempt.transaction_id, content)
        assert attempt.target is not None
        if attempt.kind == "redaction":
            return server.redact(room_id, attempt.target, attempt.transaction_id, content)
        server.send_receipt(room_id, attempt.type, attempt.target, content)
        return None

    def _prove(self, attempt: Attempt) -> Proof:
        """Whether a doubtful attempt arrived: what happened since must be known without a hole."""
        self._catch_up()
        for _ in range(_PAGES):
            proof = self._store.prove(attempt)
            gap = self._hole_of(attempt) if proof == "hole" else None
            if gap is None:
                return proof
            fill(self._server, self._store, gap, _PAGE_LIMIT)
        return "hole"

    def _hole_of(self, attempt: Attempt) -> Gap | None:
        after = attempt.after_segment
        holes = (
            gap for gap in self._store.room(attempt.room_id).gaps() if gap.status == "open" and gap.kind != "island"
        )
        return next((gap for gap in holes if after is None or gap.segment > after), None)


class SendingThread:
    """Flushes whenever something is queued, in a thread of its own for as long as the block lasts.

    Sending must not wait for the long poll of a sync. An error that does not pass ends it, and is raised at the end of
    the block.
    """

    def __init__(self, sender: Sender, store: SyncStore) -> None:
        self._sender = sender
        self._store = store
        self._halt = threading.Event()
        self._awake = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="syncstore-sender", daemon=True)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to come: the block has ended, or an error that does not pass."""
        return self._halt.is_set()

    def wake(self) -> None:
        """The server answers again: do not wait longer for that."""
        self._awake.set()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._halt.set()
        self._awake.set()
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def _run(self) -> None:
        pace = Pace(FAILURE_CAP)
        while not self._halt.is_set():
            seq = self._store.seq
            try:
                self._sender.flush()
            except Exception as error:
                if not (isinstance(error, SyncStoreError) and passing(error)):
                    self._error = error
                    self._halt.set()
                    return
                self._awake.wait(pace.next(getattr(error, "retry_after", None)))
                self._awake.clear()
            else:
                pace.reset()
                while self._store.seq == seq and not self._halt.wait(_LOOK_SECONDS):
                    pass


def _is_refusal(error: RemoteError) -> bool:
    """Whether the server would say the same again: not a proxy, except of what is too large for it."""
    if isinstance(error, ServerError):
        return error.status == 413 or (error.errcode is not None and 400 <= error.status < 500)
    # A plain RemoteError is ours: an id that cannot stand in a path.
    return not isinstance(error, UnknownTokenError | RateLimitedError | UnreachableError)


def _did_nothing(error: RemoteError) -> bool:
    """Whether a failed request surely left nothing behind."""
    if isinstance(error, UnreachableError):
        return not error.sent
    if isinstance(error, ServerError):
        return 300 <= error.status < 400
    return True
