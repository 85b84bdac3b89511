"""Following a store: callbacks in this process, and consumers that outlive it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from syncstore.later import Later
from syncstore.model.change import Arrival, Change, Consumer
from syncstore.sending import Sending
from syncstore.store.connection import Connections

if TYPE_CHECKING:
    from syncstore.store import consumer as consumers
else:
    consumers = Later("syncstore.store.consumer")

log = logging.getLogger("syncstore.following")

Callback = Callable[[list[Change]], None]
# What takes longer may be given to another process of the same name.
_LEASE_SECONDS = 3600.0
_LOOK_SECONDS = 0.1


class Following(Sending):
    """The part of `SyncStore` that tells what changes, whatever process changed it."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self._follower: Follower | None = None

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call `callback` with the changes of each commit from now on, in order, each once; returns what ends that.

        It is called in a thread of the store's own, so that no commit waits for it. What it raises is logged, and it is
        called again for what comes next. `close` ends it.
        """
        if self._follower is None:
            self._follower = Follower(self)
        return self._follower.add(callback)

    @contextmanager
    def consume(self, name: str, *, limit: int = 100) -> Iterator[list[Arrival]]:
        """Give the next events of all timelines, at most `limit`, in the order in which they came.

        They are acknowledged when the block ends. If it raises, or the process dies, they come again: a consumer
        handles each event at least once, and once only if its own work commits with the block's end. While another
        process or thread consumes under the same name the list is empty. A name that is new begins with what comes
        from now on. An event comes as it is now: stripped, if it was redacted meanwhile.

        Raises StaleBatchError if the block took over an hour and another process has done the same meanwhile.
        """
        with self.lease(f"consumer {name}", _LEASE_SECONDS) as held:
            if not held:
                yield []
                return
            batch = consumers.fetch(self._connections, name, limit)
            yield batch.arrivals
            consumers.acknowledge(self._connections, name, batch)

    def consumers(self) -> list[Consumer]:
        """Who reads the store by name: `consume`, `to_device` and `device_lists`. Counts what waits for each."""
        with self._connections.read() as cursor:
            return consumers.consumers(cursor)

    def forget_consumer(self, name: str) -> None:
        """Let nothing wait any more for a consumer that is gone; one that asks again under its name is a new one.

        To-device messages that all others have acknowledged go; those that nobody has acknowledged wait on. Raises
        NotFoundError if the store knows no such name.
        """
        consumers.forget(self._connections, name)
        self._connections.checkpoint()  # keys were in the messages

    def close(self) -> None:
        """Close the file; redacted bytes still in its WAL leave it now."""
        if self._follower is not None:
            self._follower.end()
        self._connections.checkpoint()
        self._connections.close()


class Follower:
    """A thread that reads the feed for the callbacks of one store."""

    def __init__(self, store: Following) -> None:
        self._store = store
        self._callbacks: list[Callback] = []
        self._ended = threading.Event()
        self._seen = store.last_change
        self._thread = threading.Thread(target=self._run, name="syncstore-follower", daemon=True)
        self._thread.start()

    def add(self, callback: Callback) -> Callable[[], None]:
        """Call it from now on; returns what ends that."""
        since = self._store.last_change

        def later(changes: list[Change]) -> None:
            newer = [change for change in changes if change.seq > since]
            if newer:
                callback(newer)

        self._callbacks.append(later)
        return lambda: self._callbacks.remove(later)

    def end(self) -> None:
        """Tell what is committed, and stop."""
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self._tell()
        self._tell()

    def _tell(self) -> None:
        changes = self._store.changes(self._seen)
        if changes:
            self._seen = changes[-1].seq
        for batch in dict.fromkeys(change.batch for change in changes):
            of_batch = [change for change in changes if change.batch == batch]
            for callback in list(self._callbacks):
                self._call(callback, of_batch)

    def _call(self, callback: Callback, changes: list[Change]) -> None:
        try:
            callback(changes)
        except Exception:
            log.exception("a subscriber failed on batch %d", changes[0].batch)
