"""One write transaction: its cursor, its number, its clock, and what it has touched so far."""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import NamedTuple

from syncstore.store.new_events import NewEvents
from syncstore.store.schema import touched
from syncstore.store.statement import insert

# `room` in rows that concern the account itself.
ACCOUNT = 0

NEW_BATCH = "INSERT INTO batch (kind, received_at) VALUES (?, ?)"
START = """
    SELECT user_id, one_time_keys, fallback_keys, (SELECT coalesce(max(id), 0) FROM event),
        EXISTS (SELECT 1 FROM room WHERE summary_joined IS NOT NULL), EXISTS (SELECT 1 FROM waiting_redaction),
        EXISTS (SELECT 1 FROM outgoing), (SELECT token FROM stream WHERE name = 'sync')
    FROM own_account
"""
FINISH_PAGE = "UPDATE batch SET event_count = ?, known_count = ?, quarantined_count = ? WHERE id = ?"


class Redaction(NamedTuple):
    """An event to be stripped at the end of the transaction; `by` is the redaction's id, "" when not told."""

    room: int
    event_id: str
    by: str


class Write:
    """The state of one commit.

    The batch row is made when something first needs its number: a poll that brought only a token leaves no row.
    """

    def __init__(self, cursor: sqlite3.Cursor, kind: str, now: int) -> None:
        self.cursor = cursor
        self.kind = kind
        self.now = now  # milliseconds
        found = cursor.execute(START).fetchone()
        self.user_id, one_time, fallback, last_event, counts_members, any_waiting, any_outgoing, token = found
        self.token: str | None = token  # where the sync stands
        self.keys: tuple[str | None, str | None] = (one_time, fallback)  # of one-time keys, of fallback keys
        self.first_event: int = last_event + 1
        self.next_event = self.first_event
        self.first_of_group = self.first_event  # events with a lower number stand in the file, as they came first
        # Whether the server has ever counted members for us: then it loads them lazily.
        self.counts_members = bool(counts_members)
        self.any_waiting = bool(any_waiting)  # redactions of events that were not there yet
        self.any_outgoing = bool(any_outgoing)  # something in the outbox, whose echo may come
        self.new_events = NewEvents()
        self.event_count = 0
        self.known_count = 0
        self.quarantined_count = 0
        self.redactions: list[Redaction] = []
        self.brings_redactions = False  # whether an event of this commit redacts another
        self.brings_replaced = False  # whether one tells or carries what it replaced
        self.bundles: list[tuple[int, int, str]] = []  # room, event, unsigned that holds whole other events
        self.renewed: list[int] = []  # older events that took `unsigned` from a later copy
        self.untold: list[int] = []  # events whose prev_content came without the id of what it replaced
        self.stripped_count = 0
        self.derive: set[int] = set()  # rooms whose derived columns must be made anew
        self._batch: int | None = None
        self.touched_rooms: set[int] = set()  # rooms that this commit changed, and ACCOUNT
        # By the columns that they fill: binding a null costs the driver more than anything else here.
        self._touched: dict[tuple[str, ...], dict[tuple[int | str, ...], None]] = {}

    @property
    def batch(self) -> int:
        """This commit's number, taken when first asked for."""
        if self._batch is None:
            self.cursor.execute(NEW_BATCH, (self.kind, self.now))
            self._batch = self.cursor.lastrowid
            assert self._batch is not None
        return self._batch

    def flush_events(self) -> None:
        """Write the new events: before anything that points at them or looks for them."""
        self.new_events.write(self.cursor)

    @property
    def brings_copies(self) -> bool:
        """Whether an event of this commit may carry content of another."""
        return bool(self.brings_replaced or self.bundles or self.renewed)

    @property
    def batch_or_none(self) -> int | None:
        """This commit's number if anything needed one."""
        return self._batch

    def touch(self, room: int, what: str, op: str = "change", **more: int | str) -> None:
        """Note for those who follow that this commit changed `what` of a room; more: further columns of `touched`."""
        self._touched.setdefault(tuple(more), {})[room, what, op, *more.values()] = None
        self.touched_rooms.add(room)

    def touch_events(self, room: int, first: int, end: int, origin: str) -> None:
        """Note new events, stored one after the other: rows from `first` to before `end`."""
        if end > first:
            self.touch(room, "event", "add", first_row=first, last_row=end - 1, origin=origin)

    def write_touched(self) -> None:
        """Write the notes of `touch`."""
        for columns, notes in self._touched.items():
            batch = self.batch
            self.cursor.executemany(_noting(columns), ((batch, *one) for one in notes))


@cache
def _noting(columns: tuple[str, ...]) -> str:
    return insert(touched, "batch", "room", "what", "op", *columns)


def finish_page(write: Write) -> None:
    """End a commit that is no sync: its notes, and its counts in its batch row."""
    write.write_touched()
    counts = (write.event_count, write.known_count, write.quarantined_count)
    write.cursor.execute(FINISH_PAGE, (*counts, write.batch))
