"""The sync loop: read the token, ask, commit; again (promises 2 and 3).

Nothing is kept between two turns: the token is the store's, so another process may sync the same file.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from syncstore.errors import (
    RemoteError,
    ServerError,
    StaleBatchError,
    StoreLockedError,
    SyncStoreError,
    WireError,
)
from syncstore.ingest import SyncStore
from syncstore.model.filters import checked_filter, default_filter
from syncstore.model.records import Applied, Drift, Event, Filled, Gap
from syncstore.net import Answer, Homeserver
from syncstore.sync.backfill import fill, fill_all
from syncstore.sync.jump import jump, jump_to_date
from syncstore.sync.pace import FAILURE_CAP, IDLE_CAP, Pace, passing
from syncstore.sync.recording import Recorded, Recorder
from syncstore.sync.sender import Flushed, Sender, SendingThread
from syncstore.sync.status import Connection, Status
from syncstore.sync.verify import repair as mend
from syncstore.sync.verify import verify

_STALE_TRIES = 5
_AT_ONCE = 1.0  # seconds: a long poll that brings nothing takes longer


class Syncer:
    """Keeps a store up to date with its homeserver.

    filter: a filter definition; what would lose events is refused (promise 18). timeout: of the long poll, in
    milliseconds. full_members: ask for all members instead of loading them lazily. on_batch: called after each commit,
    by the thread that made it. on_status: called when the loop begins to ask, to store, to wait; `connection` is what
    follows from it. record: a folder that keeps every response.

    Raises FilterError for a filter that is not safe.
    """

    def __init__(
        self,
        server: Homeserver,
        store: SyncStore,
        *,
        filter: Mapping[str, Any] | None = None,
        timeout: int = 30_000,
        set_presence: str | None = None,
        full_members: bool = False,
        on_batch: Callable[[Applied], None] | None = None,
        on_status: Callable[[Status], None] | None = None,
        record: str | os.PathLike[str] | None = None,
    ) -> None:
        self.server = server
        self.store = store
        self.connection = Connection()
        # True while the main thread only waits for the network: then, and only then, may a signal end it by an
        # exception.
        self.interruptible = False
        self._filter = checked_filter(filter) if filter is not None else default_filter(full_members=full_members)
        self._timeout = timeout
        self._set_presence = set_presence
        self._on_batch = on_batch
        self._on_status = on_status
        self._recorder = Recorder(record) if record is not None else None

    def run_once(self) -> Applied:
        """Fetch what there is now and commit it, without waiting for more.

        Raises RemoteError kinds, WireError, StoreError kinds; the store is then as it was.
        """
        return self._turn(timeout=0)

    def run_forever(self, stop: threading.Event | None = None) -> None:
        """Sync, and send what is queued, until `stop` is set: a batch that was fetched is committed first.

        A server out of reach, or one whose answer is no response, is asked again, ever more slowly, without end; so is
        one that answers at once with nothing, and so after another process has held the file for too long. A request
        that is under way when `stop` is set is given up, and the server's own pauses end. Raises UnknownTokenError,
        ServerError for an answer that asking again would not change, and the other StoreError kinds.
        """
        stop = stop or threading.Event()
        server = self.server
        before = server.pause, server.stopped, server.on_retry
        sending = SendingThread(Sender(server, self.store, self.run_once), self.store)
        server.pause, server.on_retry = self._pause_until(stop), self._tell_waiting
        server.stopped = lambda: stop.is_set() or sending.ended
        try:
            with sending:
                self._loop(stop, server.pause, sending)
        finally:
            server.pause, server.stopped, server.on_retry = before
            self.connection = Connection("stopped", self.connection.error)

    def flush(self) -> Flushed:
        """Send what is queued, and what of it can be sent now. Raises RemoteError kinds: what was not sent waits.

        Nothing is done while another process sends. `run_forever` does this by itself.
        """
        return Sender(self.server, self.store, self.run_once).flush()

    def _loop(self, stop: threading.Event, wait: Callable[[float], None], sending: SendingThread) -> None:
        failing, idle = Pace(FAILURE_CAP), Pace(IDLE_CAP)
        while not stop.is_set() and not sending.ended:
            started, since = time.monotonic(), self.store.token
            try:
                applied = self._turn(timeout=self._timeout)
            except (RemoteError, WireError, StaleBatchError, StoreLockedError) as error:
                if stop.is_set() or sending.ended:
                    return
                if not passing(error):
                    raise
                seconds = failing.next(getattr(error, "retry_after", None))
                self._tell_waiting(error, seconds)
                wait(seconds)
                continue
            if failing.reset():
                sending.wake()
            stands_still = applied.batch is None or self.store.token == since
            if stands_still and time.monotonic() - started < _AT_ONCE:
                wait(idle.next())  # no long poll: without a pause this would be a request after the other
            else:
                idle.reset()

    def backfill(self, gap: Gap, limit: int = 100) -> Filled:
        """Fetch one page into a gap, from its newer end: at most `limit` events (promises 13 and 14).

        While another process asks for the same gap nothing is done. Raises RemoteError kinds when the server is out of
        reach; an answer that proves the gap unreachable is noted on it instead.
        """
        return fill(self.server, self.store, gap, limit)

    def jump(self, room_id: str, event_id: str, limit: int = 50) -> Event:
        """Make sure that an event and what stands around it are stored: at most `limit` events are fetched.

        What touches nothing stored becomes an island, with a gap on each side (promise 21). Ask again with the newest
        event of an island to go on towards newer events. The event has no place if only a sync can tell where it
        belongs. Raises NotFoundError (no such room) and RemoteError kinds: ServerError 404 for an event that the server
        does not have.
        """
        return jump(self.server, self.store, room_id, event_id, limit)

    def jump_to_date(self, room_id: str, ts: int, limit: int = 50) -> Event:
        """The same for the first event at or after a moment (milliseconds since 1970), or else the last before it.

        Source: Client-Server API, GET /rooms/{roomId}/timestamp_to_event.
        """
        return jump_to_date(self.server, self.store, room_id, ts, limit)

    def backfill_all(self, budget: int, limit: int = 100) -> int:
        """Fill open gaps, the newest of each room first, with at most `budget` pages; returns events added."""
        return fill_all(self.server, self.store, budget, limit)

    def verify(
        self, room_id: str | None = None, *, repair: bool = False, limit: int = 100, pages: int = 100
    ) -> list[Drift]:
        """Compare one room, or all, with the server: memberships, states, and the newest `limit` events (promise 22).

        Syncs first. With repair, the server's word is taken: what history lacks is recorded as a gap, which is then
        filled with at most `pages` requests for each room. Raises RemoteError kinds, NotFoundError (no such room).
        """
        found = verify(self.server, self.store, self.run_once, room_id, limit)
        return mend(self.server, self.store, self.run_once, found, limit, pages) if repair else found

    def _turn(self, *, timeout: int) -> Applied:
        for _ in range(_STALE_TRIES):
            since = self.store.token
            try:
                return self._fetch(since, timeout if since is not None else 0)
            except StaleBatchError:
                continue  # another process was faster: ask from where it left the store
        return self._fetch(self.store.token, timeout)

    def _fetch(self, since: str | None, timeout: int) -> Applied:
        """One request and its commit."""
        # Without a token over a store that has rooms (a new login): only this request proves what is gone.
        snapshot = since is None and self.store.seq > 0
        self._tell(Status("asking", since))
        answer = self._ask(since, timeout, include_leave=snapshot)
        with self._waiting():
            joined = self.server.joined_rooms() if snapshot else None
        self._tell(Status("storing", since))
        applied = self._commit(answer, since, joined)
        if self._on_batch is not None:
            self._on_batch(applied)
        return applied

    def _commit(self, answer: Answer, since: str | None, joined: list[str] | None) -> Applied:
        """Store a response, recorded first: one that cannot be stored is the one that a bug report needs."""
        store, recorder = self.store, self._recorder
        if recorder is not None:
            recorder.keep(Recorded(bytes(answer.body), since, since, False, joined, store.user_id, store.device_id))
        try:
            return store.apply(answer.body, since=since, held=since, fetch_ms=answer.ms, joined=joined)
        except StaleBatchError:
            if recorder is not None:
                recorder.take_back()
            raise

    def _ask(self, since: str | None, timeout: int, *, include_leave: bool) -> Answer:
        definition = self._filter
        if include_leave:
            definition = {**definition, "room": {**definition.get("room", {}), "include_leave": True}}
        text = json.dumps(definition, sort_keys=True)
        kept = self.store.filter_id(text)
        filter_id = kept or self._upload(text, definition)
        try:
            return self._sync(since, filter_id, timeout)
        except ServerError as error:
            # A server that lost its filters says so; one that refuses the token says the same of a fresh id.
            if kept is None or error.status not in (400, 404):
                raise
            self.store.drop_filter(kept)
            return self._sync(since, self._upload(text, definition), timeout)

    def _sync(self, since: str | None, filter_id: str, timeout: int) -> Answer:
        with self._waiting():
            return self.server.sync(since=since, filter=filter_id, timeout=timeout, set_presence=self._set_presence)

    def _upload(self, text: str, definition: Mapping[str, Any]) -> str:
        with self._waiting():
            filter_id = self.server.upload_filter(self.store.user_id, definition)
        self.store.keep_filter(text, filter_id)
        return filter_id

    def _pause_until(self, stop: threading.Event) -> Callable[[float], None]:
        def pause(seconds: float) -> None:
            with self._waiting():
                stop.wait(seconds)

        return pause

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Nothing is being written inside: an exception may end it at any point."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before, self.interruptible = self.interruptible, True
        try:
            yield
        finally:
            self.interruptible = before

    def _tell_waiting(self, error: SyncStoreError, seconds: float) -> None:
        self._tell(Status("waiting", error=str(error), seconds=seconds))

    def _tell(self, status: Status) -> None:
        self.connection = self.connection.after(status)
        if self._on_status is not None:
            self._on_status(status)
