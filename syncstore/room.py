"""A room as it was when it was asked for, and the way to everything in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from syncstore.errors import NotFoundError
from syncstore.later import Later
from syncstore.model.outgoing import Outgoing
from syncstore.model.records import Event, Gap, Page, Reaction, StateAt, StrippedEvent, Thread
from syncstore.model.room_records import Member, Receipt, RoomRecord, SpaceChild, SpaceParent
from syncstore.room_sending import RoomSending, Writer
from syncstore.store.query import account as account_query
from syncstore.store.query import outbox as outbox_query
from syncstore.store.query import rooms as rooms_query
from syncstore.store.query import state as state_query
from syncstore.store.query import timeline as timeline_query

if TYPE_CHECKING:
    from syncstore.store.query import past as past_query
    from syncstore.store.query import relations as relations_query
    from syncstore.store.query import spaces as spaces_query
else:  # a store is opened and its rooms are listed without them
    past_query = Later("syncstore.store.query.past")
    relations_query = Later("syncstore.store.query.relations")
    spaces_query = Later("syncstore.store.query.spaces")

Cursors = Callable[[], AbstractContextManager[sqlite3.Cursor]]
Loader = Callable[[str], Any]


class Room(RoomSending, RoomRecord, frozen=True):
    """A room as it was when it was asked for, and the way to everything in it.

    Two are equal if their rows are, whatever store they came from.
    """

    _cursors: Cursors
    _writer: Writer | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Room) and self.record() == other.record()

    def __hash__(self) -> int:
        return hash(self.record())

    def __repr__(self) -> str:
        return repr(self.record()).replace("RoomRecord", "Room", 1)

    def state(self, type: str, state_key: str = "") -> Event | None:
        """The event that holds a key of the state pile (current, or archived), None if the pile lacks it."""
        with self._cursors() as cursor:
            return next(iter(state_query.state(cursor, self.room_id, type, state_key)), None)

    def state_map(self, type: str | None = None) -> dict[tuple[str, str], Event]:
        """The state pile by (type, state_key): all of it, or of one type."""
        with self._cursors() as cursor:
            found = state_query.state(cursor, self.room_id, type)
        return {(event.type, event.state_key or ""): event for event in found}

    def members(self, membership: str | None = None, *, load: Loader | None = None) -> list[Member]:
        """The members, or those of one membership, by user_id.

        Under lazy loading the store may not know all (`members_synced`). load: what gets an answer of /members for a
        room id, `Homeserver.members`; it is called only if the list is not complete. Not inside a snapshot.
        """
        if load is not None and not self._members_synced_now():
            if self._writer is None:
                raise NotFoundError("members cannot be loaded into a snapshot: ask the store's own room")
            self._writer._complete_members(self.room_id, load)
        with self._cursors() as cursor:
            return state_query.members(cursor, self.room_id, membership)

    def member(self, user_id: str) -> Member | None:
        """One member, None if the store knows nothing of this user here."""
        with self._cursors() as cursor:
            return state_query.member(cursor, self.room_id, user_id)

    def heroes(self) -> list[str] | None:
        """Whom the server names where the room has no name of its own; None if it said nothing of that."""
        with self._cursors() as cursor:
            return rooms_query.heroes(cursor, self.room_id)

    def children(self) -> list[SpaceChild]:
        """What this space names as its children, in the order for people."""
        with self._cursors() as cursor:
            return spaces_query.children(cursor, self.room_id)

    def parents(self) -> list[SpaceParent]:
        """The spaces that this room says it belongs to, the canonical one first. A space may know nothing of it."""
        with self._cursors() as cursor:
            return spaces_query.parents(cursor, self.room_id)

    def upgrades(self) -> list[str]:
        """This room's id with those that it replaced and those that replaced it, the oldest first."""
        with self._cursors() as cursor:
            return spaces_query.upgrades(cursor, self.room_id)

    def direct_users(self) -> list[str]:
        """Whom this direct chat is with, as our m.direct says; [] for any other room."""
        with self._cursors() as cursor:
            return account_query.direct_users(cursor, self.room_id)

    def fully_read(self) -> str | None:
        """The event that our fully-read marker stands on, None if it was never set."""
        event_id = (self.account_data("m.fully_read") or {}).get("event_id")
        return event_id if isinstance(event_id, str) else None

    def invite_state(self) -> list[StrippedEvent]:
        """The stripped state of an invite; never mixed with `state`."""
        with self._cursors() as cursor:
            return state_query.stripped(cursor, self.room_id, "invite")

    def knock_state(self) -> list[StrippedEvent]:
        """The stripped state of a knock."""
        with self._cursors() as cursor:
            return state_query.stripped(cursor, self.room_id, "knock")

    def timeline(
        self, limit: int = 50, *, before: str | None = None, after: str | None = None, around: str | None = None
    ) -> Page:
        """A page of events, newest first, with each gap in its place: the newest, or those at an event.

        What is on its way stands before the newest event, as local echoes. limit: events at most; gaps and echoes do
        not count. before, after, around: the id of an event, such as `older` or `newer`
        of another page. NotFoundError if it has no place in the timeline: `Syncer.jump` fetches what stands around it.
        """
        with self._cursors() as cursor:
            page = timeline_query.page(cursor, self.room_id, limit, before, after, around)
            items = [*(() if page.newer or before else outbox_query.echoes(cursor, self.room_id)), *page.items]
            events = [item for item in items if isinstance(item, Event)]
            return replace(page, items=items, profiles=past_query.profiles(cursor, self.room_id, events))

    def event(self, event_id: str) -> Event | None:
        """One event of this room, with or without a place in the timeline."""
        with self._cursors() as cursor:
            return timeline_query.event(cursor, self.room_id, event_id)

    def state_at(self, event_id: str, type: str, state_key: str = "") -> StateAt:
        """What a state key held when an event was sent, that event included; or why that is unknown.

        Out of the history as this account saw it. NotFoundError if the event has no place in the timeline.
        """
        with self._cursors() as cursor:
            return past_query.state_at(cursor, self.room_id, event_id, type, state_key)

    def state_map_at(self, event_id: str, type: str | None = None) -> dict[tuple[str, str], StateAt]:
        """The same for every key, or every one of a type, that is known to have ever been set."""
        with self._cursors() as cursor:
            return past_query.state_map_at(cursor, self.room_id, event_id, type)

    def relations(self, event_id: str, rel_type: str | None = None) -> list[Event]:
        """Stored events that relate to one event: all, or those of one rel_type (m.replace, m.thread, m.reference …).

        In the timeline's order. What is redacted relates to nothing any more. Replies are another thing: `replies`.
        """
        with self._cursors() as cursor:
            return relations_query.relations(cursor, self.room_id, event_id, rel_type)

    def replies(self, event_id: str) -> list[Event]:
        """Stored events that answer one event (m.in_reply_to), in the timeline's order; thread fallbacks left out."""
        with self._cursors() as cursor:
            return relations_query.replies(cursor, self.room_id, event_id)

    def reactions(self, event_id: str) -> list[Reaction]:
        """What people reacted with to one event, each sender once for a key, the key that came first at the front."""
        with self._cursors() as cursor:
            return relations_query.reactions(cursor, self.room_id, event_id)

    def threads(self) -> list[Thread]:
        """The threads of this room, the one with the newest reply first."""
        with self._cursors() as cursor:
            return relations_query.threads(cursor, self.room_id)

    def gaps(self) -> list[Gap]:
        """The holes of this room, the newest first."""
        with self._cursors() as cursor:
            return timeline_query.gaps_of(cursor, self.room_id)

    def outbox(self) -> list[Outgoing]:
        """What of this room is on its way to the server, the oldest first; receipts too."""
        with self._cursors() as cursor:
            return outbox_query.outbox(cursor, self.room_id)

    def draft(self) -> dict[str, Any] | None:
        """What is being written here, as `set_draft` was told."""
        with self._cursors() as cursor:
            return outbox_query.draft(cursor, self.room_id)

    def account_data(self, type: str) -> dict[str, Any] | None:
        """Account data of this room, None if there is none of the type."""
        with self._cursors() as cursor:
            return account_query.account_data(cursor, self.room_id, type)

    def receipts(self) -> list[Receipt]:
        """All receipts, the oldest first."""
        with self._cursors() as cursor:
            return account_query.receipts(cursor, self.room_id)

    def read_up_to(self, user_id: str, thread_id: str = "main") -> Receipt | None:
        """How far a user has read in a thread: the receipt that reaches farthest, public or private.

        thread_id: the root's event id, or "main" for what is in no thread. A receipt without a thread counts in all.
        """
        with self._cursors() as cursor:
            return account_query.read_up_to(cursor, self.room_id, user_id, thread_id)

    def typing(self) -> list[str]:
        """Who types, as of the last sync."""
        with self._cursors() as cursor:
            return account_query.typing(cursor, self.room_id)

    def record(self) -> RoomRecord:
        """The plain row, without the way back to the file."""
        return RoomRecord(*(getattr(self, name) for name in RoomRecord.__struct_fields__))

    def _members_synced_now(self) -> bool:
        with self._cursors() as cursor:
            row = rooms_query.room(cursor, self.room_id)
        return row is not None and RoomRecord(*row).members_synced
