"""The reads of a whole store, and a snapshot of it; what can be asked of a room is in room.py.

`Reads` asks for a cursor at each call; `Snapshot` always uses the same one, so that everything read in its block is of
one batch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from syncstore.errors import NotFoundError
from syncstore.later import Later
from syncstore.model.change import Change
from syncstore.model.outgoing import Outgoing
from syncstore.model.records import Event, Gap
from syncstore.model.room_records import SpaceNode
from syncstore.room import Cursors, Room
from syncstore.room_sending import Writer
from syncstore.store.query import account as account_query
from syncstore.store.query import changes as changes_query
from syncstore.store.query import outbox as outbox_query
from syncstore.store.query import rooms as rooms_query
from syncstore.store.query import timeline as timeline_query

if TYPE_CHECKING:
    from syncstore.model import push_rules
    from syncstore.store.query import spaces as spaces_query
else:  # a store is opened and its rooms are listed without them
    push_rules = Later("syncstore.model.push_rules")
    spaces_query = Later("syncstore.store.query.spaces")


class Reads:
    """What can be asked of a store."""

    def __init__(self, cursors: Cursors, writer: Writer | None = None) -> None:
        self._cursors = cursors
        self._writer = writer

    @property
    def seq(self) -> int:
        """The number of the newest batch that brought something; 0 in a new store."""
        with self._cursors() as cursor:
            return rooms_query.seq(cursor)

    def rooms(self, membership: str | None = None) -> list[Room]:
        """All rooms, or those of one membership (join, invite, knock, leave, ban); the newest message first."""
        with self._cursors() as cursor:
            return [self._room(row) for row in rooms_query.rooms(cursor, membership)]

    def room(self, room_id: str) -> Room:
        """One room. NotFoundError if the store has none of this id."""
        with self._cursors() as cursor:
            row = rooms_query.room(cursor, room_id)
        if row is None:
            raise NotFoundError(f"the store has no room {room_id}")
        return self._room(row)

    def room_named(self, name: str) -> Room:
        """The one room that a person means by an id, a canonical alias or a name. NotFoundError if none or several."""
        with self._cursors() as cursor:
            found = rooms_query.rooms_named(cursor, name)
        if len(found) != 1:
            what = "no room" if not found else f"{len(found)} rooms ({', '.join(found[:5])})"
            raise NotFoundError(f"the store has {what} of the id, alias or name {name!r}")
        return self.room(found[0])

    def events(self, event_id: str) -> list[Event]:
        """The events of this id: ids are per room, so there may be several."""
        with self._cursors() as cursor:
            return timeline_query.events_with_id(cursor, event_id)

    def gaps(self) -> list[Gap]:
        """All gaps, open or unreachable, room by room."""
        with self._cursors() as cursor:
            return timeline_query.gaps(cursor)

    def gap(self, gap_id: int) -> Gap | None:
        """A gap as it is now, None once it is closed."""
        with self._cursors() as cursor:
            return timeline_query.gap(cursor, gap_id)

    def changes(self, since: int, limit: int | None = None) -> list[Change]:
        """What commits changed after a place in the feed (`last_change`, or the `seq` of a change), in order.

        Go on from the seq of the last one: nothing is told twice or left out. limit: about how many at once; changes
        that share a seq are never parted.
        """
        with self._cursors() as cursor:
            return changes_query.changes(cursor, since, limit)

    @property
    def last_change(self) -> int:
        """The newest place in the feed: read what you show and this in one snapshot, then follow from here."""
        with self._cursors() as cursor:
            return changes_query.last(cursor)

    def spaces(self) -> list[SpaceNode]:
        """The spaces that we are in as a tree, with what they name as children; a loop ends where it closes."""
        with self._cursors() as cursor:
            return spaces_query.tree(cursor)

    def outbox(self) -> list[Outgoing]:
        """What is on its way to the server, the oldest first."""
        with self._cursors() as cursor:
            return outbox_query.outbox(cursor, None)

    def push_actions(self, event: Event) -> push_rules.PushActions:
        """What the account's push rules say of an event: whether to notify, to highlight, and with which sound.

        Of an encrypted event they are asked about what was attached to it, if anything was.
        """
        room = self.room(event.room_id)
        with self._cursors() as cursor:
            rules = account_query.account_data(cursor, None, "m.push_rules")
            user_id = account_query.own_user(cursor)
        member, levels = room.member(user_id), room.state("m.room.power_levels")
        name = None if member is None else member.display_name
        context = push_rules.PushContext(
            user_id, name, room.joined_member_count, {} if levels is None else levels.content
        )
        told = {**event.json(), "room_id": event.room_id}
        if event.decrypted_type is not None:
            told |= {"type": event.decrypted_type, "content": event.decrypted}
        return push_rules.push_actions(rules, told, context)

    def account_data(self, type: str) -> dict[str, Any] | None:
        """Global account data of one type, None if there is none."""
        with self._cursors() as cursor:
            return account_query.account_data(cursor, None, type)

    def _room(self, row: tuple[Any, ...]) -> Room:
        return Room(*(*row, self._cursors, self._writer))


class Snapshot(Reads):
    """The reads of one moment: list and timeline are of the same batch, whatever is synced meanwhile."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        @contextmanager
        def same() -> Iterator[sqlite3.Cursor]:
            yield cursor

        super().__init__(same)
