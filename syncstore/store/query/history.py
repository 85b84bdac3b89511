"""What a state key held at a place of the timeline, out of the piles' history and the events found by back-fill.

Two sources, each right where the other is silent:

- where we synced live, the pile knows since which place a key holds an event, and until which; it also knows what lost
  a state resolution;
- where history was filled in, pages never touch the pile (promise 10): there the state events themselves tell.

An unfilled gap between the place and what is known below it makes the answer unknown, unless the pile holds the same
event on both sides: then nothing was sent for that key in between.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from syncstore.model.batch import membership_of
from syncstore.model.json_text import decode

ROOM = "SELECT r.id, r.members_synced, a.user_id FROM room r CROSS JOIN own_account a WHERE r.room_id = ?"
GAPS = """
    SELECT g.segment, g.id, g.kind, g.status, g.opened_by, b.form = 'v3'
    FROM gap g LEFT JOIN batch b ON b.id = g.opened_by WHERE g.room = ?
"""
SEGMENTS = """
    WITH RECURSIVE s (segment) AS (
        SELECT min(segment) FROM event WHERE room = ?1 AND segment IS NOT NULL
        UNION ALL
        SELECT (SELECT min(segment) FROM event WHERE room = ?1 AND segment > s.segment) FROM s
        WHERE s.segment IS NOT NULL
    )
    SELECT segment, (SELECT max(position) FROM event WHERE room = ?1 AND segment = s.segment)
    FROM s WHERE segment IS NOT NULL
"""
CONTENT = "SELECT content FROM event WHERE id = ?"
PLACE = "SELECT segment, position FROM event WHERE room = ? AND event_id = ?"
# In the order of application.
REPLACED = """
    SELECT state_key, event, batch, segment, position, until_segment, until_position
    FROM replaced_state
    WHERE room = ? AND type = ? AND state_key IN (SELECT value FROM json_each(?)) ORDER BY id
"""
HELD = """
    SELECT state_key, event, batch, segment, position
    FROM room_state WHERE room = ? AND type = ? AND state_key IN (SELECT value FROM json_each(?))
"""
# Named, for SQLite would rather walk through all that was ever said in the room.
SENT = """
    SELECT state_key, segment, position, id, source FROM event INDEXED BY event_by_key
    WHERE room = ? AND type = ? AND state_key IN (SELECT value FROM json_each(?)) AND state_key IS NOT NULL
        AND segment IS NOT NULL
    ORDER BY segment DESC, position DESC
"""
KEYS = """
    SELECT type, state_key FROM room_state WHERE room = ?1
    UNION SELECT type, state_key FROM replaced_state WHERE room = ?1
    UNION SELECT type, state_key FROM event WHERE room = ?1 AND state_key IS NOT NULL AND segment IS NOT NULL
    ORDER BY 1, 2
"""

Place = tuple[int, int]
_NOWHERE: Place = (-(2**63), 0)
_NEVER: Place = (2**63 - 1, 0)


class Held(NamedTuple):
    """One event's time in a key of the pile; `batch` set it."""

    event: int
    batch: int
    since: Place
    until: Place


class Sent(NamedTuple):
    """A placed state event of a key."""

    segment: int
    position: int
    event: int
    source: str


class Opened(NamedTuple):
    """The gap before a segment, filled or not. at_start: the state block of its batch spoke of the segment's start."""

    id: int
    kind: str
    status: str
    batch: int
    at_start: bool


class Answer(NamedTuple):
    """event: row id, None for a key that was not set. gap: the hole that hides it; lazy: nobody loaded this member."""

    event: int | None
    gap: int | None = None
    lazy: bool = False


class Key:
    """Everything stored of one state key: `held` in the order of application, `sent` the newest first."""

    def __init__(self, type_: str) -> None:
        self.type = type_
        self.held: list[Held] = []
        self.sent: list[Sent] = []
        self.answers: dict[tuple[int, bool, int], Answer] = {}  # by stretch

    @cached_property
    def _edges(self) -> list[Place]:
        held = [(one.since, one.until) for one in self.held]
        return sorted([*chain.from_iterable(held), *((one.segment, one.position) for one in self.sent)])

    def stretch(self, place: Place) -> tuple[int, bool, int]:
        """What two places share if nothing that is stored of this key lies between them."""
        return place[0], place[1] >= 0, bisect_right(self._edges, place)

    def held_at(self, place: Place) -> Held | None:
        """What the pile held at a place."""
        return next((one for one in reversed(self.held) if one.since <= place < one.until), None)

    def next_held(self, place: Place) -> Held | None:
        """What the pile held next, after a place."""
        return next((one for one in self.held if one.since > place), None)

    def sent_until(self, place: Place) -> Iterator[Sent]:
        """The key's events of a place's segment up to that place, the newest first."""
        return (one for one in self.sent if one.segment == place[0] and one.position <= place[1])


class History:
    """The past of one room: `at` answers for a key and a place."""

    def __init__(self, cursor: sqlite3.Cursor, room: int, user_id: str, *, members_synced: bool) -> None:
        self._cursor, self._room = cursor, room
        self._members_synced = members_synced
        self._gaps = {segment: Opened(*row) for segment, *row in cursor.execute(GAPS, (room,))}
        self._inside: dict[int, bool] = {}
        self._user_id = user_id

    @cached_property
    def _segments(self) -> list[Place]:
        """Each with its last position. As a rule nobody asks beyond the segment that a place lies in."""
        return self._cursor.execute(SEGMENTS, (self._room,)).fetchall()

    @cached_property
    def _own(self) -> Key:
        return self.key("m.room.member", self._user_id)

    def keys(self, type_: str, state_keys: Iterable[str]) -> dict[str, Key]:
        """Keys of one type, each to be asked about several places."""
        found = {state_key: Key(type_) for state_key in state_keys}
        asked = (self._room, type_, json.dumps(list(found)))
        for state_key, event, batch, segment, position, *until in self._cursor.execute(REPLACED, asked):
            found[state_key].held.append(Held(event, batch, _place(segment, position), _place(*until)))
        for state_key, event, batch, segment, position in self._cursor.execute(HELD, asked):
            found[state_key].held.append(Held(event, batch, _place(segment, position), _NEVER))
        for state_key, *row in self._cursor.execute(SENT, asked):
            found[state_key].sent.append(Sent(*row))
        return found

    def key(self, type_: str, state_key: str) -> Key:
        """One key."""
        return self.keys(type_, [state_key])[state_key]

    def all_keys(self) -> list[tuple[str, str]]:
        """Every key that was ever set, as far as is stored."""
        return self._cursor.execute(KEYS, (self._room,)).fetchall()

    def place(self, event_id: str) -> Place | None:
        """Where an event stands, None if nowhere."""
        row = self._cursor.execute(PLACE, (self._room, event_id)).fetchone()
        return None if row is None or row[0] is None else (row[0], row[1])

    def at(self, key: Key, place: Place) -> Answer:
        """What a key held at a place, the event at that place included."""
        stretch = key.stretch(place)
        if (answer := key.answers.get(stretch)) is None:
            answer = key.answers[stretch] = self._at(key, place)
        return answer

    def _at(self, key: Key, place: Place) -> Answer:
        while True:
            if self._is_live(place) and (answer := self._live(key, place)) is not None:
                return answer
            filled = place if not self._is_live(place) else (place[0], -1)
            found = next(key.sent_until(filled), None)
            if found is not None:
                return Answer(found.event)
            gap = self._gaps.get(place[0])
            if gap is not None and gap.status != "closed":
                return self._across(key, place[0], gap.id)
            below = self._below(place[0])
            if below is None:
                return Answer(None)
            place = below

    def _is_live(self, place: Place) -> bool:
        """Synced events count from 0 up; what back-fill brought stands below, islands apart."""
        return place[1] >= 0 and not self._is_island(place[0])

    def _is_island(self, segment: int) -> bool:
        return segment in self._gaps and self._gaps[segment].kind == "island"

    def _live(self, key: Key, place: Place) -> Answer | None:
        """The pile's word; None where it is silent: before the first change in a batch that told only the end."""
        held = key.held_at(place)
        since = held.since if held is not None else _NOWHERE
        # A jump beside this segment may have put history on top of it.
        for sent in key.sent_until(place):
            if sent.source != "timeline" and (sent.segment, sent.position) > since:
                return Answer(sent.event)
        if since[0] < place[0] and not self._is_told(key, place):
            return None
        if held is not None:
            return Answer(held.event)
        return Answer(None, lazy=key.type == "m.room.member" and not self._members_synced)

    def _is_told(self, key: Key, place: Place) -> bool:
        """Whether what the pile held from before a gap still held after it.

        A block of the start says so. One of the end says it of keys that did not change in its own timeline; what
        those held before that change may have been set in the gap. To those who are not inside, a server tells nothing.
        """
        gap = self._gaps.get(place[0])
        if gap is None:
            return True
        following = key.next_held(place)
        return (gap.at_start or following is None or following.batch != gap.batch) and self._was_inside(place[0])

    def _was_inside(self, segment: int) -> bool:
        """Whether we were joined at any time in a segment."""
        if segment not in self._inside:
            after = min((one for one, _ in self._segments if one > segment), default=2**63)
            here = (one for one in self._own.held if one.since < (after, 0) and one.until > (segment, 0))
            self._inside[segment] = any(self._is_join(one.event) for one in here)
        return self._inside[segment]

    def _is_join(self, event: int) -> bool:
        row = self._cursor.execute(CONTENT, (event,)).fetchone()
        return row is not None and membership_of("m.room.member", decode(row[0])) == "join"

    def _across(self, key: Key, segment: int, gap: int) -> Answer:
        """Inside a hole: known if the pile held the same on both sides of it, or nothing after it."""
        after = next((one for one, _ in self._segments if one >= segment and not self._is_island(one)), None)
        if after is None or not self._is_told(key, (after, 0)):
            return Answer(None, gap=gap)
        above = key.held_at((after, 0))
        if above is None:
            lazy = key.type == "m.room.member" and not self._members_synced
            return Answer(None, gap=gap if lazy else None)
        below = [one for one in self._segments if one[0] < segment and not self._is_island(one[0])]
        same = bool(below) and key.held_at(below[-1]) == above
        return Answer(above.event) if same else Answer(None, gap=gap)

    def _below(self, segment: int) -> Place | None:
        """The newest place under a segment."""
        return max((one for one in self._segments if one[0] < segment), default=None)


def history(cursor: sqlite3.Cursor, room_id: str) -> History | None:
    """The past of a room, None if the store has no such room."""
    row = cursor.execute(ROOM, (room_id,)).fetchone()
    return None if row is None else History(cursor, row[0], row[2], members_synced=bool(row[1]))


def _place(segment: int | None, position: int | None) -> Place:
    return _NOWHERE if segment is None or position is None else (segment, position)
