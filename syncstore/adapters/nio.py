"""matrix-nio's AsyncClient on a store: `from syncstore.adapters.nio import AsyncClient` is all that a bot changes.

Every response is committed before nio moves its token or runs a callback (promise 31), in a thread of its own. What nio
knows of rooms it gets from the store: at the start, and whenever another process has synced.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
import nio

from syncstore.adapters.nio_asking import Asking, FailedError, read_body, refused
from syncstore.adapters.nio_file import StoreFile
from syncstore.adapters.nio_rooms import Batch, Rooms, read_batch, rooms_of, told_before
from syncstore.errors import StaleBatchError, StoreLockedError, WireError
from syncstore.ingest import SyncStore
from syncstore.sync.pace import FAILURE_CAP, IDLE_CAP, Pace

_log = logging.getLogger(__name__)
_SYNC = "/_matrix/client/v3/sync"
_UNKNOWN = object()  # the token that nio's rooms are of, before they were ever filled
_AT_ONCE = 1.0  # seconds: a long poll that brings nothing takes longer
_AGAIN = 5  # times that somebody else may be faster before it becomes a matter of pauses
T = TypeVar("T")


class AsyncClient(nio.AsyncClient):  # type: ignore[misc]  # nio has no types
    """nio's client, with `client.syncstore` beside nio's own `client.store` of encryption keys.

    syncstore: a path, or an open SyncStore, which then stays the caller's to close. By default the file
    `<user id>.syncstore.db` in nio's `store_path`, else in the working directory. It is opened with the login; a login
    of another device than the file's makes the next sync an initial one (`SyncStore.rebind`). syncstore_passphrase: of
    an encrypted file; without it, or with another one, a login raises PassphraseError and asks the server nothing.
    Everything else is nio's.

    rooms and invited_rooms are there after `login` or `restore_login`; `knocked_rooms` likewise, by the stripped state
    that a knock brings.
    """

    def __init__(
        self,
        *args: Any,
        syncstore: str | os.PathLike[str] | SyncStore | None = None,
        syncstore_passphrase: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.knocked_rooms: dict[str, nio.MatrixInvitedRoom] = {}
        self._file = StoreFile(syncstore, self.store_path, syncstore_passphrase)
        self._thread = ThreadPoolExecutor(1, "syncstore")
        self._asking = Asking(self)
        self._shown: object = _UNKNOWN
        self._failing, self._idle = Pace(FAILURE_CAP), Pace(IDLE_CAP)
        self._not_before = 0.0
        self._stopping = asyncio.Event()

    @property
    def syncstore(self) -> SyncStore:
        """The store. LocalProtocolError before the first login, unless an open one was given."""
        if self._file.store is None:
            raise nio.LocalProtocolError("the store is opened with the login: nobody has logged in yet")
        return self._file.store

    # -- what nio does, with the store in it -----------------------------------------------------------------------

    def restore_login(self, user_id: str, device_id: str, access_token: str) -> None:
        """As nio does; then the rooms are those of the store. StoreError kinds, OtherAccountError."""
        super().restore_login(user_id, device_id, access_token)
        self._file.open(user_id, device_id, self.homeserver)
        self._show(*self._look())
        self._track(self.rooms)

    async def login(self, *args: Any, **options: Any) -> nio.LoginResponse | nio.LoginError:
        """As nio does; a store that is there and does not open is told before. StoreError kinds, OtherAccountError."""
        await self._run(self._file.open_old, self.user)
        return await super().login(*args, **options)

    async def login_raw(self, *args: Any, **options: Any) -> nio.LoginResponse | nio.LoginError:
        """As nio does; likewise."""
        await self._run(self._file.open_old, self.user)
        return await super().login_raw(*args, **options)

    async def receive_response(self, response: nio.Response) -> None:
        """As nio does; a login opens the store, and reads what it knows of rooms, without holding up the loop."""
        if isinstance(response, nio.LoginResponse):
            await self._run(self._file.open, response.user_id, response.device_id, self.homeserver)
            await self._catch_up()
        await super().receive_response(response)

    async def sync(
        self,
        timeout: int | None = 0,
        sync_filter: str | dict[str, Any] | None = None,
        since: str | None = None,
        full_state: bool | None = None,
        set_presence: str | None = None,
    ) -> nio.SyncResponse | nio.SyncError:
        """Ask, commit, then let nio have it. After an error the next call waits first, ever longer.

        sync_filter: a filter or the id of one; by default that of `Syncer`. since: not used, for the store knows what
        was stored last. Without an answer it asks again, as nio does, up to the `max_timeouts` of the config.

        Raises FilterError for a filter that loses events, UnknownTokenError if the token is no longer valid,
        LocalProtocolError without login, StoreError kinds; nothing of the response is stored then.
        """
        if not self.logged_in:
            raise nio.LocalProtocolError("Not logged in.")
        if since is not None:
            _log.warning("since is not used: the store continues from its own token")
        await self._run(self._file.open, self.user_id, self.device_id, self.homeserver)
        silent = limited = again = 0
        while True:
            await self._pause()
            try:
                found = await self._turn(timeout, sync_filter, full_state, set_presence or self._presence)
            except (aiohttp.ClientError, TimeoutError) as error:
                silent += 1
                self._wait(self._failing.next())
                if self._stopping.is_set():
                    return nio.SyncError(f"no answer: {type(error).__name__}")
                if self.config.max_timeouts is not None and silent > self.config.max_timeouts:
                    raise
            except FailedError as failed:
                self._wait(self._failing.next(failed.retry_after))
                limited += failed.limited
                most = self.config.max_limit_exceeded
                if not failed.limited or self._stopping.is_set() or (most is not None and limited > most):
                    await super().receive_response(failed.error)
                    return failed.error
                await self.run_response_callbacks([failed.error])
            else:
                if found is not None:
                    return found
                again += 1
                if again >= _AGAIN:
                    self._wait(self._failing.next())

    async def sync_forever(self, *args: Any, **options: Any) -> None:
        """As nio does, with the pauses and errors of `sync`."""
        try:
            await super().sync_forever(*args, **options)
        finally:
            self._stopping.clear()

    def stop_sync_forever(self) -> None:
        """As nio does; a pause after an error ends at once."""
        super().stop_sync_forever()
        self._stopping.set()

    async def close(self) -> None:
        """As nio does, and close the store, once what is being committed is committed. A sync opens it again."""
        await super().close()
        await asyncio.to_thread(self._thread.shutdown)
        self._thread = ThreadPoolExecutor(1, "syncstore")
        await asyncio.to_thread(self._file.close)
        self._shown = _UNKNOWN

    # -- one turn --------------------------------------------------------------------------------------------------

    async def _turn(
        self, timeout: int | None, sync_filter: Any, full_state: bool | None, presence: str | None
    ) -> nio.SyncResponse | nio.SyncError | None:
        """One request and its commit. None if it is to be asked again at once: another process was faster."""
        since = await self._catch_up()
        snapshot = since is None and await self._run(lambda: self.syncstore.seq) > 0
        wait = int(self.config.request_timeout * 1000) if timeout is None else timeout
        query = await self._asking.query(sync_filter, since, wait, full_state, presence, snapshot)
        started = time.monotonic()
        # A first sync takes as long as it takes; what is bounded is how long a server may be silent.
        silence = 120.0 if since is None or full_state else wait / 1000 + 30
        limits = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=silence)
        path = f"{_SYNC}?{urlencode(query)}"
        async with await self.send("GET", path, None, self._asking.headers(), None, limits) as answer:
            body = await read_body(answer)
            if answer.status != 200:
                error = refused(answer, body)
                if await self._asking.filter_is_gone(answer.status):
                    return None
                raise error
        ms = int((time.monotonic() - started) * 1000)
        joined = await self._asking.joined_rooms() if snapshot else None
        batch = await self._run(self._commit, body, since, full_state, ms, joined)
        if batch is None:
            return None
        self._failing.reset()
        if isinstance(batch, ValueError):
            _log.warning("a response is stored, but nio cannot read it, no callback is run for it: %s", batch)
            await self._catch_up()
            return nio.SyncError(f"stored, but not readable by nio: {batch}")
        batch.response.transport_response = answer
        await self._hand(batch)
        if snapshot:
            self._shown = _UNKNOWN  # rooms that it lacks are gone
        if wait and batch.idle and time.monotonic() - started < _AT_ONCE:
            self._wait(self._idle.next())
        else:
            self._idle.reset()
        return batch.response

    def _commit(
        self, body: bytes, since: str | None, full_state: bool | None, ms: int, joined: list[str] | None
    ) -> Batch | ValueError | None:
        """Store a response and read it for nio, in the thread."""
        told = told_before(self.syncstore, body)
        try:
            applied = self.syncstore.apply(
                body, since=since, held=since, full_state=bool(full_state), fetch_ms=ms, joined=joined
            )
        except StaleBatchError:
            return None
        except (WireError, StoreLockedError) as error:
            raise FailedError(nio.SyncError(str(error))) from error
        if applied.repeated:
            return None
        try:
            return read_batch(self.syncstore, body, told, idle=applied.batch is None)
        except ValueError as error:
            return error

    async def _hand(self, batch: Batch) -> None:
        """Let nio have what is stored. If a callback raises, the rooms are read from the store before the next sync."""
        rooms = batch.response.rooms
        await self._leave(rooms.leave)
        for room_id in rooms.invite:
            # A newer invite says all there is to say.
            self.rooms.pop(room_id, None), self.invited_rooms.pop(room_id, None)
        for room_id in (*rooms.invite, *rooms.join):
            self.knocked_rooms.pop(room_id, None)
        self._put(self.knocked_rooms, batch.mended.knocked)
        await super().receive_response(batch.response)
        self._put(self.rooms, batch.mended.joined)
        self._track(batch.mended.joined)
        self._shown = self.loaded_sync_token = batch.response.next_batch

    async def _leave(self, left: dict[str, nio.responses.RoomInfo]) -> None:
        """Take leave of rooms: nio keeps them, and runs no callback for the kick."""
        for room_id, info in left.items():
            self.invited_rooms.pop(room_id, None), self.knocked_rooms.pop(room_id, None)
            if (room := self.rooms.pop(room_id, None)) is None:
                continue
            for event in info.timeline.events:
                decrypted = self._handle_timeline_event(event, room_id, room, set())
                await self._on_event(decrypted or event, room)

    # -- the store and what nio knows of it ------------------------------------------------------------------------

    async def _catch_up(self) -> str | None:
        """The store's token; nio's rooms are those of the store then."""
        token, rooms = await self._run(self._look)
        self._show(token, rooms)
        return token

    def _look(self) -> tuple[str | None, Rooms | None]:
        """The token, and the rooms if nio's are not of it. The token first: rooms that are newer are read again."""
        token = self.syncstore.token
        return token, None if token == self._shown else rooms_of(self.syncstore)

    def _show(self, token: str | None, rooms: Rooms | None) -> None:
        self.next_batch = self.loaded_sync_token = token or ""
        if rooms is None:
            return
        for mine, found in (
            (self.rooms, rooms.joined),
            (self.invited_rooms, rooms.invited),
            (self.knocked_rooms, rooms.knocked),
        ):
            for room_id in mine.keys() - found.keys():
                del mine[room_id]
            self._put(mine, found)
        self._track(rooms.joined)
        self._shown = token

    @staticmethod
    def _put(mine: dict[str, Any], found: dict[str, Any]) -> None:
        """Rooms that a bot may hold stay the same objects."""
        for room_id, room in found.items():
            mine.setdefault(room_id, room).__dict__.update(room.__dict__)

    def _track(self, changed: Iterable[str]) -> None:
        """What nio does with encrypted rooms whose members it learns: a key must not go to one who has left."""
        for room_id in changed:
            if not self.rooms[room_id].encrypted:
                continue
            self.encrypted_rooms.add(room_id)
            if self.olm is not None:
                self.invalidate_outbound_session(room_id)
                self.olm.update_tracked_users(self.rooms[room_id])

    # -- time ------------------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[..., T], *given: Any) -> T:
        """Do it in the thread. What began there ends there, also if nobody waits for it any more."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    def _wait(self, seconds: float) -> None:
        self._not_before = time.monotonic() + seconds

    async def _pause(self) -> None:
        if (seconds := self._not_before - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)


__all__ = ["AsyncClient"]
