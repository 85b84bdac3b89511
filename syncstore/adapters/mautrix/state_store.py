"""What mautrix asks of its state store, answered from our tables (promise 32)."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar, cast

from mautrix.client import StateStore
from mautrix.types import (
    JSON,
    ContentURI,
    Member,
    Membership,
    MemberStateEventContent,
    PowerLevelStateEventContent,
    RoomEncryptionStateEventContent,
    RoomID,
    Serializable,
    SerializableAttrs,
    SerializerError,
    StateEvent,
    UserID,
)

from syncstore.adapters.mautrix.told import Content, Told
from syncstore.errors import NotFoundError
from syncstore.ingest import SyncStore
from syncstore.reads import Snapshot
from syncstore.room import Room

_MEMBER, _LEVELS = "m.room.member", "m.room.power_levels"
_ENCRYPTION, _CREATE = "m.room.encryption", "m.room.create"
_HERE = (Membership.JOIN, Membership.INVITE)

Attrs = TypeVar("Attrs", bound=SerializableAttrs)


class MautrixStateStore(StateStore):
    """mautrix's state store over a store; also what its `OlmMachine` asks for as its `state_store`.

    Reads come from the tables, in a thread. What a sync brings is there before mautrix hears of it, so its events are
    not written again. What a request of this client has made or learned since (`set_…`) counts until a sync tells it,
    and is kept in memory alone: the tables hold what syncs, pages and /members said, and nothing else.
    """

    def __init__(self, store: SyncStore) -> None:
        self._store = store
        self._told = Told()

    # -- members

    async def get_member(self, room_id: RoomID, user_id: UserID) -> Member | None:
        """A member as the room's state has it; ourselves, while invited or knocking, as the invite or knock says."""
        return _member(await self._content(room_id, _MEMBER, user_id))

    async def get_member_profiles(
        self, room_id: RoomID, memberships: tuple[Membership, ...] = _HERE
    ) -> dict[UserID, Member]:
        """The members that are known (`has_full_member_list` says whether that is all), of these memberships."""
        found = await asyncio.to_thread(self._members, room_id)
        return {user_id: member for user_id, member in found.items() if member.membership in memberships}

    async def has_full_member_list(self, room_id: RoomID) -> bool:
        """Whether the store has all members of a room: `members_synced`. `Client.get_members` completes a list."""
        return await asyncio.to_thread(self._synced, room_id)

    async def set_member(self, room_id: RoomID, user_id: UserID, member: Member | MemberStateEventContent) -> None:
        """Let a member count until a sync tells it."""
        await self._tell(room_id, _MEMBER, user_id, _json(member))

    async def set_membership(self, room_id: RoomID, user_id: UserID, membership: Membership) -> None:
        """Let a membership, with the name and avatar as known, count until a sync tells it: we joined, we kicked …"""
        # Of one moment: what a sync brings after it is newer, and knows the name too.
        known, seq = await asyncio.to_thread(self._read, room_id, _MEMBER, user_id)
        self._told.add((room_id, _MEMBER, user_id), {**(known or {}), "membership": membership.value}, seq)

    async def set_members(
        self,
        room_id: RoomID,
        members: dict[UserID, Member | MemberStateEventContent],
        only_membership: Membership | None = None,
    ) -> None:
        """Write nothing: members without their events cannot stand in the tables.

        `Client.get_members` and `get_joined_members` store the answer itself, whole, as back-fill does; a list that
        was asked for in part proves nothing about the rest.
        """

    # -- other state

    async def has_power_levels_cached(self, room_id: RoomID) -> bool:
        """Whether power levels are known, and can be read."""
        return await self.get_power_levels(room_id) is not None

    async def get_power_levels(self, room_id: RoomID) -> PowerLevelStateEventContent | None:
        """The power levels; None without such an event, or if mautrix cannot read it."""
        return _attrs(PowerLevelStateEventContent, await self._content(room_id, _LEVELS))

    async def set_power_levels(self, room_id: RoomID, content: PowerLevelStateEventContent | dict[str, Any]) -> None:
        """Let power levels count until a sync tells them."""
        await self._tell(room_id, _LEVELS, "", _json(content))

    async def has_create_cached(self, room_id: RoomID) -> bool:
        """Whether the create event is known, and can be read."""
        return await self.get_create(room_id) is not None

    async def get_create(self, room_id: RoomID) -> StateEvent | None:
        """The create event."""
        return await asyncio.to_thread(self._create, room_id)

    async def set_create(self, event: StateEvent) -> None:
        """Write nothing: a create event never changes, and comes with the room's first sync."""

    async def has_encryption_info_cached(self, room_id: RoomID) -> bool:
        """Whether it is known if the room is encrypted."""
        return await self.is_encrypted(room_id) is not None

    async def is_encrypted(self, room_id: RoomID) -> bool | None:
        """Whether the room is encrypted; None, so that mautrix asks the server, unless we are in it and know its state.

        Where the answer is False mautrix's own stores know nothing, and it asks before each message.
        """
        if await self._content(room_id, _ENCRYPTION) is not None:
            return True
        return False if await asyncio.to_thread(self._state_known, room_id) else None

    async def get_encryption_info(self, room_id: RoomID) -> RoomEncryptionStateEventContent | None:
        """How the room is encrypted; None if it is not, or if mautrix cannot read it."""
        return _attrs(RoomEncryptionStateEventContent, await self._content(room_id, _ENCRYPTION))

    async def set_encryption_info(
        self, room_id: RoomID, content: RoomEncryptionStateEventContent | dict[str, Any]
    ) -> None:
        """Let the room count as encrypted until the tables say so: nothing may go out in clear meanwhile."""
        await self._tell(room_id, _ENCRYPTION, "", _json(content))

    async def find_shared_rooms(self, user_id: UserID) -> list[RoomID]:
        """The encrypted rooms that we share with a user; OlmMachine asks before it follows or drops their devices."""
        return await asyncio.to_thread(self._shared, user_id)

    async def update_state(self, evt: StateEvent) -> None:
        """Let an event that this client sent or fetched count until a sync tells it.

        An event out of a sync is in the tables already. mautrix would note what was known before as
        `mautrix_prev_membership`, and by it OlmMachine tells a repetition; asked after the commit that would be the
        event itself, and a member who left would go on getting keys. `Client` hands each event over once, so nothing
        is noted.
        """
        if not hasattr(evt, "source"):
            await super().update_state(evt)

    # -- in a thread

    async def _content(self, room_id: RoomID, type: str, state_key: str = "") -> Content | None:
        return (await asyncio.to_thread(self._read, room_id, type, state_key))[0]

    async def _tell(self, room_id: RoomID, type: str, state_key: str, content: Content) -> None:
        seq = await asyncio.to_thread(lambda: self._store.seq)
        self._told.add((room_id, type, state_key), content, seq)

    def _read(self, room_id: str, type: str, state_key: str) -> tuple[Content | None, int]:
        """What counts for a key, and the newest batch at that moment."""
        with self._store.read() as now:
            held, seq = self._held(_room(now, room_id), type, state_key), now.seq
            told = self._told.get((room_id, type, state_key), None if held is None else held[1], seq)
        return (told if told is not None else held and held[0]), seq

    def _held(self, room: Room | None, type: str, state_key: str) -> tuple[Content, int] | None:
        """What the tables hold for a key, and the batch that brought it."""
        if room is None:
            return None
        if type == _MEMBER and state_key == self._store.user_id and room.membership in ("invite", "knock"):
            pile = room.invite_state() if room.membership == "invite" else room.knock_state()
            own = (one for one in pile if one.type == _MEMBER and one.state_key == state_key)
            return next(((one.content, one.batch) for one in own), None)
        event = room.state(type, state_key)
        return None if event is None else (event.content, event.batch)

    def _members(self, room_id: str) -> dict[UserID, Member]:
        with self._store.read() as now:
            room = _room(now, room_id)
            events = {} if room is None else room.state_map(_MEMBER)
            found = {key: (event.content, event.batch) for (_, key), event in events.items()}
            own = self._held(room, _MEMBER, self._store.user_id)
            if own is not None:
                found[self._store.user_id] = own
            contents = {user_id: content for user_id, (content, _) in found.items()}
            for user_id in self._told.keys_of(room_id, _MEMBER):
                batch = found[user_id][1] if user_id in found else None
                told = self._told.get((room_id, _MEMBER, user_id), batch, now.seq)
                contents |= {} if told is None else {user_id: told}
        members = {UserID(user_id): _member(content) for user_id, content in contents.items()}
        return {user_id: member for user_id, member in members.items() if member is not None}

    def _synced(self, room_id: str) -> bool:
        with self._store.read() as now:
            room = _room(now, room_id)
        return room is not None and room.members_synced

    def _state_known(self, room_id: str) -> bool:
        with self._store.read() as now:
            room = _room(now, room_id)
            return room is not None and room.membership == "join" and room.state(_CREATE) is not None

    def _create(self, room_id: str) -> StateEvent | None:
        with self._store.read() as now:
            room = _room(now, room_id)
            event = None if room is None else room.state(_CREATE)
        return None if event is None else _attrs(StateEvent, {**event.json(), "room_id": room_id})

    def _shared(self, user_id: str) -> list[RoomID]:
        with self._store.read() as now:
            encrypted = [room for room in now.rooms("join") if room.encryption is not None]
            members = {room.room_id: self._held(room, _MEMBER, user_id) for room in encrypted}
        here = [membership.value for membership in _HERE]
        return [RoomID(room_id) for room_id, held in members.items() if held and held[0].get("membership") in here]


def _room(now: Snapshot, room_id: str) -> Room | None:
    try:
        return now.room(room_id)
    except NotFoundError:
        return None


def _json(content: Serializable | dict[str, Any]) -> Content:
    found: Content = content.serialize() if isinstance(content, Serializable) else dict(content)
    return found


def _member(content: Content | None) -> Member | None:
    """A member with what mautrix keeps of one; None if the membership is none that the spec knows."""
    if content is None:
        return None
    try:
        membership = Membership(content.get("membership"))
    except ValueError:
        return None
    member = Member(membership=membership)
    if isinstance(name := content.get("displayname"), str):
        member.displayname = name
    if isinstance(avatar := content.get("avatar_url"), str):
        member.avatar_url = ContentURI(avatar)
    return member


def _attrs(kind: type[Attrs], content: Content | None) -> Attrs | None:
    try:
        return None if content is None else kind.deserialize(cast(JSON, content))
    except (SerializerError, AttributeError, TypeError):  # mautrix trusts in types that a room's members may choose
        return None
