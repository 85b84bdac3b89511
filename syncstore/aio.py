"""The asyncio face: the same store and the same syncer, each call in a thread of the store's own.

    async with await AsyncSyncStore.open("alice.db") as store:
        syncer = AsyncSyncer(Homeserver("https://example.org", access_token=token), store)
        task = asyncio.create_task(syncer.run_forever())
        ...
        task.cancel()

A call that is cancelled gives up its request to the server at once; what it commits is committed whole or not at all.
Python's threads take turns every five milliseconds: so long may the loop wait while a large response is stored.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from syncstore.ingest import SyncStore
from syncstore.model.change import Arrival, Change
from syncstore.model.room_records import RoomRecord
from syncstore.net import Homeserver
from syncstore.room import Room
from syncstore.sync import Connection, Syncer

P = ParamSpec("P")
T = TypeVar("T")

# Reads beside each other, a writer, a sync and a back-fill: a call never waits for a thread that only waits itself.
_THREADS = 16


class _Threads:
    """Runs functions in threads, and tells a function whose awaiting was cancelled."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="syncstore")
        self._cancelled: set[int] = set()

    def is_cancelled(self) -> bool:
        """Whether nobody awaits what this thread does any more."""
        return threading.get_ident() in self._cancelled

    async def run(self, function: Callable[[], T]) -> T:
        """The function's result. When cancelled it waits until the function has come to its end, and then raises."""
        thread: list[int] = []

        def work() -> T:
            thread.append(threading.get_ident())
            try:
                return function()
            finally:
                self._cancelled.discard(threading.get_ident())

        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not future.cancel():
                self._cancelled.update(thread)
                await _until_done(future)
            raise

    def close(self) -> None:
        self._pool.shutdown()


async def _until_done(future: asyncio.Future[Any]) -> None:
    """Whatever it raises, and however often we are cancelled."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        future.exception()


def _threaded(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The same method, awaited."""

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        threads: _Threads = self._threads
        return await threads.run(partial(method, self._plain, *args, **kwargs))

    return call


class AsyncRoom:
    """A room as it was when it was asked for: `record` is its row, everything else is read from the file."""

    def __init__(self, room: Room, threads: _Threads) -> None:
        self.record: RoomRecord = room.record()
        self.room_id = room.room_id
        self._plain = room
        self._threads = threads

    account_data = _threaded(Room.account_data)
    children = _threaded(Room.children)
    direct_users = _threaded(Room.direct_users)
    draft = _threaded(Room.draft)
    edit = _threaded(Room.edit)
    event = _threaded(Room.event)
    fully_read = _threaded(Room.fully_read)
    gaps = _threaded(Room.gaps)
    heroes = _threaded(Room.heroes)
    invite_state = _threaded(Room.invite_state)
    knock_state = _threaded(Room.knock_state)
    mark_read = _threaded(Room.mark_read)
    member = _threaded(Room.member)
    members = _threaded(Room.members)
    outbox = _threaded(Room.outbox)
    parents = _threaded(Room.parents)
    react = _threaded(Room.react)
    reactions = _threaded(Room.reactions)
    read_up_to = _threaded(Room.read_up_to)
    receipts = _threaded(Room.receipts)
    redact = _threaded(Room.redact)
    relations = _threaded(Room.relations)
    replies = _threaded(Room.replies)
    send = _threaded(Room.send)
    send_state = _threaded(Room.send_state)
    send_text = _threaded(Room.send_text)
    set_draft = _threaded(Room.set_draft)
    state = _threaded(Room.state)
    state_at = _threaded(Room.state_at)
    state_map = _threaded(Room.state_map)
    state_map_at = _threaded(Room.state_map_at)
    threads = _threaded(Room.threads)
    timeline = _threaded(Room.timeline)
    typing = _threaded(Room.typing)
    upgrades = _threaded(Room.upgrades)


class AsyncSyncStore:
    """A store whose every call is awaited."""

    def __init__(self, store: SyncStore) -> None:
        """Use `AsyncSyncStore.open`, or give it a store that is open; it is closed with this."""
        self.user_id = store.user_id
        self.path = store.path
        self._plain = store
        self._threads = _Threads()

    @classmethod
    async def open(cls, where: str | os.PathLike[str], **options: Any) -> Self:
        """Open a store; the arguments and the errors are those of `SyncStore.open`."""
        return cls(await asyncio.to_thread(partial(SyncStore.open, where, **options)))

    async def close(self) -> None:
        """Close the file, once the calls under way have come to their end."""
        await self._threads.run(self._plain.close)
        await asyncio.to_thread(self._threads.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def call(self, function: Callable[[SyncStore], T]) -> T:
        """What a function makes of the plain store, in a thread: for several reads of one snapshot, or a loop."""
        return await self._threads.run(partial(function, self._plain))

    async def rooms(self, membership: str | None = None) -> list[AsyncRoom]:
        """All rooms, or those of one membership; the newest message first."""
        found = await self.call(lambda store: store.rooms(membership))
        return [AsyncRoom(room, self._threads) for room in found]

    async def room(self, room_id: str) -> AsyncRoom:
        """One room. NotFoundError if the store has none of this id."""
        return AsyncRoom(await self.call(lambda store: store.room(room_id)), self._threads)

    async def room_named(self, name: str) -> AsyncRoom:
        """The one room that a person means by an id, a canonical alias or a name."""
        return AsyncRoom(await self.call(lambda store: store.room_named(name)), self._threads)

    async def token(self) -> str | None:
        """The token to continue from."""
        return await self.call(lambda store: store.token)

    async def seq(self) -> int:
        """The number of the newest batch that brought something."""
        return await self.call(lambda store: store.seq)

    async def last_change(self) -> int:
        """The newest place in the change feed."""
        return await self.call(lambda store: store.last_change)

    def subscribe(self, callback: Callable[[list[Change]], object]) -> Callable[[], None]:
        """Call `callback` in this loop with the changes of each commit from now on; returns what ends that."""
        loop = asyncio.get_running_loop()

        def tell(changes: list[Change]) -> None:
            loop.call_soon_threadsafe(callback, changes)

        return self._plain.subscribe(tell)

    @asynccontextmanager
    async def consume(self, name: str, *, limit: int = 100) -> AsyncIterator[list[Arrival]]:
        """The durable consumer of `SyncStore.consume`: acknowledged if the block ends well."""
        block = self._plain.consume(name, limit=limit)
        arrivals = await self._threads.run(block.__enter__)
        try:
            yield arrivals
        except BaseException as error:
            # Raised again by the block, which acknowledges nothing.
            await self._threads.run(partial(block.__exit__, type(error), error, error.__traceback__))
            raise
        await self._threads.run(partial(block.__exit__, None, None, None))

    account_data = _threaded(SyncStore.account_data)
    ack = _threaded(SyncStore.ack)
    ack_device_lists = _threaded(SyncStore.ack_device_lists)
    apply = _threaded(SyncStore.apply)
    attach_decrypted = _threaded(SyncStore.attach_decrypted)
    backup = _threaded(SyncStore.backup)
    cancel = _threaded(SyncStore.cancel)
    changes = _threaded(SyncStore.changes)
    check = _threaded(SyncStore.check)
    compact = _threaded(SyncStore.compact)
    consumers = _threaded(SyncStore.consumers)
    device_keys = _threaded(SyncStore.device_keys)
    device_lists = _threaded(SyncStore.device_lists)
    events = _threaded(SyncStore.events)
    forget = _threaded(SyncStore.forget)
    forget_consumer = _threaded(SyncStore.forget_consumer)
    gap = _threaded(SyncStore.gap)
    gaps = _threaded(SyncStore.gaps)
    info = _threaded(SyncStore.info)
    outbox = _threaded(SyncStore.outbox)
    prune = _threaded(SyncStore.prune)
    push_actions = _threaded(SyncStore.push_actions)
    rebind = _threaded(SyncStore.rebind)
    retry = _threaded(SyncStore.retry)
    search = _threaded(SyncStore.search)
    spaces = _threaded(SyncStore.spaces)
    to_device = _threaded(SyncStore.to_device)
    undecrypted = _threaded(SyncStore.undecrypted)
    wait = _threaded(SyncStore.wait)


class AsyncSyncer:
    """A `Syncer` whose every call is awaited; the arguments are those of `Syncer`."""

    def __init__(self, server: Homeserver, store: AsyncSyncStore, **options: Any) -> None:
        self._threads = store._threads
        self._plain = Syncer(server, store._plain, **options)
        server.stopped = self._threads.is_cancelled

    @property
    def connection(self) -> Connection:
        """How we stand with the server."""
        return self._plain.connection

    async def run_forever(self) -> None:
        """Sync and send until cancelled; a batch that was fetched is committed first. Raises as `Syncer` does."""
        stop = threading.Event()
        running = asyncio.ensure_future(self._threads.run(lambda: self._plain.run_forever(stop)))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            stop.set()
            await _until_done(running)
            raise

    backfill = _threaded(Syncer.backfill)
    backfill_all = _threaded(Syncer.backfill_all)
    flush = _threaded(Syncer.flush)
    jump = _threaded(Syncer.jump)
    jump_to_date = _threaded(Syncer.jump_to_date)
    run_once = _threaded(Syncer.run_once)
    verify = _threaded(Syncer.verify)
