"""mautrix's client over a store: a response is committed before mautrix hears of it."""

from __future__ import annotations

import asyncio
import copy
import os
import time
from typing import Any, cast

from mautrix.api import HTTPAPI, Path
from mautrix.client import Client as Base
from mautrix.client.syncer import SyncStream
from mautrix.errors import MatrixResponseError
from mautrix.types import (
    JSON,
    DeviceID,
    Event,
    EventType,
    Filter,
    FilterID,
    Member,
    Membership,
    MemberStateEventContent,
    PresenceState,
    RoomID,
    StateEvent,
    SyncToken,
    UserID,
)

from syncstore.adapters.mautrix.feed import Feed, finished
from syncstore.adapters.mautrix.handed import Json, decoded, events, objects
from syncstore.adapters.mautrix.inbox import Inbox
from syncstore.adapters.mautrix.state_store import MautrixStateStore
from syncstore.adapters.mautrix.sync_store import MautrixSyncStore
from syncstore.errors import FilterError, NotFoundError, OtherAccountError, StaleBatchError
from syncstore.ingest import SyncStore
from syncstore.model.filters import checked_filter, default_filter
from syncstore.net.homeserver import WORK_SECONDS

_STALE_TRIES = 5


class Client(Base):
    """mautrix's `Client`, whose syncs are kept in a store: `client.syncstore`.

    syncstore: a store, or the path of one, which is made if there is none. syncstore_passphrase: of an encrypted file
    that is given by its path. full_members: mautrix hands every state
    event to a bot's handlers, so a lazily loaded member would look like one who has just joined; false loads them
    lazily nevertheless. Everything else as mautrix has it, but for `sync_store` and `state_store`: the store is both.

    Raises what `SyncStore.open` raises; OtherAccountError also if a store of another user is given.
    """

    def __init__(
        self,
        mxid: UserID = UserID(""),  # noqa: B008 (a str)
        device_id: DeviceID = DeviceID(""),  # noqa: B008
        api: HTTPAPI | None = None,
        *,
        syncstore: SyncStore | str | os.PathLike[str],
        syncstore_passphrase: str | None = None,
        full_members: bool = True,
        **options: Any,
    ) -> None:
        if taken := {"sync_store", "state_store"} & options.keys():
            raise TypeError(f"{' and '.join(sorted(taken))}: the store given as syncstore is both")
        if isinstance(syncstore, SyncStore):
            if syncstore_passphrase is not None:
                raise TypeError("syncstore_passphrase: the store given as syncstore is open already")
            store = syncstore
        else:
            store = SyncStore.open(
                syncstore, user_id=mxid or None, device_id=device_id or None, passphrase=syncstore_passphrase
            )
        _check_account(store, mxid or store.user_id, device_id)
        self.syncstore = store
        self._tokens = MautrixSyncStore(store)
        states = MautrixStateStore(store)
        super().__init__(
            mxid or UserID(store.user_id), device_id, api, sync_store=self._tokens, state_store=states, **options
        )
        self._feed = Feed(self, store, default_filter(full_members=full_members))
        self._fatal: Exception | None = None
        self._inbox = Inbox(self, store)
        self.add_event_middleware(EventType.ROOM_ENCRYPTED, self._inbox.come_first)

    # -- the loop

    def start(self, filter_data: FilterID | Filter | None) -> asyncio.Future[None]:
        """Start syncing, as mautrix does, with a filter that loses nothing (promise 18). The task may be awaited.

        filter_data: None, or a Filter; it is checked and stands for the default one. A task that ends for good raises
        why: LoggedOutError, OtherAccountError. mautrix itself only logs it and runs SYNC_STOPPED handlers, which
        happens here too. Raises FilterError for a filter that would lose events, and for an id, behind which nobody
        can look.
        """
        if isinstance(filter_data, Filter):
            self._feed.filter = checked_filter(cast(Json, filter_data.serialize()))
        else:
            _refuse_id(filter_data)
        return super().start(None)

    async def _try_start(self, filter_data: FilterID | Filter | None) -> None:
        self._fatal = None
        await super()._try_start(filter_data)
        await self._inbox.end()  # mautrix does not wait for what it cancels
        if self._fatal is not None:
            raise self._fatal

    async def _start(self, filter_id: FilterID | None) -> None:
        try:
            _check_account(self.syncstore, self.mxid, self.device_id)  # a login since then may be another account's
            await super()._start(filter_id)
        except Exception as error:
            self._fatal = error
            raise

    async def sync(
        self,
        since: SyncToken | None = None,
        timeout: int = 30000,
        filter_id: FilterID | None = None,
        full_state: bool = False,
        set_presence: PresenceState | None = None,
    ) -> JSON:
        """Ask once, commit the answer, and return it as mautrix reads it; without what was handed over before.

        since: ignored. The token is the store's (promise 3): another process may have moved it on, whose batches are
        then stored, but not handed over here. filter_id: refused, see `start`. Raises mautrix's errors for the network
        and the server, WireError, StoreError kinds; the store is then as it was.
        """
        _refuse_id(filter_id)
        query = {"full_state": "true"} if full_state else {}
        if set_presence:
            query["set_presence"] = str(set_presence)
        for left in reversed(range(_STALE_TRIES)):
            try:
                response = await self._feed.turn(timeout, query)
            except StaleBatchError:  # another process was faster: ask from where it left the store
                if not left:
                    raise
            else:
                break
        self._tokens.applied = response["next_batch"]
        return cast(JSON, response)

    def handle_sync(self, data: JSON) -> list[asyncio.Task[Any]]:
        """mautrix's own, and knocks: our own member event of each, with SyncStream.STATE.

        With an OlmMachine to-device messages are those of the store's inbox, and handled first (`Inbox`).

        An invite that mautrix cannot read is left out, with a line in the log: it would end the handling of the rest.
        """
        response = dict(cast(Json, data))
        first: list[asyncio.Task[Any]] = []
        if self.crypto_enabled:
            response.pop("to_device", None)
            first = [self._inbox.receive()]
        rooms = response.get("rooms", {})
        invites = {id: entry for id, entry in rooms.get("invite", {}).items() if self._own(id, entry, "invite_state")}
        knocks = [self._own(id, entry, "knock_state") for id, entry in rooms.get("knock", {}).items()]
        tasks: list[asyncio.Task[Any]] = first + super().handle_sync(
            cast(JSON, {**response, "rooms": {**rooms, "invite": invites}})
        )
        for knock in knocks:
            tasks += self.dispatch_event(cast(Event, knock), source=SyncStream.STATE)
        return tasks

    def _own(self, room_id: str, entry: Json, pile: str) -> StateEvent | None:
        """Our own member event of an invite or a knock; None if there is none that mautrix can read."""
        own = (one for one in events(entry, pile) if one.get("type") == "m.room.member")
        raw = next((one for one in own if one.get("state_key") == self.mxid), None)
        event = None
        if raw is not None:
            filled = {"event_id": None, "origin_server_ts": int(time.time() * 1000)} | copy.deepcopy(raw)
            event = self._try_deserialize(StateEvent, filled | {"room_id": room_id})
        if not isinstance(event, StateEvent):
            self.log.warning(f"{pile} of {room_id}: no member event of ours that can be read, nobody is told of it")
            return None
        return event

    def _try_deserialize(self, type: type[Any], data: Json) -> Any:
        try:
            return super()._try_deserialize(type, cast(JSON, data))
        except Exception as error:  # mautrix knows only its own: one odd event would end the handling of all the rest
            self.log.warning(f"an event cannot be read as {type.__name__}, its handlers are not run: {error!r}")
            return None

    # -- members

    async def get_members(
        self,
        room_id: RoomID,
        at: SyncToken | None = None,
        membership: Membership | None = None,
        not_membership: Membership | None = None,
    ) -> list[StateEvent]:
        """mautrix's own; the whole list (no `at`, no membership) is stored too, and the room's list then complete."""
        if at or membership or not_membership:
            return await super().get_members(room_id, at, membership, not_membership)
        asked_at = await asyncio.to_thread(lambda: self.syncstore.seq)
        body = await self._feed.get(Path.v3.rooms[room_id].members, WORK_SECONDS, "getMembers")
        response = decoded(body)
        if response is None or "chunk" not in response:
            raise MatrixResponseError("`chunk` not in response.")
        try:
            await finished(lambda: self.syncstore.apply_members(room_id, body, asked_at=asked_at))
        except NotFoundError:
            self.log.debug(f"no sync brought {room_id} yet, its members are not stored")
        chunk = objects(response["chunk"])
        read = (self._try_deserialize(StateEvent, {**one, "room_id": room_id}) for one in chunk)
        return [event for event in read if isinstance(event, StateEvent)]

    async def get_joined_members(self, room_id: RoomID) -> dict[UserID, Member]:
        """mautrix's own; while the store's list is not complete, /members is asked instead, which completes it."""
        if await MautrixStateStore(self.syncstore).has_full_member_list(room_id):
            return await super().get_joined_members(room_id)
        found = [(event.state_key, event.content) for event in await self.get_members(room_id)]
        return {
            UserID(user_id): Member(Membership.JOIN, content.avatar_url, content.displayname)
            for user_id, content in found
            if isinstance(content, MemberStateEventContent) and content.membership == Membership.JOIN
        }


def _refuse_id(filter_id: str | None) -> None:
    if filter_id:
        raise FilterError(
            f"filter {filter_id!r}: nobody can tell what an id leaves out, give start() the Filter itself"
        )


def _check_account(store: SyncStore, mxid: str, device_id: str) -> None:
    if mxid != store.user_id:
        raise OtherAccountError(f"{store.path} is of {store.user_id}, the client of {mxid}")
    if device_id and store.device_id and device_id != store.device_id:
        raise OtherAccountError(
            f"{store.path} is of the device {store.device_id}, the client of {device_id}: take it along with rebind"
        )
